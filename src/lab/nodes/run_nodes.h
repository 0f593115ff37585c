#pragma once

#include "base/result.h"
#include "lab/config.h"

namespace carrick::lab {

// The process that plays the kubelets of all nodes, and the resolver of the outside world. Serves until SIGTERM.
Result<void> run_nodes(const LabConfig& config);

}  // namespace carrick::lab
