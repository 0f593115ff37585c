#pragma once

#include "base/result.h"
#include "lab/nodes/sandbox.h"
#include "lab/pods/container_spec.h"

namespace carrick::lab {

// Gives the calling process, the first of new mount and pid namespaces, a file system of its own: the machine's
// programs, read-only; everything else fresh, writable, and gone with the namespace; the container's mounts. Of the
// machine nothing else is left to see. `point`: an empty folder.
Result<void> make_container_root(const std::string& point, const Sandbox& sandbox, const ContainerSpec& spec);

}  // namespace carrick::lab
