#pragma once

#include "base/result.h"
#include "lab/config.h"

namespace carrick::lab {

// What a lab needs of this machine: root, namespaces, BPF, cgroup v2, the plugin binary. kUnsupported names what is
// missing and what it is needed for. Fills config.cgroup_mount and config.cni_binary.
Result<void> check_machine(LabConfig& config);

}  // namespace carrick::lab
