#pragma once

#include <functional>
#include <string>

namespace carrick::lab {

// Runs a container's program below the calling process, which stays to keep its log (container_log.h): the log outlives
// lab-nodes. `become` is called in the child, executes the program, and gives an exit code when it cannot. SIGTERM,
// SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are handed on. Returns the program's exit code, 128 + signal when
// killed.
int run_logged(const std::string& log_path, const std::function<int()>& become);

}  // namespace carrick::lab
