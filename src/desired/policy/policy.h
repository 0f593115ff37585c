#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "desired/node_view.h"
#include "desired/owner.h"
#include "desired/pods/pods.h"
#include "k8s/snapshot.h"

// policy: which new connections a pod may receive and make. NetworkPolicy v1, ClusterNetworkPolicy v1alpha2.
namespace carrick::desired {

enum class Direction : uint8_t { kIngress = 0, kEgress = 1 };

// The set of ipBlocks that contain an address, as a stable number; 0 = none. The most specific prefix wins, and every
// prefix named by any ipBlock (cidr or except) is a row, so one lookup gives the exact set (NP-7).
using CidrClass = uint32_t;
using CidrTable = std::map<net::Prefix, CidrClass>;

enum class PolicyPeerKind : uint8_t { kAny = 0, kIdentity = 1, kCidrClass = 2, kAnyPod = 3 };

// Admin is asked first, then NetworkPolicy, then Baseline (CNP-3).
enum class PolicyTier : uint8_t { kAdmin = 0, kNetworkPolicy = 1, kBaseline = 2 };
enum class PolicyAction : uint8_t { kAccept = 0, kDeny = 1, kPass = 2 };

// The rule of a ClusterNetworkPolicy that comes first of those that a row stands for.
struct TierRule {
  uint32_t order = 0;  // within the tier and direction; lower first. Below 1 << 30
  PolicyAction action = PolicyAction::kAccept;
  Owner owner;
  auto operator<=>(const TierRule&) const = default;
};

// What rules say of one combination. The data plane looks up (identity), (any pod), (cidr class), (anybody), takes of
// each tier the first rule that any of the four names, and asks the tiers in order.
struct PolicyKey {
  Identity subject = kNoIdentity;
  Direction direction = Direction::kIngress;
  PolicyPeerKind peer_kind = PolicyPeerKind::kAny;
  uint32_t peer = 0;                             // Identity or CidrClass
  net::Protocol protocol = net::Protocol::kAny;  // kAny = every protocol, port_bits must be 0
  uint16_t port = 0;                             // host order, of the destination
  uint8_t port_bits = 0;  // leading bits of port that count: 16 exact, 0 all; ranges are split in blocks
  auto operator<=>(const PolicyKey&) const = default;
};
struct PolicyRow {
  std::vector<Owner> allowed_by;            // every rule of a NetworkPolicy that permits it, in order
  std::optional<TierRule> admin, baseline;  // where a row of more ports says something too, this one repeats it
  bool operator==(const PolicyRow&) const = default;
};

// For explain: why a pod is isolated, and the rules a packet could have matched (nearest miss).
struct PolicyRule {
  Owner owner;  // clause "spec.ingress[0]"
  Direction direction = Direction::kIngress;
  k8s::NamespacedName policy;
  int index = 0;
  PolicyTier tier = PolicyTier::kNetworkPolicy;
  PolicyAction action = PolicyAction::kAccept;
  uint32_t order = 0;              // TierRule
  std::vector<Identity> subjects;  // these three sorted
  bool any_peer = false, any_pod = false;
  std::vector<Identity> peers;
  std::vector<CidrClass> classes;
  // A named port is another number at each destination: of the subject (ingress), of the peer (egress), or of the pods
  // in an ipBlock that have it (egress; they are a class of their own).
  struct Port {
    net::Protocol protocol = net::Protocol::kTcp;
    uint16_t first = 0, last = 65535;
    std::map<Identity, uint16_t> named;
    bool is_named = false;
    std::string name;
    std::set<std::pair<CidrClass, uint16_t>> named_classes;  // pods of one node's network may differ
    bool operator==(const Port&) const = default;
  };
  bool any_port = false;
  std::vector<Port> ports;
  bool operator==(const PolicyRule&) const = default;
};
struct PolicyTable {
  std::map<PolicyKey, PolicyRow> rows;
  CidrTable cidrs;
  std::map<Identity, std::vector<Owner>> ingress_isolated_by, egress_isolated_by;  // by NetworkPolicies
  std::set<Identity> ingress_tiered, egress_tiered;  // a ClusterNetworkPolicy has rules for them
  std::vector<PolicyRule> rules;                     // explain only
  bool operator==(const PolicyTable&) const = default;
};

// Identity of every pod in the snapshot, with or without address, by pod key. Not of hostNetwork pods (their packets
// are the node's, NP-11) and not of finished ones.
using IdentityTable = std::map<k8s::NamespacedName, Identity>;
IdentityTable compile_identities(const k8s::Snapshot& snapshot);

// `subjects`: identities of pods on this node; rows, isolation and rules of others are not made. Empty set = all
// (explain).
PolicyTable compile_policy(const k8s::Snapshot& snapshot, const IdentityTable& identities,
                           const std::set<Identity>& subjects);

PodTable compile_pods(const k8s::Snapshot& snapshot, const NodeView& node, const IdentityTable& identities,
                      const PolicyTable& policy);
PeerTable compile_peers(const k8s::Snapshot& snapshot, const NodeView& node, const IdentityTable& identities);

}  // namespace carrick::desired
