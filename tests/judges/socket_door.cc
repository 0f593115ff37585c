#include "tests/judges/socket_door.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernel/netns.h"
#include "realize/encode.h"
#include "wire/services.h"

namespace carrick::testing {
namespace {

struct Request {
  std::array<uint8_t, 16> address;
  uint16_t port;
  bool v4, tcp, in_pod;
};
struct Reply {
  int error;
  uint64_t cookie;
};

std::string cgroup2_mount() {
  std::ifstream mounts("/proc/self/mounts");
  std::string device, where, type, rest;
  while (mounts >> device >> where >> type && std::getline(mounts, rest))
    if (type == "cgroup2") return where;
  return "";
}

// Of runs that were killed: an empty cgroup folder is all that can stay.
void remove_remains(const std::string& mount) {
  constexpr std::string_view kPrefix = "carrick-judge-";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(mount, ignored)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(kPrefix)) continue;
    const pid_t owner = std::atoi(name.c_str() + kPrefix.size());
    if (owner > 0 && ::kill(owner, 0) != 0 && errno == ESRCH) ::rmdir(entry.path().c_str());
  }
}

Reply try_connect(const Request& request) {
  Fd fd(::socket(request.v4 ? AF_INET : AF_INET6, (request.tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK, 0));
  if (!fd) return {errno, 0};
  sockaddr_in to4{.sin_family = AF_INET, .sin_port = htons(request.port)};
  sockaddr_in6 to6{.sin6_family = AF_INET6, .sin6_port = htons(request.port)};
  std::memcpy(&to4.sin_addr, request.address.data() + 12, 4);
  std::memcpy(&to6.sin6_addr, request.address.data(), 16);
  int failed = request.v4 ? ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4)
                          : ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6);
  Reply out{failed ? errno : 0, 0};
  socklen_t size = sizeof out.cookie;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &out.cookie, &size);
  return out;
}

[[noreturn]] void serve(int line, const std::string& cgroup) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  Fd procs(::open((cgroup + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  bool inside = procs && ::write(procs.get(), "0", 1) == 1;
  auto node = kernel::own_netns(), pod = kernel::create_anonymous_netns();
  inside = inside && node && pod;
  Request request;
  while (::recv(line, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request)) {
    inside = inside && ::setns((request.in_pod ? pod : node)->get(), CLONE_NEWNET) == 0;
    Reply reply = inside ? try_connect(request) : Reply{EXDEV, 0};
    if (::send(line, &reply, sizeof reply, MSG_NOSIGNAL) < 0) break;
  }
  ::_exit(0);
}

}  // namespace

Result<std::unique_ptr<SocketDoor>> SocketDoor::open(NodePlane& plane, const std::string& name) {
  std::string mount = cgroup2_mount();
  if (mount.empty()) return fail(ErrorKind::kUnsupported, "no cgroup v2 is mounted");
  remove_remains(mount);
  std::string folder = fmt::format("{}/carrick-judge-{}-{}", mount, ::getpid(), name);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) return fail_errno(errno, folder);
  std::unique_ptr<SocketDoor> out(new SocketDoor(plane, folder));
  TRY_VOID(plane.programs().attach_cgroup(folder));
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return fail_errno(errno, "socketpair");
  out->line_ = Fd(pair[0]);
  Fd theirs(pair[1]);
  out->process_ = ::fork();
  if (out->process_ < 0) return fail_errno(errno, "fork");
  if (out->process_ == 0) {
    out->line_.reset();
    serve(theirs.get(), folder);
  }
  return out;
}

SocketDoor::~SocketDoor() {
  if (process_ > 0) {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  ::rmdir(cgroup_.c_str());
}

Result<Aim> SocketDoor::connect(const net::SocketAddress& target, net::Protocol protocol, bool in_pod) {
  Request request{target.address.bytes(), target.port, target.address.is_v4(), protocol == net::Protocol::kTcp, in_pod};
  Reply reply{};
  if (::send(line_.get(), &request, sizeof request, MSG_NOSIGNAL) < 0 ||
      ::recv(line_.get(), &reply, sizeof reply, 0) != static_cast<ssize_t>(sizeof reply))
    return fail_errno(errno, "the connecting process");
  if (reply.error == EXDEV) return fail(ErrorKind::kUnsupported, "the connecting process is not in its cgroup");
  if (reply.error == ECONNREFUSED || reply.error == EPERM) return Aim{true, target};
  // Where no hook took part there is no entry, and the packets go where the process said.
  Aim out{false, target};
  auto* sockets = plane_.programs().map("sockets");
  for (const auto& entry : TRY(sockets->read_all())) {
    socket_key key;
    std::memcpy(&key, entry.key.data(), sizeof key);
    if (key.cookie != reply.cookie) continue;
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), key.backend.bytes, 16);
    out.target = {net::IpAddress(bytes), ntohs(key.port_be)};
    TRY_VOID(sockets->erase(entry.key));
  }
  return out;
}

}  // namespace carrick::testing
