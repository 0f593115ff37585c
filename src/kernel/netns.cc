#include "kernel/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace carrick::kernel {
namespace {

constexpr const char* kOwnNetns = "/proc/thread-self/ns/net";

// Every program takes a working 127.0.0.1 for granted.
Result<void> loopback_up() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (!socket || ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0)
    return fail_errno(errno, "lo up in a new network namespace");
  return {};
}

// Calls f() in a new namespace and brings the thread back.
template <class F>
Result<Fd> in_new_netns(F&& f) {
  Fd home = TRY(own_netns());
  if (unshare(CLONE_NEWNET) < 0) return fail_errno(errno, "create a network namespace");
  Result<Fd> result = [&]() -> Result<Fd> {
    TRY_VOID(loopback_up());
    TRY_VOID(f());
    return own_netns();
  }();
  if (setns(home.get(), CLONE_NEWNET) < 0) {
    std::perror("carrick: the thread cannot return to its network namespace");
    std::abort();
  }
  return result;
}

}  // namespace

Result<Fd> own_netns() {
  Fd fd(open(kOwnNetns, O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, kOwnNetns);
  return fd;
}

Result<uint64_t> own_netns_cookie() {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (!socket || getsockopt(socket.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
    return fail_errno(errno, "cookie of the network namespace");
  return cookie;
}

Result<Fd> create_netns(const std::string& path) {
  Fd file(open(path.c_str(), O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444));
  if (!file) return fail_errno(errno, fmt::format("create the namespace file {}", path));
  auto fd = in_new_netns([&]() -> Result<void> {
    if (mount(kOwnNetns, path.c_str(), "none", MS_BIND, nullptr) < 0)
      return fail_errno(errno, fmt::format("bind a network namespace to {}", path));
    return {};
  });
  if (!fd) unlink(path.c_str());
  return fd;
}

Result<Fd> create_anonymous_netns() {
  return in_new_netns([]() -> Result<void> { return {}; });
}

Result<Fd> open_netns(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, fmt::format("network namespace {}", path));
  if (ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET)
    return fail(ErrorKind::kNotFound, "{} is not a network namespace", path);
  return fd;
}

Result<void> delete_netns(const std::string& path) {
  if (umount2(path.c_str(), MNT_DETACH) < 0 && errno != ENOENT && errno != EINVAL)
    return fail_errno(errno, fmt::format("unmount {}", path));
  if (unlink(path.c_str()) < 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove {}", path));
  return {};
}

Result<uint64_t> netns_id(int netns_fd) {
  struct stat info{};
  if (fstat(netns_fd, &info) < 0) return fail_errno(errno, "network namespace");
  return info.st_ino;  // all namespaces are files of the one nsfs
}

Result<NetnsScope> NetnsScope::enter(int netns_fd) {
  Fd home = TRY(own_netns());
  if (setns(netns_fd, CLONE_NEWNET) < 0) return fail_errno(errno, "enter a network namespace");
  return NetnsScope(std::move(home));
}

NetnsScope::~NetnsScope() {
  if (home_ && setns(home_.get(), CLONE_NEWNET) < 0) {
    std::perror("carrick: the thread cannot return to its network namespace");
    std::abort();
  }
}

}  // namespace carrick::kernel
