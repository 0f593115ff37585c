#include "realize/led_sockets.h"

#include <arpa/inet.h>

#include "realize/encode.h"

namespace carrick::realize {
namespace {

bool is_loopback(const wire_address& address) {
  for (const char* text : {"127.0.0.1", "::1"})
    if (bytes_of(address) == bytes_of(wire_of(net::IpAddress::parse(text).value()))) return true;
  return false;
}

member_key member_of(const frontend_value& service, const socket_key& socket) {
  member_key member{};
  member.set = service.set;
  member.address = socket.backend;
  member.port_be = socket.port_be;
  return member;
}

}  // namespace

socket_key key_of(const kernel::ConnectedSocket& socket) {
  socket_key key{};
  key.cookie = socket.cookie;
  key.backend = wire_of(socket.peer.address);
  key.port_be = htons(socket.peer.port);
  return key;
}

Result<std::optional<frontend_value>> frontend_of(kernel::Programs& programs, const socket_value& led,
                                                  uint8_t protocol) {
  frontend_key frontend{};
  frontend.address = led.frontend;
  frontend.port_be = led.port_be;
  frontend.protocol = protocol;
  frontend.scope = is_loopback(led.frontend) ? SCOPE_LOOPBACK : SCOPE_INTERNAL;
  return look_up<frontend_value>(*programs.map("frontends"), bytes_of(frontend));
}

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

Result<bool> abort_if_there(kernel::Sockets& sockets, const kernel::ConnectedSocket& socket) {
  auto aborted = sockets.abort(socket);
  if (!aborted && aborted.error().kind != ErrorKind::kNotFound) return std::unexpected(aborted.error());
  return aborted.has_value();
}

}  // namespace carrick::realize
