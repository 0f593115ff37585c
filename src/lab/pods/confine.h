#pragma once

#include "base/result.h"
#include "lab/pods/container_spec.h"

// What a container's process may do. No user namespace is used (a pod's sockets belong to the machine's), so root
// inside is root of the machine: what keeps it in is that it has no capability that reaches beyond its namespaces,
// cannot gain one, and is refused the system calls that no program of a pod needs.
namespace carrick::lab {

// For good, in the calling process and all that it starts. Its effective user is spec.uid afterwards.
Result<void> confine(const ContainerSpec& spec);

}  // namespace carrick::lab
