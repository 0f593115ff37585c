#pragma once

#include <string>
#include <vector>

#include "lab/pods/pod_material.h"

namespace carrick::lab {

// The volumes of a pod below its folder, as far as `mounts` need them; those whose files come from objects are made
// read-only there. What is there already is brought up to date: a file at a time, so that readers see old or new.
Result<void> make_volumes(const boost::json::object& pod, const Material& material, const std::string& pod_folder,
                          std::vector<ContainerMount>& mounts);
void unmount_volumes(const std::string& pod_folder);

}  // namespace carrick::lab
