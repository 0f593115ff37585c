#pragma once

#include <map>
#include <optional>
#include <set>

#include "desired/policy/policy.h"

namespace carrick::desired {

// Everything that claims an address, kept so that one changed object touches only its own addresses. What an address
// means: the node's DNS server, else a node, else a pod plumbed here, else a living pod elsewhere.
class PeerIndex {
 public:
  // Facts of the node and of all nodes; pods are added by set_pod.
  PeerIndex(const k8s::Snapshot& snapshot, const NodeView& node);

  // Each gives the addresses whose row may have changed.
  std::set<net::IpAddress> set_pod(const k8s::NamespacedName& key, const k8s::Pod* pod, Identity identity);
  std::set<net::IpAddress> set_local_pods(const NodeView& node, const k8s::Snapshot& snapshot,
                                          const IdentityTable& identities);

  std::optional<PeerRow> row(const net::IpAddress& address) const;
  const PeerTable& node_rows() const { return node_rows_; }
  std::set<net::IpAddress> pod_addresses() const;

 private:
  struct PodClaim {
    std::vector<net::IpAddress> addresses;
    Identity identity = kNoIdentity;
    std::string node_name, created;
    bool deleting = false;
    bool operator==(const PodClaim&) const = default;
  };
  net::IpAddress address_of_node(const std::string& name, const net::IpAddress& for_peer) const;
  PeerRow remote_row(const k8s::NamespacedName& key, const PodClaim& claim, const net::IpAddress& address) const;

  std::string node_name_;
  bool tunnels_;
  bool has_v4_ = false;
  std::map<std::string, std::vector<net::IpAddress>> nodes_;  // InternalIPs
  PeerTable node_rows_;                                       // nodes, DNS server, pod CIDRs
  std::map<net::IpAddress, PeerRow> local_;
  std::map<k8s::NamespacedName, PodClaim> pods_;
  std::map<net::IpAddress, std::set<k8s::NamespacedName>> claims_;
};

// InternalIP of another node that the tunnel (v4 where both ends have it) or the next hop (the peer's family) uses.
net::IpAddress choose_node_address(const std::vector<net::IpAddress>& addresses, bool tunnelled, bool self_has_v4,
                                   bool peer_is_v4);

}  // namespace carrick::desired
