#include "realize/removed_connections.h"

#include <netinet/in.h>

#include <map>

#include "realize/encode.h"
#include "realize/led_sockets.h"

namespace carrick::realize {
namespace {

// The question of `endpoint_removed` in bpf/lib/judge.h.
Result<bool> is_removed(kernel::Programs& programs, const socket_key& socket, const socket_value& led) {
  const auto service = TRY(frontend_of(programs, led, IPPROTO_TCP));
  if (service && static_cast<uint32_t>(service->service_id) == led.service)
    return !TRY(is_listed(programs, *service, socket));
  address_lpm_key address{};
  address.length = 128;
  address.address = socket.backend;
  const auto peer = TRY(look_up<peer_value>(*programs.map("peers"), bytes_of(address)));
  return peer && (peer->kind == PEER_LOCAL_POD_CIDR || peer->kind == PEER_REMOTE_POD_CIDR);
}

// By cookie: the keys in `sockets`.
Result<std::multimap<uint64_t, std::string>> led_to_removed(kernel::Programs& programs) {
  std::multimap<uint64_t, std::string> out;
  std::map<std::string, bool> known;  // many sockets, few endpoints
  for (const auto& entry : TRY(programs.map("sockets")->read_all())) {
    socket_key key;
    socket_value led;
    if (entry.key.size() != sizeof key || entry.value.size() != sizeof led) continue;
    std::memcpy(&key, entry.key.data(), sizeof key);
    std::memcpy(&led, entry.value.data(), sizeof led);
    if (led.protocol != IPPROTO_TCP) continue;
    const std::string question = entry.value + entry.key.substr(sizeof key.cookie);
    auto found = known.find(question);
    if (found == known.end()) found = known.emplace(question, TRY(is_removed(programs, key, led))).first;
    if (found->second) out.emplace(key.cookie, entry.key);
  }
  return out;
}

}  // namespace

Result<size_t> end_removed_connections(kernel::Programs& programs, kernel::Sockets& sockets,
                                       const EachNamespace& each) {
  const auto removed = TRY(led_to_removed(programs));
  if (removed.empty()) return 0;
  size_t ended = 0;
  std::optional<Error> failed;
  const auto look = [&]() -> Result<void> {
    for (const auto& socket : TRY(sockets.connected(net::Protocol::kTcp))) {
      const std::string key = bytes_of(key_of(socket));
      const auto [first, last] = removed.equal_range(socket.cookie);
      if (std::none_of(first, last, [&](const auto& one) { return one.second == key; })) continue;
      if (TRY(abort_if_there(sockets, socket))) ++ended;
    }
    return {};
  };
  each([&] {
    if (auto looked = look(); !looked) failed = looked.error();
  });
  if (failed) return std::unexpected(*failed);  // asked again at the next change
  std::vector<std::string> keys;
  for (const auto& [cookie, key] : removed) keys.push_back(key);
  if (auto forgotten = programs.map("sockets")->remove(keys); forgotten.error) return std::unexpected(*forgotten.error);
  return ended;
}

}  // namespace carrick::realize
