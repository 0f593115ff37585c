#pragma once

#include <cstring>
#include <optional>
#include <string>

#include "kernel/connected_sockets.h"
#include "kernel/programs.h"
#include "wire/services.h"

// What the maps say of a socket that connect() led to a backend.
namespace carrick::realize {

template <class T>
Result<std::optional<T>> look_up(kernel::Map& map, const std::string& key) {
  const auto found = TRY(map.lookup(key));
  std::optional<T> out;
  if (found && found->size() == sizeof(T)) std::memcpy(&out.emplace(), found->data(), sizeof(T));
  return out;
}

socket_key key_of(const kernel::ConnectedSocket& socket);
// The frontend by which it was led, as it is now.
Result<std::optional<frontend_value>> frontend_of(kernel::Programs& programs, const socket_value& led,
                                                  uint8_t protocol);
// Is its backend still one of the service's, and one of its endpoints at all? As bpf/lib/services.h asks it.
Result<bool> is_member(kernel::Programs& programs, const frontend_value& service, const socket_key& socket);
Result<bool> is_listed(kernel::Programs& programs, const frontend_value& service, const socket_key& socket);
// False: it had ended already.
Result<bool> abort_if_there(kernel::Sockets& sockets, const kernel::ConnectedSocket& socket);

}  // namespace carrick::realize
