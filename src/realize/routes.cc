#include "realize/routes.h"

#include <algorithm>

namespace carrick::realize {
namespace {

// Next hop inside the tunnel device; no host has it. Its MAC never leaves the node.
const net::IpAddress& overlay_gateway(bool v4) {
  static const auto gateway4 = *net::IpAddress::parse("169.254.1.2"), gateway6 = *net::IpAddress::parse("fe80::2");
  return v4 ? gateway4 : gateway6;
}

std::optional<net::IpAddress> own_address(const RouteConfig& config, bool v4) {
  auto found = std::ranges::find_if(config.addresses, [&](const auto& a) { return a.is_v4() == v4; });
  return found == config.addresses.end() ? std::nullopt : std::optional(*found);
}

// Not kernel::kRouteProtocol: that marks routes of pods' wires and of whoever built the node, which are not ours to
// prune.
constexpr uint8_t kPodCidrProtocol = kernel::kRouteProtocol + 1;

bool is_ours(const kernel::Route& route) { return route.protocol == kPodCidrProtocol; }

}  // namespace

Result<RouteStatus> RouteTarget::apply(const desired::RouteTable& table, const RouteConfig& config, bool prune) {
  RouteStatus status;
  std::vector<kernel::Route> wanted;
  for (const auto& [cidr, row] : table) {
    kernel::Route route{
        .destination = cidr, .prefsrc = own_address(config, cidr.is_v4()), .protocol = kPodCidrProtocol};
    if (config.overlay_ifindex) {
      route.ifindex = config.overlay_ifindex;
      route.via = overlay_gateway(cidr.is_v4());
      route.onlink = true;
    } else {
      auto hop = netlink_->route_to(row.node);
      if (!hop) {
        status.failures.push_back(fmt::format("pod CIDR {} of node {}: no way to {}: {}", cidr.str(), row.node_name,
                                              row.node.str(), hop.error().message));
        continue;
      }
      if (hop->via || row.node.is_v4() != cidr.is_v4()) continue;
      route.ifindex = hop->ifindex;
      route.via = row.node;
    }
    wanted.push_back(route);
  }
  auto present = TRY(netlink_->routes());
  auto same_place = [](const kernel::Route& a, const kernel::Route& b) {
    return a.destination == b.destination && a.ifindex == b.ifindex && a.via == b.via;
  };
  if (config.overlay_ifindex)
    for (bool v4 : {true, false})
      if (own_address(config, v4))
        TRY_VOID(netlink_->apply({kernel::AddNeighbor{
            {config.overlay_ifindex, overlay_gateway(v4), net::MacAddress::derived_from("overlay")}}}));
  for (const auto& route : wanted) {
    if (!std::ranges::any_of(present, [&](const auto& p) { return is_ours(p) && same_place(p, route); })) {
      if (auto added = netlink_->apply({kernel::AddRoute{route}}); !added) {
        status.failures.push_back(added.error().message);
        continue;
      }
    }
    ++status.rows;
  }
  if (prune)
    for (const auto& old : present)
      if (is_ours(old) && !std::ranges::any_of(wanted, [&](const auto& w) { return same_place(w, old); }))
        if (auto removed = netlink_->apply({kernel::RemoveRoute{old}}); !removed)
          status.failures.push_back(removed.error().message);
  return status;
}

}  // namespace carrick::realize
