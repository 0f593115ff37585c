#include "lab/nodes/volumes.h"

#include <dirent.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/file.h"
#include "lab/pods/material_fields.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr uint64_t kEmptyDirSize = 256u << 20;  // memory of the machine

bool is_mount(const std::string& path) {
  struct stat here{}, above{};
  return ::stat(path.c_str(), &here) == 0 && ::stat((path + "/..").c_str(), &above) == 0 && here.st_dev != above.st_dev;
}

Result<void> make_empty_dir(const Volume& volume, const std::string& path, std::optional<int64_t> group) {
  if (is_mount(path)) return {};
  const uint64_t size = volume.size_limit == 0 ? kEmptyDirSize : std::min(volume.size_limit, kEmptyDirSize);
  const std::string options =
      fmt::format("size={},mode={}{}", size, group ? "2777" : "0777", group ? fmt::format(",gid={}", *group) : "");
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) != 0)
    return fail_errno(errno, fmt::format("volume {}", volume.name));
  return {};
}

Result<void> write_files(const Volume& volume, const std::string& path, std::optional<int64_t> group) {
  for (const VolumeFile& file : volume.files) {
    const std::string target = path + "/" + file.path;
    TRY_VOID(make_directories(target.substr(0, target.rfind('/')), 0755));
    TRY_VOID(write_file_atomically(target, file.content, file.mode | (group ? 0440u : 0u)));
    if (group && ::chown(target.c_str(), 0, static_cast<gid_t>(*group)) != 0) return fail_errno(errno, target);
  }
  return {};
}

}  // namespace

Result<void> make_volumes(const json::object& pod, const Material& material, const std::string& pod_folder,
                          std::vector<ContainerMount>& mounts) {
  const json::object* spec = object_in(pod, "spec");
  const auto group = number_in(object_in(spec, "securityContext"), "fsGroup");
  for (const json::object* each : objects_in(spec, "volumes")) {
    const std::string path = pod_folder + "/volumes/" + text_in(*each, "name");
    const auto is_here = [&](const ContainerMount& mount) { return mount.source == path; };
    if (std::ranges::none_of(mounts, is_here)) continue;
    const Volume volume = TRY(volume_of(*each, pod, material));
    TRY_VOID(make_directories(path, 0755));
    TRY_VOID(volume.is_empty_dir ? make_empty_dir(volume, path, group) : write_files(volume, path, group));
    for (ContainerMount& mount : mounts)
      if (is_here(mount)) mount.read_only = mount.read_only || !volume.is_empty_dir;
  }
  return {};
}

void unmount_volumes(const std::string& pod_folder) {
  const std::string folder = pod_folder + "/volumes";
  DIR* dir = ::opendir(folder.c_str());
  if (!dir) return;
  while (const dirent* entry = ::readdir(dir))
    if (entry->d_name[0] != '.') ::umount2((folder + "/" + entry->d_name).c_str(), MNT_DETACH);
  ::closedir(dir);
}

}  // namespace carrick::lab
