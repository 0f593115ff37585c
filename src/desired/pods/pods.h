#pragma once

#include <cstdint>
#include <map>

#include "base/shared_map.h"
#include "desired/node_view.h"
#include "desired/owner.h"
#include "k8s/snapshot.h"

// pods: who is behind an address, and which of them live here.
namespace carrick::desired {

// Node-local number of a set of pods that no policy can tell apart: equal namespace labels, pod labels (of those some
// policy looks at) and named ports. A stable hash of that content, so restarts and re-computation give the same
// numbers.
using Identity = uint32_t;
inline constexpr Identity kNoIdentity = 0;          // outside the cluster, or an address nobody has
inline constexpr Identity kThisNodeIdentity = 1;    // NP-10: always allowed in
inline constexpr Identity kRemoteNodeIdentity = 2;  // hostNetwork pods and node processes elsewhere
inline constexpr Identity kNodeDnsIdentity = 3;     // the node's own DNS server
inline constexpr Identity kFirstPodIdentity = 16;

// What travels through the from_pod hook of one local pod. Key: ifindex of the host end. No row = every packet dropped.
struct PodRow {
  std::vector<net::IpAddress> addresses;  // the only source addresses it may use
  net::MacAddress pod_mac, host_mac;
  std::string host_link;
  Identity identity = kNoIdentity;
  bool ingress_isolated = false, egress_isolated = false;  // some NetworkPolicy selects it
  bool ingress_tiered = false, egress_tiered = false;      // some ClusterNetworkPolicy has rules for it
  bool blocked = false;  // its object is not known yet: closed in both directions (NP-17)
  Owner owner;
  bool operator==(const PodRow&) const = default;
};
using PodTable = std::map<uint32_t, PodRow>;

enum class PeerKind : uint8_t {
  kLocalPod = 1,
  kRemotePod = 2,
  kThisNode = 3,
  kRemoteNode = 4,
  kNodeDns = 5,
  kRemotePodCidr = 6,
  kLocalPodCidr = 7,
  kServiceCidr = 8,  // ClusterIPs: what no frontend has is refused or dropped (SVC-D4)
};

// Who has an address. Longest prefix wins; no row = outside the cluster (masqueraded on the way out).
struct PeerRow {
  PeerKind kind = PeerKind::kRemotePod;
  Identity identity = kNoIdentity;
  uint32_t ifindex = 0;  // kLocalPod: host end of its veth
  net::IpAddress node;   // kRemotePod, kRemotePodCidr: InternalIP of its node (the family the tunnel or next hop uses)
  Owner owner;
  bool operator==(const PeerRow&) const = default;
};
using PeerTable = SharedMap<net::Prefix, PeerRow>;

}  // namespace carrick::desired
