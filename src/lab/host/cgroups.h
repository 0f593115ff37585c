#pragma once

#include <string>

#include "base/result.h"

// The lab's folders in the cgroup v2 hierarchy: socket programs of one lab node see only the tasks of that node.
namespace carrick::lab {

// Mount point of the first cgroup2 file system of this mount namespace; kUnsupported when there is none.
Result<std::string> find_cgroup2();
Result<void> create_cgroup(const std::string& path);
// The calling process and all its later children.
Result<void> enter_cgroup(const std::string& path);
// Kills every member of the tree (cgroup.kill) and removes it, deepest first. A path that is not there is success.
Result<void> remove_cgroup_tree(const std::string& path);

}  // namespace carrick::lab
