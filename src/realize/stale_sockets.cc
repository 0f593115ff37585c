#include "realize/stale_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "realize/encode.h"
#include "realize/led_sockets.h"

namespace carrick::realize {
namespace {

bool is_loopback(const wire_address& address) {
  for (const char* text : {"127.0.0.1", "::1"})
    if (bytes_of(address) == bytes_of(wire_of(net::IpAddress::parse(text).value()))) return true;
  return false;
}

// False for sockets that no service has anything to do with.
Result<bool> is_stale(kernel::Programs& programs, const kernel::ConnectedSocket& socket) {
  socket_key key{};
  key.cookie = socket.cookie;
  key.backend = wire_of(socket.peer.address);
  key.port_be = htons(socket.peer.port);
  const auto led = TRY(look_up<socket_value>(*programs.map("sockets"), bytes_of(key)));
  if (!led) return false;
  const auto service = TRY(frontend_of(programs, *led, IPPROTO_UDP));
  if (!service) return true;
  return !TRY(is_member(programs, *service, key));
}

}  // namespace

Result<std::optional<frontend_value>> frontend_of(kernel::Programs& programs, const socket_value& led,
                                                  uint8_t protocol) {
  frontend_key frontend{};
  frontend.address = led.frontend;
  frontend.port_be = led.port_be;
  frontend.protocol = protocol;
  frontend.scope = is_loopback(led.frontend) ? SCOPE_LOOPBACK : SCOPE_INTERNAL;
  return look_up<frontend_value>(*programs.map("frontends"), bytes_of(frontend));
}

namespace {

member_key member_of(const frontend_value& service, const socket_key& socket) {
  member_key member{};
  member.set = service.set;
  member.address = socket.backend;
  member.port_be = socket.port_be;
  return member;
}

}  // namespace

Result<bool> is_member(kernel::Programs& programs, const frontend_value& service, const socket_key& socket) {
  if (service.count > FEW_BACKENDS) {
    const auto slot = TRY(look_up<uint32_t>(*programs.map("members"), bytes_of(member_of(service, socket))));
    return slot && *slot != MEMBER_LISTED;
  }
  for (uint32_t slot = 0; slot < service.count; ++slot) {
    const auto backend =
        TRY(look_up<backend_value>(*programs.map("backends"), bytes_of(backend_key{service.set, slot, 0})));
    if (backend && backend->port_be == socket.port_be && bytes_of(backend->address) == bytes_of(socket.backend))
      return true;
  }
  return false;
}

Result<bool> is_listed(kernel::Programs& programs, const frontend_value& service, const socket_key& socket) {
  return TRY(is_member(programs, service, socket)) ||
         TRY(programs.map("members")->lookup(bytes_of(member_of(service, socket))));
}

Result<size_t> end_stale_sockets(kernel::Programs& programs, kernel::Sockets& sockets) {
  size_t ended = 0;
  for (const auto& socket : TRY(sockets.connected(net::Protocol::kUdp))) {
    if (!TRY(is_stale(programs, socket))) continue;
    if (auto aborted = sockets.abort(socket); aborted)
      ++ended;
    else if (aborted.error().kind != ErrorKind::kNotFound)
      return std::unexpected(aborted.error());
  }
  return ended;
}

}  // namespace carrick::realize
