#include "desired/pods/identities.h"

#include <algorithm>

#include "desired/object_facts.h"

namespace carrick::desired {
namespace {

void look_at(const k8s::LabelSelector& selector, PolicyInterest& interest) {
  for (const auto& [key, value] : selector.matchLabels) interest.label_keys.insert(key);
  for (const auto& requirement : selector.matchExpressions) interest.label_keys.insert(requirement.key);
}

void look_at(const std::vector<k8s::NetworkPolicyPeer>& peers, const std::vector<k8s::NetworkPolicyPort>& ports,
             PolicyInterest& interest) {
  for (const auto& peer : peers)
    if (peer.podSelector) look_at(*peer.podSelector, interest);
  for (const auto& port : ports)
    if (port.port && std::holds_alternative<std::string>(*port.port))
      interest.port_names.insert(std::get<std::string>(*port.port));
}

void look_at(const std::vector<k8s::ClusterNetworkPolicyPeer>& peers,
             const std::vector<k8s::ClusterNetworkPolicyProtocol>& protocols, PolicyInterest& interest) {
  for (const auto& peer : peers)
    if (peer.pods) look_at(peer.pods->podSelector, interest);
  for (const auto& protocol : protocols)
    if (!protocol.destinationNamedPort.empty()) interest.port_names.insert(protocol.destinationNamedPort);
}

// Length before content, so that no two different lists give the same text.
void append(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
}

}  // namespace

PolicyInterest compile_interest(const k8s::Snapshot& snapshot) {
  PolicyInterest interest;
  for (const auto& [key, policy] : snapshot.networkpolicies) {
    look_at(policy->spec.podSelector, interest);
    for (const auto& rule : policy->spec.ingress) look_at(rule.from, rule.ports, interest);
    for (const auto& rule : policy->spec.egress) look_at(rule.to, rule.ports, interest);
  }
  for (const auto& [key, policy] : snapshot.clusternetworkpolicies) {
    if (policy->spec.subject.pods) look_at(policy->spec.subject.pods->podSelector, interest);
    for (const auto& rule : policy->spec.ingress) look_at(rule.from, rule.protocols, interest);
    for (const auto& rule : policy->spec.egress) look_at(rule.to, rule.protocols, interest);
  }
  return interest;
}

bool has_identity(const k8s::Pod& pod) { return !pod.spec.hostNetwork && !is_finished(pod); }

std::string identity_content(const k8s::Pod& pod, const PolicyInterest& interest) {
  std::string out;
  append(out, pod.metadata.namespace_);
  for (const auto& [key, value] : pod.metadata.labels) {
    if (!interest.label_keys.contains(key)) continue;
    append(out, key);
    append(out, value);
  }
  if (interest.port_names.empty()) return out;
  std::set<std::string> ports;
  for (const auto* container : running_containers(pod)) {
    for (const auto& port : container->ports) {
      if (port.name.empty() || !interest.port_names.contains(port.name)) continue;
      net::Protocol protocol = protocol_or_tcp(port.protocol);
      auto number = named_port(pod, port.name, protocol);
      if (number) ports.insert(fmt::format("|{}/{}={}", port.name, static_cast<int>(protocol), *number));
    }
  }
  for (const auto& port : ports) out += port;
  return out;
}

Identity preferred_identity(std::string_view content) {
  constexpr uint64_t kCount = 0x100000000ull - kFirstPodIdentity;
  return static_cast<Identity>(kFirstPodIdentity + net::stable_hash(content) % kCount);
}

std::map<std::string, Identity> assign_identities(const std::set<std::string>& contents) {
  std::map<std::string, Identity> out;
  std::set<Identity> taken;
  for (const auto& content : contents) {
    Identity id = preferred_identity(content);
    while (!taken.insert(id).second) id = id == ~Identity{0} ? kFirstPodIdentity : id + 1;
    out.emplace(content, id);
  }
  return out;
}

IdentityTable compile_identities(const k8s::Snapshot& snapshot) {
  const PolicyInterest interest = compile_interest(snapshot);
  std::set<std::string> contents;
  std::vector<std::pair<k8s::NamespacedName, std::string>> pods;
  for (const auto& [key, pod] : snapshot.pods) {
    if (!has_identity(*pod)) continue;
    pods.emplace_back(key, identity_content(*pod, interest));
    contents.insert(pods.back().second);
  }
  const auto numbers = assign_identities(contents);
  IdentityTable out;
  for (auto& [key, content] : pods) out.emplace_hint(out.end(), std::move(key), numbers.find(content)->second);
  return out;
}

}  // namespace carrick::desired
