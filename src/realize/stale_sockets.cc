#include "realize/stale_sockets.h"

#include <netinet/in.h>

#include "realize/encode.h"
#include "realize/led_sockets.h"

namespace carrick::realize {
namespace {

// False for sockets that no service has anything to do with.
Result<bool> is_stale(kernel::Programs& programs, const kernel::ConnectedSocket& socket) {
  const socket_key key = key_of(socket);
  const auto led = TRY(look_up<socket_value>(*programs.map("sockets"), bytes_of(key)));
  if (!led) return false;
  const auto service = TRY(frontend_of(programs, *led, IPPROTO_UDP));
  if (!service) return true;
  return !TRY(is_member(programs, *service, key));
}

}  // namespace

Result<size_t> end_stale_sockets(kernel::Programs& programs, kernel::Sockets& sockets) {
  size_t ended = 0;
  for (const auto& socket : TRY(sockets.connected(net::Protocol::kUdp)))
    if (TRY(is_stale(programs, socket)) && TRY(abort_if_there(sockets, socket))) ++ended;
  return ended;
}

}  // namespace carrick::realize
