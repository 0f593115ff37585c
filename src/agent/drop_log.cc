#include "agent/drop_log.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <cstring>
#include <ctime>

#include "base/timestamp.h"
#include "kernel/programs.h"
#include "realize/encode.h"

namespace carrick::agent {
namespace {

namespace json = boost::json;

std::string protocol_text(uint8_t number) {
  auto name = net::protocol_name(static_cast<net::Protocol>(number));
  return number == 0 || name.empty() ? std::to_string(number) : std::string(name);
}

json::object party(const net::IpAddress& address, uint16_t port, const std::string& name) {
  return {{"address", address == net::IpAddress() ? "" : address.str()}, {"port", port}, {"name", name}};
}

constexpr int64_t kSecond = 1'000'000'000;  // in ns

std::string time_text(int64_t nanos) {
  return timestamp_text({nanos / kSecond, static_cast<int32_t>(nanos % kSecond)}, 3).value_or("");
}

}  // namespace

std::string name_of(const desired::Tables& tables, const net::SocketAddress& at, net::Protocol protocol) {
  auto without_clause = [](desired::Owner owner) {
    owner.clause = {};
    return owner.str();
  };
  if (auto peer = tables.peers.find(net::Prefix::host(at.address)); peer != tables.peers.end()) {
    if (peer->second.kind == desired::PeerKind::kNodeDns) return "DNS server of the node";
    if (!peer->second.owner.name.empty()) return without_clause(peer->second.owner);
  }
  for (auto scope : {desired::FrontendScope::kInternal, desired::FrontendScope::kExternal})
    for (const auto& [port, of] : {std::pair(at.port, protocol), {uint16_t{0}, net::Protocol::kAny}})
      if (auto row = tables.frontends.find({at.address, port, of, scope}); row != tables.frontends.end())
        return without_clause(row->second.owner);
  return "";
}

std::function<int64_t(uint64_t)> events_to_wall_clock() {
  timespec mono{}, wall{};
  ::clock_gettime(CLOCK_MONOTONIC, &mono);
  ::clock_gettime(CLOCK_REALTIME, &wall);
  const int64_t offset = (wall.tv_sec - mono.tv_sec) * kSecond + wall.tv_nsec - mono.tv_nsec;
  return [offset](uint64_t time) { return static_cast<int64_t>(time) + offset; };
}

size_t DropLog::Hash::operator()(const Key& key) const noexcept {
  const std::array<uint64_t, 4> parts = {
      std::hash<net::IpAddress>()(key.from), std::hash<net::IpAddress>()(key.to),
      static_cast<uint64_t>(key.ifindex) << 32 | static_cast<uint64_t>(key.to_port) << 16 | key.reason,
      static_cast<uint64_t>(key.hook) << 8 | key.protocol};
  return net::stable_hash({reinterpret_cast<const char*>(parts.data()), sizeof parts});
}

void DropLog::add(const drop_event& event, const Namer& namer) {
  ++events_;
  Key key{.from = realize::address_of(event.tuple.src),
          .to = realize::address_of(event.tuple.dst),
          .ifindex = event.ifindex,
          .to_port = ntohs(event.tuple.dport_be),
          .reason = event.reason,
          .hook = event.hook,
          .protocol = event.protocol};
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    if (entries_.size() >= limit_) {
      by_key_.erase(entries_.back().key);
      entries_.pop_back();
    }
    const auto protocol = static_cast<net::Protocol>(event.protocol);
    entries_.push_front({.key = key,
                         .from_name = namer({key.from, ntohs(event.tuple.sport_be)}, protocol),
                         .to_name = namer({key.to, key.to_port}, protocol)});
    found = by_key_.emplace(key, entries_.begin()).first;
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }
  Entry& entry = *found->second;
  entry.change = events_;
  ++entry.packets;
  entry.time = event.time;
  entry.length = event.length;
  entry.from_port = ntohs(event.tuple.sport_be);
}

json::object DropLog::since(uint64_t after, const std::function<int64_t(uint64_t)>& to_wall) const {
  json::array entries;
  for (const Entry& entry : entries_) {
    if (entry.change <= after) break;
    const Key& key = entry.key;
    entries.push_back({{"change", entry.change},
                       {"time", time_text(to_wall(entry.time))},
                       {"packets", entry.packets},
                       {"reason", kernel::drop_word(key.reason)},
                       {"hook", kernel::hook_word(key.hook)},
                       {"protocol", protocol_text(key.protocol)},
                       {"length", entry.length},
                       {"from", party(key.from, entry.from_port, entry.from_name)},
                       {"to", party(key.to, key.to_port, entry.to_name)}});
  }
  std::reverse(entries.begin(), entries.end());
  return {{"change", events_}, {"events", events_}, {"entries", std::move(entries)}};
}

}  // namespace carrick::agent
