#pragma once

#include <memory>
#include <vector>

#include "exchange.h"
#include "kernel/netlink.h"

// The floors: paths without Carrick, in anonymous network namespaces that vanish with this process. IPv4.
namespace carrick::bench {

struct Space {
  Fd fd;
  std::unique_ptr<kernel::Netlink> netlink;
};

struct FloorPath {
  std::vector<Space> spaces;  // the first holds the client, the last the server
  Endpoints endpoints() const;
  net::IpAddress server;
};

// Two namespaces and one veth pair: what the machine can do at best.
Result<FloorPath> raw_veth();
// Pod, node, fabric, node, pod: a /32 and a default route in the pods, plain routing in between, permanent neighbours,
// no netfilter: the shape of a lab of two nodes without a program.
Result<FloorPath> routed_nodes();

}  // namespace carrick::bench
