#include <algorithm>

#include "base/text.h"
#include "explain/policy.h"

namespace carrick::explain {
namespace {

constexpr uint32_t kLastPort = 65535;
constexpr std::array<net::Protocol, 4> kProtocols = {net::Protocol::kTcp, net::Protocol::kUdp, net::Protocol::kSctp,
                                                     net::Protocol::kAny};

size_t group_of(net::Protocol protocol) {
  for (size_t i = 0; i < 3; ++i)
    if (kProtocols[i] == protocol) return i;
  return 3;
}

}  // namespace

PortSet PortSet::everything() {
  PortSet out;
  for (auto& ranges : out.groups_) ranges = {{0, kLastPort}};
  return out;
}

PortSet PortSet::range(net::Protocol protocol, uint16_t first, uint16_t last) {
  PortSet out;
  out.groups_[group_of(protocol)] = {{first, last}};
  return out;
}

bool PortSet::empty() const {
  return std::ranges::all_of(groups_, [](const Ranges& ranges) { return ranges.empty(); });
}

bool PortSet::contains(const desired::Listener& port) const {
  return std::ranges::any_of(groups_[group_of(port.protocol)],
                             [&](const auto& range) { return port.port >= range.first && port.port <= range.second; });
}

desired::Listener PortSet::first() const {
  for (size_t i = 0; i < kGroups; ++i)
    if (!groups_[i].empty()) return {static_cast<uint16_t>(std::max(groups_[i].front().first, 1u)), kProtocols[i]};
  return {};
}

// One pass over the places where either set begins or ends.
template <class Keep>
PortSet PortSet::combine(const PortSet& a, const PortSet& b, Keep keep) {
  PortSet out;
  for (size_t i = 0; i < kGroups; ++i) {
    std::vector<uint32_t> edges;
    for (const Ranges* ranges : {&a.groups_[i], &b.groups_[i]})
      for (const auto& [first, last] : *ranges) edges.insert(edges.end(), {first, last + 1});
    std::ranges::sort(edges);
    edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
    const auto in = [&](const Ranges& ranges, uint32_t at) {
      return std::ranges::any_of(ranges, [&](const auto& range) { return at >= range.first && at <= range.second; });
    };
    for (size_t e = 0; e + 1 < edges.size(); ++e) {
      if (!keep(in(a.groups_[i], edges[e]), in(b.groups_[i], edges[e]))) continue;
      auto& ranges = out.groups_[i];
      if (!ranges.empty() && ranges.back().second + 1 == edges[e])
        ranges.back().second = edges[e + 1] - 1;
      else
        ranges.emplace_back(edges[e], edges[e + 1] - 1);
    }
  }
  return out;
}

PortSet operator|(const PortSet& a, const PortSet& b) {
  return PortSet::combine(a, b, [](bool x, bool y) { return x || y; });
}
PortSet operator&(const PortSet& a, const PortSet& b) {
  return PortSet::combine(a, b, [](bool x, bool y) { return x && y; });
}
PortSet operator-(const PortSet& a, const PortSet& b) {
  return PortSet::combine(a, b, [](bool x, bool y) { return x && !y; });
}

std::string PortSet::str() const {
  if (*this == everything()) return "all";
  if (empty()) return "none";
  std::vector<std::string> parts;
  for (size_t i = 0; i < kGroups; ++i) {
    if (groups_[i].empty()) continue;
    std::string word = i == kOther ? "other protocols" : lower(net::protocol_name(kProtocols[i]));
    std::vector<std::string> ranges;
    for (const auto& [first, last] : groups_[i])
      ranges.push_back(first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last));
    const bool whole = groups_[i].size() == 1 && groups_[i][0] == std::pair(0u, kLastPort);
    parts.push_back(whole ? word : word + " " + join(ranges, ","));
  }
  return join(parts, "; ");
}

}  // namespace carrick::explain
