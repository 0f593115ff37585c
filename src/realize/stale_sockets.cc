#include "realize/stale_sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "realize/encode.h"

namespace carrick::realize {
namespace {

template <class T>
Result<std::optional<T>> look_up(kernel::Map& map, const std::string& key) {
  const auto found = TRY(map.lookup(key));
  std::optional<T> out;
  if (found && found->size() == sizeof(T)) std::memcpy(&out.emplace(), found->data(), sizeof(T));
  return out;
}

bool is_loopback(const wire_address& address) {
  for (const char* text : {"127.0.0.1", "::1"})
    if (bytes_of(address) == bytes_of(wire_of(net::IpAddress::parse(text).value()))) return true;
  return false;
}

// As bpf/lib/services.h asks it.
Result<bool> is_member(kernel::Programs& programs, const frontend_value& service, const wire_address& address,
                       uint16_t port_be) {
  if (service.count > FEW_BACKENDS) {
    member_key member{};
    member.set = service.set;
    member.address = address;
    member.port_be = port_be;
    return TRY(programs.map("members")->lookup(bytes_of(member))).has_value();
  }
  for (uint32_t slot = 0; slot < service.count; ++slot) {
    const auto backend =
        TRY(look_up<backend_value>(*programs.map("backends"), bytes_of(backend_key{service.set, slot, 0})));
    if (backend && backend->port_be == port_be && bytes_of(backend->address) == bytes_of(address)) return true;
  }
  return false;
}

// False for sockets that no service has anything to do with.
Result<bool> is_stale(kernel::Programs& programs, const kernel::ConnectedUdp& socket) {
  socket_key key{};
  key.cookie = socket.cookie;
  key.backend = wire_of(socket.peer.address);
  key.port_be = htons(socket.peer.port);
  const auto led = TRY(look_up<socket_value>(*programs.map("sockets"), bytes_of(key)));
  if (!led) return false;
  frontend_key frontend{};
  frontend.address = led->frontend;
  frontend.port_be = led->port_be;
  frontend.protocol = IPPROTO_UDP;
  frontend.scope = is_loopback(led->frontend) ? SCOPE_LOOPBACK : SCOPE_INTERNAL;
  const auto service = TRY(look_up<frontend_value>(*programs.map("frontends"), bytes_of(frontend)));
  if (!service) return true;
  return !TRY(is_member(programs, *service, key.backend, key.port_be));
}

}  // namespace

Result<size_t> end_stale_sockets(kernel::Programs& programs, kernel::UdpSockets& sockets) {
  size_t ended = 0;
  for (const auto& socket : TRY(sockets.connected())) {
    if (!TRY(is_stale(programs, socket))) continue;
    if (auto aborted = sockets.abort(socket); aborted)
      ++ended;
    else if (aborted.error().kind != ErrorKind::kNotFound)
      return std::unexpected(aborted.error());
  }
  return ended;
}

}  // namespace carrick::realize
