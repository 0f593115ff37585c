#pragma once

#include <string>
#include <vector>

#include "lab/host/record.h"
#include "lab/pods/container_spec.h"

// Processes of a container: its first one, which makes its namespaces, and those that enter it later.
namespace carrick::lab {

// `carrick lab-container`, started by lab-nodes and by `carrick lab exec`; a process of the lab.
struct ContainerRun {
  std::string pod, container;  // NAMESPACE/NAME
  // Empty: makes the container, starts its program (spec.json) and keeps its log. Else: runs this in the container,
  // which is made without a program first if there is none.
  std::vector<std::string> command;
  std::string log;
  bool session = false;   // leads one of its own: whoever ends it ends what it started
  bool terminal = false;  // standard input is one, and becomes the program's own
};
// The program's exit code; 125 when the container cannot be made or entered, 126 and 127 when there is no such program.
int run_container(const LabConfig& config, const ContainerRun& run);

// Runs a command in a pod of a running lab, from the machine, with this process's standard streams. `container` empty:
// its first. Returns its exit code (128 + signal when killed; 127 when there is no such program).
Result<int> exec_in_pod(const RunningLab& lab, const std::string& namespace_, const std::string& pod,
                        const std::string& container, const std::vector<std::string>& command);

// The container has been made, and its first process lives.
bool container_is_made(const ContainerPaths& paths);

}  // namespace carrick::lab
