#include "loopback.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "cni/result_json.h"

namespace carrick::cni {
namespace json = boost::json;
namespace {

std::unexpected<CniError> fail_errno(int code, const std::string& what) {
  return std::unexpected(CniError{code, what + ": " + std::strerror(errno), {}});
}

// The process ends soon: it enters the namespace for good.
CniResultOf<> set_up(const Call& call, bool up) {
  int netns = open(call.netns.c_str(), O_RDONLY | O_CLOEXEC);
  if (netns < 0 || setns(netns, CLONE_NEWNET) < 0)
    return fail_errno(kFailed, "failed to open netns \"" + call.netns + "\"");
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::strncpy(request.ifr_name, call.ifname.c_str(), IFNAMSIZ - 1);
  if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request) < 0) return fail_errno(kFailed, "link " + call.ifname);
  if (!(request.ifr_flags & IFF_LOOPBACK))
    return std::unexpected(CniError{kFailed, call.ifname + " is not a loopback interface", {}});
  if (call.verb == Verb::kCheck) {
    if (request.ifr_flags & IFF_UP) return {};
    return std::unexpected(CniError{kFailed, call.ifname + " is down", {}});
  }
  request.ifr_flags = static_cast<short>(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  if (ioctl(fd, SIOCSIFFLAGS, &request) < 0) return fail_errno(kFailed, "set " + call.ifname);
  return {};
}

}  // namespace

CniResultOf<json::object> loopback(const Call& call, const NetConf& conf) {
  switch (call.verb) {
    case Verb::kDel:
      if (!call.netns.empty()) (void)set_up(call, false);  // a namespace that is gone has no lo
      return json::object();
    case Verb::kCheck:
    case Verb::kAdd: {
      auto done = set_up(call, true);
      if (!done) return std::unexpected(done.error());
      const json::value* previous = conf.document.if_contains("prevResult");
      if (call.verb == Verb::kCheck) return json::object();
      if (previous && previous->is_object()) return previous->get_object();
      AddResult result{.interfaces = {{.name = call.ifname, .mac = "00:00:00:00:00:00", .sandbox = call.netns}},
                       .ips = {{.address = "127.0.0.1/8", .gateway = {}}, {.address = "::1/128", .gateway = {}}},
                       .routes = {}};
      return render(result, conf.version, nullptr, conf.document.if_contains("dns"));
    }
    default:
      return json::object();
  }
}

}  // namespace carrick::cni
