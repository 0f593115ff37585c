#pragma once

#include "k8s/meta.h"

// policy.networking.k8s.io/v1alpha2
namespace carrick::k8s {

struct NamespacedPod {
  LabelSelector namespaceSelector, podSelector;
  bool operator==(const NamespacedPod&) const = default;
};
BOOST_DESCRIBE_STRUCT(NamespacedPod, (), (namespaceSelector, podSelector))
// A peer without any of these comes from a newer version of the API: its rule fails closed (CNP-6).
struct ClusterNetworkPolicyPeer {
  std::optional<LabelSelector> namespaces;
  std::optional<NamespacedPod> pods;
  std::optional<LabelSelector> nodes;  // these three: egress only
  std::vector<std::string> networks, domainNames;
  bool operator==(const ClusterNetworkPolicyPeer&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicyPeer, (), (namespaces, pods, nodes, networks, domainNames))
struct PolicyPortRange {
  int32_t start = 0, end = 0;
  bool operator==(const PolicyPortRange&) const = default;
};
BOOST_DESCRIBE_STRUCT(PolicyPortRange, (), (start, end))
struct PolicyDestinationPort {
  std::optional<int32_t> number;
  std::optional<PolicyPortRange> range;
  bool operator==(const PolicyDestinationPort&) const = default;
};
BOOST_DESCRIBE_STRUCT(PolicyDestinationPort, (), (number, range))
struct PolicyTransport {
  std::optional<PolicyDestinationPort> destinationPort;  // absent: every port
  bool operator==(const PolicyTransport&) const = default;
};
BOOST_DESCRIBE_STRUCT(PolicyTransport, (), (destinationPort))
struct ClusterNetworkPolicyProtocol {
  std::optional<PolicyTransport> tcp, udp, sctp;
  std::string destinationNamedPort;
  bool operator==(const ClusterNetworkPolicyProtocol&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicyProtocol, (), (tcp, udp, sctp, destinationNamedPort))
struct ClusterNetworkPolicyIngressRule {
  std::string name, action;  // Accept, Deny, Pass
  std::vector<ClusterNetworkPolicyPeer> from;
  std::vector<ClusterNetworkPolicyProtocol> protocols;  // empty: every protocol
  bool operator==(const ClusterNetworkPolicyIngressRule&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicyIngressRule, (), (name, action, from, protocols))
struct ClusterNetworkPolicyEgressRule {
  std::string name, action;
  std::vector<ClusterNetworkPolicyPeer> to;
  std::vector<ClusterNetworkPolicyProtocol> protocols;
  bool operator==(const ClusterNetworkPolicyEgressRule&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicyEgressRule, (), (name, action, to, protocols))
struct ClusterNetworkPolicySubject {
  std::optional<LabelSelector> namespaces;
  std::optional<NamespacedPod> pods;
  bool operator==(const ClusterNetworkPolicySubject&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicySubject, (), (namespaces, pods))
struct ClusterNetworkPolicySpec {
  std::string tier;      // Admin, Baseline
  int32_t priority = 0;  // 0 to 1000, lower first
  ClusterNetworkPolicySubject subject;
  std::vector<ClusterNetworkPolicyIngressRule> ingress;
  std::vector<ClusterNetworkPolicyEgressRule> egress;
  bool operator==(const ClusterNetworkPolicySpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicySpec, (), (tier, priority, subject, ingress, egress))
struct ClusterNetworkPolicy {
  ObjectMeta metadata;
  ClusterNetworkPolicySpec spec;
  bool operator==(const ClusterNetworkPolicy&) const = default;
};
BOOST_DESCRIBE_STRUCT(ClusterNetworkPolicy, (), (metadata, spec))

// Why a rule is not held as it stands: it uses what Carrick does not know (domainNames, something of a newer API). Such
// a rule fails closed (CNP-6): Accept matches nothing, Deny and Pass deny everything. Empty = held.
std::string unknown_part(const std::string& action, const std::vector<ClusterNetworkPolicyPeer>& peers,
                         const std::vector<ClusterNetworkPolicyProtocol>& protocols);
// Of a whole policy: "spec.egress[0]: domainNames are not supported", one for each such rule.
std::vector<std::string> unknown_parts(const ClusterNetworkPolicySpec& spec);

}  // namespace carrick::k8s
