#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "lab/host/record.h"
#include "lab/nodes/sandbox.h"

// Becoming a process of a pod: its network, its resolv.conf and hosts over those of the machine, its hostname.
namespace carrick::lab {

// For a process of the lab. `netns` is the pod's. Changes the calling process for good, and takes it the right to gain
// privileges.
Result<void> enter_pod(const Sandbox& sandbox, int netns);

// Runs a command in a pod of a running lab, from the machine, with this process's standard streams. Returns its exit
// code (128 + signal when killed; 127 when there is no such program).
Result<int> exec_in_pod(const RunningLab& lab, const std::string& namespace_, const std::string& pod,
                        const std::vector<std::string>& command);

// `carrick lab-container`: what NodeLife starts for a container with a command of its own, and for `kubectl exec`.
struct ContainerRun {
  std::string pod;  // NAMESPACE/NAME
  std::string workdir;
  std::string log;        // kept there by this process, which stays; empty: it becomes the program
  bool terminal = false;  // standard input is one, and becomes the program's own
  std::vector<std::string> command;
};
// The program's exit code (with `log`), 125 when the pod cannot be entered, 127 when there is no such program.
int run_container(const LabConfig& config, const ContainerRun& run);

}  // namespace carrick::lab
