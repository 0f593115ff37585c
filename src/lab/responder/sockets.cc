#include "lab/responder/sockets.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace carrick::lab {
namespace {

Result<void> set_option(const Fd& socket, int level, int option, int value, std::string_view what) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0) return fail_errno(errno, what);
  return {};
}

}  // namespace

Result<Fd> open_listener(const Listener& listener, const net::IpAddress& address) {
  bool tcp = listener.protocol == net::Protocol::kTcp;
  if (!tcp && listener.protocol != net::Protocol::kUdp)
    return fail(ErrorKind::kUnsupported, "port {}: no listener for this protocol", listener.name());
  int type = (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
  Fd socket(::socket(AF_INET6, type, 0));
  bool v6 = static_cast<bool>(socket);
  if (!socket) socket = Fd(::socket(AF_INET, type, 0));
  if (!socket) return fail_errno(errno, "socket");
  if (v6) TRY_VOID(set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0, "IPV6_V6ONLY"));
  // Another instance of the pod may have left connections in TIME_WAIT.
  if (tcp) TRY_VOID(set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"));
  if (!tcp) {  // the answer must come from the address that was asked
    TRY_VOID(set_option(socket, IPPROTO_IP, IP_PKTINFO, 1, "IP_PKTINFO"));
    if (v6) TRY_VOID(set_option(socket, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1, "IPV6_RECVPKTINFO"));
  }
  sockaddr_in6 any6{.sin6_family = AF_INET6, .sin6_port = htons(listener.port)};
  sockaddr_in any4{.sin_family = AF_INET, .sin_port = htons(listener.port)};
  std::memcpy(&any6.sin6_addr, address.bytes().data(), 16);  // IPv4 as v4-mapped, which such a socket takes
  if (!address.is_unspecified()) std::memcpy(&any4.sin_addr, address.bytes().data() + 12, 4);
  int bound = v6 ? ::bind(socket.get(), reinterpret_cast<sockaddr*>(&any6), sizeof any6)
                 : ::bind(socket.get(), reinterpret_cast<sockaddr*>(&any4), sizeof any4);
  if (bound != 0) return fail_errno(errno, "port " + listener.name());
  if (tcp && ::listen(socket.get(), 1024) != 0) return fail_errno(errno, "port " + listener.name());
  return socket;
}

std::string socket_text(const void* address) {
  auto* any = static_cast<const sockaddr*>(address);
  net::SocketAddress out;
  if (any->sa_family == AF_INET) {
    auto* v4 = static_cast<const sockaddr_in*>(address);
    out = {net::IpAddress::v4(ntohl(v4->sin_addr.s_addr)), ntohs(v4->sin_port)};
  } else if (any->sa_family == AF_INET6) {
    auto* v6 = static_cast<const sockaddr_in6*>(address);
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), v6->sin6_addr.s6_addr, 16);
    out = {net::IpAddress(bytes), ntohs(v6->sin6_port)};
  }
  return out.str();
}

}  // namespace carrick::lab
