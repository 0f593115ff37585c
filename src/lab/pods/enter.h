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

// `carrick lab-container`: what NodeLife starts for a container with a command of its own. Returns only on failure,
// with exit code 125, or 127 when there is no such program.
int run_container(const LabConfig& config, const std::string& pod, const std::string& workdir,
                  const std::vector<std::string>& command);

}  // namespace carrick::lab
