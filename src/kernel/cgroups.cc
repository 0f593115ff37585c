#include "kernel/cgroups.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/file.h"

namespace carrick::kernel {
namespace {

// The id that BPF links give for a cgroup is its inode number.
bool stands_on(int link_fd, uint64_t cgroup_id) {
  bpf_link_info info{};
  uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(link_fd, &info, &size) == 0 && info.type == BPF_LINK_TYPE_CGROUP &&
         info.cgroup.cgroup_id == cgroup_id;
}

Result<Fd> attach_one(int cgroup, uint64_t cgroup_id, const CgroupProgram& program, const std::string& pin) {
  if (!pin.empty()) {
    Fd old(bpf_obj_get(pin.c_str()));
    if (old && stands_on(old.get(), cgroup_id) && bpf_link_update(old.get(), program.program_fd, nullptr) == 0)
      return old;
    if (old) ::unlink(pin.c_str());
  }
  Fd link(bpf_link_create(program.program_fd, cgroup, static_cast<bpf_attach_type>(program.attach_type), nullptr));
  if (!link) return fail_errno(errno, fmt::format("attach {} to the cgroup", program.name));
  if (!pin.empty() && bpf_obj_pin(link.get(), pin.c_str())) return fail_errno(errno, "pin " + pin);
  return link;
}

}  // namespace

Result<std::string> cgroup2_mount() {
  std::istringstream mounts(TRY(read_file("/proc/self/mountinfo")));
  // mountinfo(5): id parent dev root MOUNTPOINT options [tags...] - FSTYPE source options
  for (std::string line; std::getline(mounts, line);) {
    size_t dash = line.find(" - ");
    if (dash == std::string::npos || line.compare(dash + 3, 8, "cgroup2 ") != 0) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point;
    fields >> id >> parent >> device >> root >> mount_point;
    struct statfs file_system{};  // another file system may be mounted above it
    if (::statfs(mount_point.c_str(), &file_system) == 0 && file_system.f_type == CGROUP2_SUPER_MAGIC)
      return mount_point;
  }
  return fail(ErrorKind::kUnsupported,
              "no cgroup v2 file system is mounted (mount -t cgroup2 none /sys/fs/cgroup/unified)");
}

Result<std::vector<Fd>> attach_to_cgroup(const std::string& path, std::span<const CgroupProgram> programs,
                                         const std::string& pin_directory) {
  Fd cgroup(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!cgroup) return fail_errno(errno, "open cgroup " + path);
  struct statfs file_system{};
  struct stat folder{};
  if (::fstatfs(cgroup.get(), &file_system) || ::fstat(cgroup.get(), &folder))
    return fail_errno(errno, "stat cgroup " + path);
  if (file_system.f_type != CGROUP2_SUPER_MAGIC)
    return fail(ErrorKind::kUnsupported, "{} is not in a cgroup v2 hierarchy", path);
  if (!pin_directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(pin_directory, error);
    if (error) return fail(ErrorKind::kUnsupported, "create {}: {}", pin_directory, error.message());
  }
  std::vector<Fd> links;
  for (const auto& program : programs) {
    auto link = attach_one(cgroup.get(), folder.st_ino, program,
                           pin_directory.empty() ? "" : fmt::format("{}/{}", pin_directory, program.name));
    if (!link) return with_context(link.error(), "{}", path);
    links.push_back(std::move(*link));
  }
  return links;
}

}  // namespace carrick::kernel
