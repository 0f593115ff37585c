#pragma once

#include <optional>

#include "explain/explain.h"

// Lookups in the tables, as the data plane makes them.
namespace carrick::explain {

struct PodPlace {
  const k8s::Pod* pod = nullptr;
  std::string node;
  std::vector<net::IpAddress> addresses;
  bool host_network = false;
  const std::set<desired::Listener>* listeners = nullptr;
  const net::IpAddress* address(Family family) const;  // null: none of that family
};

// What the policies of one pod say of one peer and port.
struct Ruling {
  // kNobody: no tier decides, and so it is allowed.
  enum class Decider { kNobody, kAdmin, kNetworkPolicy, kBaseline } decider = Decider::kNobody;
  bool allowed = true;
  std::vector<desired::Owner> owners;  // the rules that decide; of a default deny the policies that isolate
  std::vector<desired::Owner> passed;  // Pass rules on the way there
  bool by_cluster_policy() const { return decider == Decider::kAdmin || decider == Decider::kBaseline; }
};

class Judge {
 public:
  explicit Judge(const World& world);

  const World& world() const { return world_; }
  const std::map<k8s::NamespacedName, PodPlace>& pods() const { return pods_; }  // living, bound, with an address
  const PodPlace* pod(const k8s::NamespacedName& key) const;
  const PodPlace* pod_at(const net::IpAddress& address) const;  // not hostNetwork pods
  const std::string* node_at(const net::IpAddress& address) const;
  const desired::Tables* tables(const std::string& node) const;

  // Longest prefix; null = outside the cluster.
  const desired::PeerRow* peer(const desired::Tables& tables, const net::IpAddress& address) const;
  desired::CidrClass cidr_class(const desired::Tables& tables, const net::IpAddress& address) const;
  // The row that from_pod finds for the pod behind an address of this node; null = none.
  const desired::PodRow* local_pod(const desired::Tables& tables, const net::IpAddress& address) const;
  Ruling rule(const desired::Tables& tables, const desired::PodRow& subject, desired::Direction direction,
              const net::IpAddress& peer_address, const desired::Listener& port) const;
  const desired::FrontendRow* frontend(const desired::Tables& tables, const net::IpAddress& address,
                                       const desired::Listener& port, desired::FrontendScope scope) const;
  // Somebody answers there: the pod itself, or a hostNetwork pod of the node that has the address.
  bool listens(const net::IpAddress& address, const desired::Listener& port) const;

 private:
  struct Index {
    std::vector<int> peer_lengths, cidr_lengths;  // prefix lengths in use, longest first
    std::set<uint8_t> port_bits;
  };
  const Index& index(const desired::Tables& tables) const { return indexes_.at(&tables); }

  const World& world_;
  std::map<k8s::NamespacedName, PodPlace> pods_;
  std::map<net::IpAddress, k8s::NamespacedName> by_address_;
  std::map<net::IpAddress, std::string> nodes_;
  std::map<std::string, std::set<desired::Listener>> node_listeners_;
  std::map<const desired::Tables*, Index> indexes_;
};

inline bool of_family(const net::IpAddress& address, Family family) {
  return family == Family::kAny || address.is_v4() == (family == Family::kV4);
}

// Stages egress, route, ingress, listener of one connection to an address that is no frontend.
struct Connection {
  net::IpAddress source;
  const PodPlace* source_pod = nullptr;  // null: a node, or outside
  net::SocketAddress target;
  net::Protocol protocol = net::Protocol::kTcp;
  net::IpAddress seen_as;  // the source that the receiver sees, when it is not `source` (SVC-D8)
  std::string entry_node;  // of a client outside: the node whose uplink the packet took
};
struct Outcome {
  Verdict verdict = Verdict::kAllow;
  std::vector<desired::Owner> owners;
};
// `decisions`: filled for people when not null; the outcome is the same without.
Outcome judge_connection(const Judge& judge, const Connection& connection, std::vector<Decision>* decisions);

// nearest.cc: for a default deny, the rule that would have needed the fewest changes.
void describe_nearest(const Judge& judge, const desired::Tables& tables, const desired::PodRow& subject,
                      desired::Direction direction, const net::IpAddress& peer_address, const desired::Listener& port,
                      Decision& decision);

std::string port_text(const desired::Listener& port);  // "80/tcp"
std::string who(const Judge& judge,
                const net::IpAddress& address);  // "shop/web-0", "node node1", "10.9.9.9 (outside the cluster)"

}  // namespace carrick::explain
