#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

namespace carrick::lab {

// Runs a container's program below the calling process, which stays to keep its log (container_log.h): the log outlives
// lab-nodes. `start` makes the child, whose standard output and error have become the log, and gives its number; it
// never returns in the child. SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1 and SIGUSR2 are handed on. Returns the
// program's exit code, 128 + signal when killed.
int run_logged(const std::string& log_path, const std::function<pid_t()>& start);

// Starts the program and waits for it as the first process of a pid namespace: hands on the same signals, and takes
// care of orphans. `become` executes the program, and gives an exit code when it cannot.
int run_as_init(const std::function<int()>& become);

}  // namespace carrick::lab
