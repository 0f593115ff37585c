#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace carrick::lab {

struct SpawnRequest {
  std::vector<std::string> argv;         // argv[0] is the path, unless exe_fd is set
  int exe_fd = -1;                       // executed whatever its path holds by now
  int netns = -1;                        // network namespace to start in
  std::string cgroup;                    // folder to start in
  std::vector<std::pair<int, int>> fds;  // {our descriptor, its number in the child}
  std::string log_file;                  // standard output and error are appended to it; empty = inherited
  std::vector<std::string> extra_env;    // "NAME=value"
  bool inherits_env = true;              // of ours only what extra_env does not name; false: nothing
  unsigned long new_namespaces = 0;      // CLONE_NEW* flags for the child
};

// fork + exec. Everything that can fail before exec is reported here, not in the child's exit code.
Result<pid_t> spawn(const SpawnRequest& request);

// What waitpid() said, as a shell has it: 128 and the signal's number for who was killed.
int exit_code_of(int wait_status);
// The exit code of a child, once it has ended.
int wait_for_child(pid_t pid);

// Field 22 of /proc/<pid>/stat: with the pid it names one process for ever.
Result<uint64_t> process_start_time(pid_t pid);
// A pidfd of exactly that process; kNotFound when it is gone or the pid has been given to another.
Result<Fd> open_process(pid_t pid, uint64_t start_time);
Result<void> kill_process(const Fd& pidfd, int signal);
// True when the process has ended within the time.
bool wait_for_end(const Fd& pidfd, std::chrono::milliseconds limit);

}  // namespace carrick::lab
