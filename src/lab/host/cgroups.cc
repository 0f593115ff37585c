#include "lab/host/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <sstream>
#include <vector>

#include "base/fd.h"
#include "kernel/cgroups.h"
#include "lab/host/files.h"

namespace carrick::lab {
namespace {

Result<void> write_knob(const std::string& path, std::string_view text) {
  Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file) return fail_errno(errno, path);
  if (::write(file.get(), text.data(), text.size()) < 0) return fail_errno(errno, path);
  return {};
}

std::vector<std::string> child_folders(const std::string& path) {
  std::vector<std::string> out;
  DIR* dir = ::opendir(path.c_str());
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir))
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.push_back(path + "/" + entry->d_name);
  ::closedir(dir);
  return out;
}

// Members that were killed stay until their parent has reaped them; cgroup.events wakes a poll when the last is gone.
void wait_until_empty(const std::string& path, std::chrono::steady_clock::time_point deadline) {
  Fd events(::open((path + "/cgroup.events").c_str(), O_RDONLY | O_CLOEXEC));
  if (!events) return;
  for (;;) {
    char buffer[256];
    ssize_t n = ::pread(events.get(), buffer, sizeof buffer, 0);
    if (n <= 0 || std::string_view(buffer, static_cast<size_t>(n)).find("populated 0") != std::string_view::npos)
      return;
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return;
    pollfd wait{events.get(), POLLPRI, 0};
    ::poll(&wait, 1, static_cast<int>(left));
  }
}

Result<void> remove_folders(const std::string& path) {
  for (const std::string& child : child_folders(path)) TRY_VOID(remove_folders(child));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, path);
  return {};
}

}  // namespace

Result<std::string> find_cgroup2() { return kernel::cgroup2_mount(); }

Result<void> create_cgroup(const std::string& path) { return make_directories(path, 0755); }

Result<void> enter_cgroup(const std::string& path) { return write_knob(path + "/cgroup.procs", "0"); }

Result<void> remove_cgroup_tree(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return {};
  // cgroup.kill reaches the whole tree, and also what is being forked meanwhile (Linux 5.14).
  if (auto killed = write_knob(path + "/cgroup.kill", "1"); !killed && killed.error().kind != ErrorKind::kNotFound)
    return std::unexpected(killed.error());
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  wait_until_empty(path, deadline);
  return remove_folders(path);
}

}  // namespace carrick::lab
