#pragma once

#include <algorithm>

#include "k8s/snapshot.h"
#include "net/ip.h"

// An independent evaluator of NetworkPolicy v1 and ClusterNetworkPolicy v1alpha2, written from the API's text alone.
// It shares nothing with compiler and explain but the object structs; addresses and label selectors are its own.
namespace carrick::api_text {

inline bool selects(const k8s::LabelSelector& selector, const k8s::StringMap& labels) {
  for (const auto& [key, value] : selector.matchLabels)
    if (!labels.contains(key) || labels.at(key) != value) return false;
  for (const auto& e : selector.matchExpressions) {
    bool has = labels.contains(e.key);
    bool listed = has && std::count(e.values.begin(), e.values.end(), labels.at(e.key)) > 0;
    if (e.operator_ == "In" && !listed) return false;
    if (e.operator_ == "NotIn" && listed) return false;
    if (e.operator_ == "Exists" && !has) return false;
    if (e.operator_ == "DoesNotExist" && has) return false;
  }
  return true;
}

// Bits of an address as text, 32 or 128 of them.
inline std::string bits(const std::string& text) {
  auto address = net::IpAddress::parse(text).value();
  std::string out;
  for (size_t i = address.is_v4() ? 12 : 0; i < 16; ++i)
    for (int b = 7; b >= 0; --b) out += (address.bytes()[i] >> b & 1) ? '1' : '0';
  return out;
}
inline bool in_cidr(const std::string& ip, const std::string& cidr) {
  size_t slash = cidr.find('/');
  std::string a = bits(ip), b = bits(cidr.substr(0, slash));
  auto length = static_cast<size_t>(std::stoi(cidr.substr(slash + 1)));
  return a.size() == b.size() && a.substr(0, length) == b.substr(0, length);
}

struct End {
  const k8s::Pod* pod = nullptr;  // null: outside
  std::string ip, node;
  bool is_pod() const { return pod && !pod->spec.hostNetwork; }
};

struct Evaluator {
  const k8s::Snapshot& cluster;

  k8s::StringMap namespace_labels(const std::string& name) const {
    k8s::StringMap out;
    if (auto ns = cluster.namespaces.find({"", name}); ns != cluster.namespaces.end())
      out = ns->second->metadata.labels;
    out["kubernetes.io/metadata.name"] = name;
    return out;
  }

  bool peer_matches(const k8s::NetworkPolicyPeer& peer, const std::string& ns, const End& end) const {
    if (peer.ipBlock) {
      if (!in_cidr(end.ip, peer.ipBlock->cidr)) return false;
      for (const auto& except : peer.ipBlock->except)
        if (in_cidr(end.ip, except)) return false;
      return true;
    }
    if (!end.is_pod()) return false;
    if (peer.namespaceSelector ? !selects(*peer.namespaceSelector, namespace_labels(end.pod->metadata.namespace_))
                               : end.pod->metadata.namespace_ != ns)
      return false;
    return !peer.podSelector || selects(*peer.podSelector, end.pod->metadata.labels);
  }

  bool port_matches(const k8s::NetworkPolicyPort& port, const End& destination, int number,
                    const std::string& protocol) const {
    if (port.protocol.value_or("TCP") != protocol) return false;
    if (!port.port) return true;
    if (std::holds_alternative<int32_t>(*port.port)) {
      int first = std::get<int32_t>(*port.port);
      return number >= first && number <= port.endPort.value_or(first);
    }
    return has_port_named(destination, std::get<std::string>(*port.port), number, protocol);
  }

  // By container port name and protocol of the destination pod. An address of a node is that of every pod in its
  // network.
  bool has_port_named(const End& destination, const std::string& name, int number, const std::string& protocol) const {
    if (!destination.pod) return false;
    if (destination.is_pod()) return declares(*destination.pod, name, number, protocol);
    for (const auto& [key, pod] : cluster.pods)
      if (pod->spec.hostNetwork && pod->spec.nodeName == destination.node && declares(*pod, name, number, protocol))
        return true;
    return false;
  }
  static bool declares(const k8s::Pod& pod, const std::string& name, int number, const std::string& protocol) {
    for (const auto& container : pod.spec.containers)
      for (const auto& declared : container.ports)
        if (declared.name == name && declared.protocol == protocol) return declared.containerPort == number;
    return false;
  }

  template <class Rules, class Peers>
  bool any_rule(const Rules& rules, Peers peers, const std::string& ns, const End& peer, const End& destination,
                int number, const std::string& protocol) const {
    for (const auto& rule : rules) {
      bool who = peers(rule).empty(), where = rule.ports.empty();
      for (const auto& one : peers(rule)) who |= peer_matches(one, ns, peer);
      for (const auto& one : rule.ports) where |= port_matches(one, destination, number, protocol);
      if (who && where) return true;
    }
    return false;
  }

  bool direction(bool ingress, const End& subject, const End& peer, const End& destination, int number,
                 const std::string& protocol) const {
    if (!subject.is_pod()) return true;
    bool isolated = false;
    for (const auto& [key, policy] : cluster.networkpolicies) {
      const auto& spec = policy->spec;
      if (key.namespace_ != subject.pod->metadata.namespace_ ||
          !selects(spec.podSelector, subject.pod->metadata.labels))
        continue;
      bool affects = spec.policyTypes.empty() ? (ingress || !spec.egress.empty())
                                              : std::count(spec.policyTypes.begin(), spec.policyTypes.end(),
                                                           ingress ? "Ingress" : "Egress") > 0;
      if (!affects) continue;
      isolated = true;
      if (ingress ? any_rule(
                        spec.ingress, [](auto& r) -> auto& { return r.from; }, key.namespace_, peer, destination,
                        number, protocol)
                  : any_rule(
                        spec.egress, [](auto& r) -> auto& { return r.to; }, key.namespace_, peer, destination, number,
                        protocol))
        return true;
    }
    return !isolated;
  }

  // ---- ClusterNetworkPolicy ----

  bool pods_match(const k8s::NamespacedPod& pods, const End& end) const {
    return end.is_pod() && selects(pods.namespaceSelector, namespace_labels(end.pod->metadata.namespace_)) &&
           selects(pods.podSelector, end.pod->metadata.labels);
  }
  bool namespaces_match(const k8s::LabelSelector& selector, const End& end) const {
    return end.is_pod() && selects(selector, namespace_labels(end.pod->metadata.namespace_));
  }

  bool node_matches(const k8s::LabelSelector& selector, const End& end) const {
    for (const auto& [key, node] : cluster.nodes)
      if (selects(selector, node->metadata.labels))
        for (const auto& address : node->status.addresses)
          if (bits(address.address) == bits(end.ip)) return true;
    return false;
  }

  bool cluster_peer_matches(const k8s::ClusterNetworkPolicyPeer& peer, const End& end) const {
    if (peer.namespaces) return namespaces_match(*peer.namespaces, end);
    if (peer.pods) return pods_match(*peer.pods, end);
    if (peer.nodes) return node_matches(*peer.nodes, end);
    for (const auto& network : peer.networks)
      if (in_cidr(end.ip, network)) return true;
    return false;
  }

  bool protocol_matches(const k8s::ClusterNetworkPolicyProtocol& one, const End& destination, int number,
                        const std::string& protocol) const {
    if (!one.destinationNamedPort.empty())
      return has_port_named(destination, one.destinationNamedPort, number, protocol);
    const auto& transport = protocol == "TCP" ? one.tcp : protocol == "UDP" ? one.udp : one.sctp;
    if (!transport) return false;
    const auto& port = transport->destinationPort;
    if (!port) return true;
    if (port->number) return *port->number == number;
    return port->range->start <= number && number <= port->range->end;
  }

  // What the first rule of a tier that matches says: Accept, Deny, Pass, or nothing.
  std::string tier(const std::string& name, bool ingress, const End& subject, const End& peer, const End& destination,
                   int number, const std::string& protocol) const {
    std::vector<const k8s::ClusterNetworkPolicy*> policies;
    for (const auto& [key, policy] : cluster.clusternetworkpolicies)
      if (policy->spec.tier == name) policies.push_back(policy.get());
    std::sort(policies.begin(), policies.end(), [](auto* a, auto* b) {
      return a->spec.priority != b->spec.priority ? a->spec.priority < b->spec.priority
                                                  : a->metadata.name < b->metadata.name;
    });
    for (const auto* policy : policies) {
      const auto& spec = policy->spec;
      if (spec.subject.pods ? !pods_match(*spec.subject.pods, subject)
                            : !namespaces_match(*spec.subject.namespaces, subject))
        continue;
      const auto action = [&](const auto& rule, const auto& peers) -> std::string {
        for (const auto& one : peers)  // not supported: fails closed
          if (!one.domainNames.empty()) return rule.action == "Accept" ? "" : "Deny";
        bool who = false, where = rule.protocols.empty();
        for (const auto& one : peers) who |= cluster_peer_matches(one, peer);
        for (const auto& one : rule.protocols) where |= protocol_matches(one, destination, number, protocol);
        return who && where ? rule.action : "";
      };
      if (ingress) {
        for (const auto& rule : spec.ingress)
          if (std::string said = action(rule, rule.from); !said.empty()) return said;
      } else {
        for (const auto& rule : spec.egress)
          if (std::string said = action(rule, rule.to); !said.empty()) return said;
      }
    }
    return {};
  }

  bool isolated(bool ingress, const End& subject) const {
    for (const auto& [key, policy] : cluster.networkpolicies) {
      const auto& spec = policy->spec;
      if (key.namespace_ != subject.pod->metadata.namespace_ ||
          !selects(spec.podSelector, subject.pod->metadata.labels))
        continue;
      if (spec.policyTypes.empty()
              ? (ingress || !spec.egress.empty())
              : std::count(spec.policyTypes.begin(), spec.policyTypes.end(), ingress ? "Ingress" : "Egress") > 0)
        return true;
    }
    return false;
  }

  // Admin, then NetworkPolicy (final for the pods it selects), then Baseline, then allow.
  bool half(bool ingress, const End& subject, const End& peer, const End& destination, int number,
            const std::string& protocol) const {
    if (!subject.is_pod()) return true;
    std::string said = tier("Admin", ingress, subject, peer, destination, number, protocol);
    if (said == "Accept") return true;
    if (said == "Deny") return false;
    if (isolated(ingress, subject)) return direction(ingress, subject, peer, destination, number, protocol);
    return tier("Baseline", ingress, subject, peer, destination, number, protocol) != "Deny";
  }

  bool allowed(const End& from, const End& to, int number, const std::string& protocol) const {
    if (from.pod && from.pod == to.pod) return true;
    bool own_node = from.pod && from.pod->spec.hostNetwork && to.pod && from.node == to.node;
    return half(false, from, to, to, number, protocol) && (own_node || half(true, to, from, to, number, protocol));
  }
};

}  // namespace carrick::api_text
