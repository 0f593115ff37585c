#pragma once

#include <cstdint>
#include <optional>

#include "net/ip.h"

namespace carrick::kernel {

// Marks routes of ours (rtm_protocol): a reconciler may remove these and no others.
inline constexpr uint8_t kRouteProtocol = 205;

enum class RouteType : uint8_t { kUnicast = 1, kLocal = 2, kBlackhole = 6, kUnreachable = 7 };

struct Route {
  net::Prefix destination;
  uint32_t ifindex = 0;
  std::optional<net::IpAddress> via = {};
  bool onlink = false;  // `via` is taken as neighbour on the link although no address says so
  std::optional<net::IpAddress> prefsrc = {};
  uint32_t metric = 0;  // 0 = the kernel's default (IPv4 0, IPv6 1024)
  uint32_t mtu = 0;     // 0 = that of the device
  uint32_t table = 254;
  RouteType type = RouteType::kUnicast;
  uint8_t protocol = kRouteProtocol;
  bool operator==(const Route&) const = default;
};

struct AddRoute {
  Route route;  // replaces a route to the same destination, table and metric
};
struct RemoveRoute {
  Route route;  // missing is success
};

// Where a packet to an address would leave.
struct RouteAnswer {
  uint32_t ifindex = 0;
  std::optional<net::IpAddress> via = {};      // none = on link
  std::optional<net::IpAddress> prefsrc = {};  // source address a local sender would use
  uint32_t mtu = 0;                            // of the route; 0 = of the device
  bool local = false;                          // the address is of this namespace itself
};

}  // namespace carrick::kernel
