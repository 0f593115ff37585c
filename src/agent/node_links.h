#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/agent.h"
#include "kernel/netlink.h"
#include "watch/client.h"

// The node's own links and addresses that the data plane stands on.
namespace carrick::agent {

struct NodeLinks {
  uint32_t uplink_ifindex = 0, overlay_ifindex = 0;
  std::string uplink;
  bool uplink_peer = false;  // packets may be handed to the uplink's other end at once: a veth without a queue
  uint32_t uplink_mtu = 1500;
  uint32_t pod_mtu = 1500;  // of the uplink less the tunnel's overhead
  bool dsr = false;
  uint64_t netns_cookie = 0;                  // of the node's namespace; 0: this kernel does not tell
  std::vector<net::IpAddress> dns_addresses;  // on lo, for the node's DNS server
};

// Idempotent: finds the uplink, makes the tunnel device, puts the DNS addresses on lo, switches forwarding on.
Result<NodeLinks> prepare_links(const AgentOptions& options, const watch::Credentials& credentials,
                                kernel::Network& network);

}  // namespace carrick::agent
