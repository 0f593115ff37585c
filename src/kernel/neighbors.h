#pragma once

#include <cstdint>

#include "net/ip.h"

namespace carrick::kernel {

// Permanent entries only: the limit of learnt entries (gc_thresh3 = 1024) is one for all namespaces of a machine.
struct Neighbor {
  uint32_t ifindex = 0;
  net::IpAddress address;
  net::MacAddress mac;
  auto operator<=>(const Neighbor&) const = default;
};

struct AddNeighbor {
  Neighbor neighbor;  // replaces
};
struct RemoveNeighbor {
  Neighbor neighbor;  // missing is success
};

}  // namespace carrick::kernel
