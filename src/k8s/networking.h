#pragma once

#include "k8s/meta.h"

// networking.k8s.io/v1
namespace carrick::k8s {

struct IPBlock {
  std::string cidr;
  std::vector<std::string> except;
  bool operator==(const IPBlock&) const = default;
};
BOOST_DESCRIBE_STRUCT(IPBlock, (), (cidr, except))
struct NetworkPolicyPeer {
  std::optional<LabelSelector> podSelector, namespaceSelector;
  std::optional<IPBlock> ipBlock;
  bool operator==(const NetworkPolicyPeer&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicyPeer, (), (podSelector, namespaceSelector, ipBlock))
struct NetworkPolicyPort {
  std::optional<std::string> protocol;  // nil = TCP
  std::optional<IntOrString> port;      // nil = all ports
  std::optional<int32_t> endPort;
  bool operator==(const NetworkPolicyPort&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicyPort, (), (protocol, port, endPort))
struct NetworkPolicyIngressRule {
  std::vector<NetworkPolicyPort> ports;
  std::vector<NetworkPolicyPeer> from;
  bool operator==(const NetworkPolicyIngressRule&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicyIngressRule, (), (ports, from))
struct NetworkPolicyEgressRule {
  std::vector<NetworkPolicyPort> ports;
  std::vector<NetworkPolicyPeer> to;
  bool operator==(const NetworkPolicyEgressRule&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicyEgressRule, (), (ports, to))
struct NetworkPolicySpec {
  LabelSelector podSelector;
  std::vector<NetworkPolicyIngressRule> ingress;
  std::vector<NetworkPolicyEgressRule> egress;
  std::vector<std::string> policyTypes;  // NP-2: empty = Ingress, plus Egress iff egress rules exist
  bool operator==(const NetworkPolicySpec&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicySpec, (), (podSelector, ingress, egress, policyTypes))
struct NetworkPolicy {
  ObjectMeta metadata;
  NetworkPolicySpec spec;
  bool operator==(const NetworkPolicy&) const = default;
};
BOOST_DESCRIBE_STRUCT(NetworkPolicy, (), (metadata, spec))

}  // namespace carrick::k8s
