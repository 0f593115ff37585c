#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

// BPF programs on a cgroup v2 folder.
namespace carrick::kernel {

struct CgroupProgram {
  std::string_view name;  // of the pin
  int program_fd = -1;
  int attach_type = 0;  // enum bpf_attach_type
};

// Where cgroup v2 is mounted and can be reached. kUnsupported: nowhere.
Result<std::string> cgroup2_mount();

// Attaches each as a BPF link. With a pin directory (in a bpffs) a link that is pinned there and stands on the same
// cgroup is pointed at the new program in one step; otherwise it is made and pinned. The links live as long as the pin
// or the descriptors that are returned.
Result<std::vector<Fd>> attach_to_cgroup(const std::string& path, std::span<const CgroupProgram> programs,
                                         const std::string& pin_directory);

}  // namespace carrick::kernel
