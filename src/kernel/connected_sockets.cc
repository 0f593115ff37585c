#include "kernel/connected_sockets.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "base/fd.h"

namespace carrick::kernel {
namespace {

// States by the kernel's numbers. A connected UDP socket is called established.
constexpr uint32_t kEstablished = 1 << 1, kSynSent = 1 << 2, kCloseWait = 1 << 8;

uint32_t states_of(net::Protocol protocol) {
  return protocol == net::Protocol::kTcp ? kEstablished | kSynSent | kCloseWait : kEstablished;
}

struct Request {
  nlmsghdr header;
  inet_diag_req_v2 body;
};

Result<Fd> open_diag() {
  Fd fd(::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return fail_errno(errno, "open a socket for socket diagnostics");
  return fd;
}

net::IpAddress address_of(const __be32 (&words)[4], bool v6) {
  if (!v6) return net::IpAddress::v4(ntohl(words[0]));
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), words, bytes.size());
  return net::IpAddress(bytes);
}

void write_address(__be32 (&words)[4], const net::IpAddress& address, bool v6) {
  const auto& bytes = address.bytes();
  std::memcpy(words, bytes.data() + (v6 ? 0 : 12), v6 ? 16 : 4);
}

ConnectedSocket socket_of(net::Protocol protocol, const inet_diag_msg& message) {
  const bool v6 = message.idiag_family == AF_INET6;
  const auto& id = message.id;
  return {.protocol = protocol,
          .local = {address_of(id.idiag_src, v6), ntohs(id.idiag_sport)},
          .peer = {address_of(id.idiag_dst, v6), ntohs(id.idiag_dport)},
          .cookie = static_cast<uint64_t>(id.idiag_cookie[1]) << 32 | id.idiag_cookie[0],
          .v6_socket = v6,
          .ifindex = id.idiag_if};
}

class LinuxSockets : public Sockets {
 public:
  Result<std::vector<ConnectedSocket>> connected(net::Protocol protocol) override {
    std::vector<ConnectedSocket> out;
    for (uint8_t family : {AF_INET, AF_INET6}) TRY_VOID(list(protocol, family, out));
    return out;
  }

  Result<void> abort(const ConnectedSocket& socket) override {
    Fd fd = TRY(open_diag());
    Request request = ask(SOCK_DESTROY, NLM_F_ACK, socket.protocol, socket.v6_socket ? AF_INET6 : AF_INET);
    auto& id = request.body.id;
    id.idiag_sport = htons(socket.local.port);
    id.idiag_dport = htons(socket.peer.port);
    write_address(id.idiag_src, socket.local.address, socket.v6_socket);
    write_address(id.idiag_dst, socket.peer.address, socket.v6_socket);
    id.idiag_if = socket.ifindex;
    id.idiag_cookie[0] = static_cast<uint32_t>(socket.cookie);
    id.idiag_cookie[1] = static_cast<uint32_t>(socket.cookie >> 32);
    if (::send(fd.get(), &request, sizeof request, 0) < 0) return fail_errno(errno, "abort a socket");
    struct {
      nlmsghdr header;
      nlmsgerr error;
    } reply{};
    if (::recv(fd.get(), &reply, sizeof reply, 0) < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(int)))
      return fail_errno(errno, "abort a socket");
    if (reply.error.error) return fail_errno(-reply.error.error, "abort the socket to " + socket.peer.str());
    return {};
  }

 private:
  static Request ask(uint16_t type, uint16_t flags, net::Protocol protocol, uint8_t family) {
    Request out{};
    out.header.nlmsg_len = sizeof out;
    out.header.nlmsg_type = type;
    out.header.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
    out.body.sdiag_family = family;
    out.body.sdiag_protocol = static_cast<uint8_t>(protocol);
    out.body.idiag_states = states_of(protocol);
    return out;
  }

  static Result<void> list(net::Protocol protocol, uint8_t family, std::vector<ConnectedSocket>& out) {
    Fd fd = TRY(open_diag());
    const Request request = ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, protocol, family);
    if (::send(fd.get(), &request, sizeof request, 0) < 0) return fail_errno(errno, "list sockets");
    alignas(nlmsghdr) std::array<char, 32768> buffer;
    for (;;) {
      const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
      if (size < 0) return fail_errno(errno, "list sockets");
      auto left = static_cast<unsigned>(size);
      for (auto* each = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(each, left);
           each = NLMSG_NEXT(each, left)) {
        if (each->nlmsg_type == NLMSG_DONE) return {};
        if (each->nlmsg_type == NLMSG_ERROR) {
          const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(each));
          return fail_errno(-error->error, "list sockets");
        }
        out.push_back(socket_of(protocol, *static_cast<const inet_diag_msg*>(NLMSG_DATA(each))));
      }
    }
  }
};

}  // namespace

Sockets& linux_sockets() {
  static LinuxSockets sockets;
  return sockets;
}

}  // namespace carrick::kernel
