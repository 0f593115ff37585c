#include "kernel/sysctls.h"

#include <fcntl.h>

#include <cerrno>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/netns.h"

namespace carrick::kernel {
namespace {

Result<std::string> read_here(const std::string& name) {
  Fd fd(open(("/proc/sys/" + name).c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[4096];
  ssize_t size = fd ? read(fd.get(), buffer, sizeof buffer) : -1;
  if (size < 0) return fail_errno(errno, fmt::format("sysctl {}", name));
  return std::string(trim(std::string_view(buffer, static_cast<size_t>(size))));
}

// /proc/sys/net shows the namespace of the thread that opens the file. What has its value already is not written: some
// of these files take the kernel's lock over all network devices, and while another holds it the write spins.
Result<void> write_here(std::span<const Sysctl> sysctls) {
  for (const Sysctl& sysctl : sysctls) {
    if (auto now = read_here(sysctl.name); now && *now == sysctl.value) continue;
    std::string path = "/proc/sys/" + sysctl.name;
    Fd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT && sysctl.optional) continue;
    if (!fd || write(fd.get(), sysctl.value.data(), sysctl.value.size()) < 0)
      return fail_errno(errno, fmt::format("sysctl {} = {}", sysctl.name, sysctl.value));
  }
  return {};
}

}  // namespace

Result<void> write_sysctls(int netns_fd, std::span<const Sysctl> sysctls) {
  if (sysctls.empty()) return {};
  if (netns_fd < 0) return write_here(sysctls);
  return in_netns(netns_fd, [&] { return write_here(sysctls); });
}

Result<std::string> read_sysctl(int netns_fd, const std::string& name) {
  if (netns_fd < 0) return read_here(name);
  return in_netns(netns_fd, [&] { return read_here(name); });
}

}  // namespace carrick::kernel
