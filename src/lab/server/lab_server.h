#pragma once

#include <vector>

#include "base/result.h"
#include "lab/config.h"

namespace carrick::lab {

// API server and controllers of a lab, on listening sockets made by the supervisor. Serves until SIGTERM. Its objects
// lie in a file on the lab's tmpfs (or under --data), so that a killed one goes on where it was.
Result<void> run_server(const LabConfig& config, const std::vector<int>& listen_fds);

}  // namespace carrick::lab
