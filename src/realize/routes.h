#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "desired/routes/routes.h"
#include "kernel/netlink.h"

// routes in the node's own stack: for its processes and hostNetwork pods, and for redirects that ask the stack for the
// next hop.
namespace carrick::realize {

struct RouteConfig {
  uint32_t overlay_ifindex = 0;           // 0 = native routing
  std::vector<net::IpAddress> addresses;  // of the node: source of what it sends to pods elsewhere
};

struct RouteStatus {
  size_t rows = 0;
  std::vector<std::string> failures;  // "podCIDR of node b: sentence"
};

// Native: a route only where the other node is on link; behind a router the underlay has to know the pod CIDRs.
// Overlay: through a next hop that exists only as a permanent neighbour; the program at the device's egress finds the
// real one.
class RouteTarget {
 public:
  explicit RouteTarget(std::unique_ptr<kernel::Netlink> node) : netlink_(std::move(node)) {}

  // Reads back, diffs, applies; pod CIDR routes of ours that no row wants go only with `prune`.
  Result<RouteStatus> apply(const desired::RouteTable& table, const RouteConfig& config, bool prune);

 private:
  std::unique_ptr<kernel::Netlink> netlink_;
};

}  // namespace carrick::realize
