#include "lab/host/preflight.h"

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "base/fd.h"
#include "kernel/features.h"
#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "lab/host/cgroups.h"

namespace carrick::lab {
namespace {

// In a child, whose namespaces vanish with it.
Result<void> check_namespaces() {
  pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC) != 0) ::_exit(1);
    auto netlink = kernel::open_netlink();
    bool has_veth = netlink && (*netlink)->create_veth({.here = {.name = "a"}, .there = {.name = "b"}});
    ::_exit(has_veth ? 0 : 2);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) == 1)
    return fail(ErrorKind::kUnsupported,
                "namespaces (net, mount, pid, ipc) cannot be made here: a lab lives in namespaces of its own");
  if (WEXITSTATUS(status) == 2)
    return fail(ErrorKind::kUnsupported, "this kernel has no veth devices: lab nodes and pods are joined by them");
  return {};
}

Result<std::string> find_cni_binary() {
  char self[PATH_MAX];
  ssize_t n = ::readlink("/proc/self/exe", self, sizeof self);
  std::string path = n > 0 ? std::string(self, static_cast<size_t>(n)) : "";
  path = path.substr(0, path.rfind('/')) + "/carrick-cni";
  if (::access(path.c_str(), X_OK) != 0)
    return fail(ErrorKind::kUnsupported,
                "{} is missing: it is the plugin that gives pods their network; install it beside carrick", path);
  return path;
}

}  // namespace

Result<void> check_machine(LabConfig& config) {
  if (::geteuid() != 0)
    return fail(ErrorKind::kUnsupported,
                "a lab makes namespaces and loads BPF programs, which needs root: try `sudo carrick lab up`");
  TRY_VOID(check_namespaces());
  TRY_VOID(kernel::require_features(kernel::probe_features()));
  config.cgroup_mount = TRY(find_cgroup2());
  if (config.cni_binary.empty()) config.cni_binary = TRY(find_cni_binary());
  return {};
}

}  // namespace carrick::lab
