#include <algorithm>

#include "base/text.h"
#include "desired/object_facts.h"
#include "explain/judge.h"

// The rule that almost allowed it: fewest of (peer, port) wrong, then the first. Its words are the policy's own.
namespace carrick::explain {
namespace {

using desired::Direction;
using desired::PolicyRule;

std::string selector_text(const k8s::LabelSelector& selector) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : selector.matchLabels) parts.push_back(key + "=" + value);
  for (const auto& one : selector.matchExpressions)
    parts.push_back(one.values.empty() ? fmt::format("{} {}", one.key, one.operator_)
                                       : fmt::format("{} {} ({})", one.key, one.operator_, join(one.values, ", ")));
  return join(parts, ", ");
}

std::string peer_text(const k8s::NetworkPolicyPeer& peer, const std::string& policy_namespace) {
  if (peer.ipBlock)
    return peer.ipBlock->cidr + (peer.ipBlock->except.empty() ? "" : " except " + join(peer.ipBlock->except, ", "));
  std::string pods = peer.podSelector ? selector_text(*peer.podSelector) : "";
  std::string out = pods.empty() ? "all pods" : "pods with " + pods;
  if (!peer.namespaceSelector) return out + " in namespace " + policy_namespace;
  std::string namespaces = selector_text(*peer.namespaceSelector);
  return out + (namespaces.empty() ? " in all namespaces" : " in namespaces with " + namespaces);
}

std::string policy_port_text(const k8s::NetworkPolicyPort& port) {
  std::string protocol = lower(port.protocol.value_or("TCP"));
  if (!port.port) return "every " + protocol + " port";
  if (const auto* name = std::get_if<std::string>(&*port.port))
    return fmt::format("port named {} ({})", *name, protocol);
  int32_t first = std::get<int32_t>(*port.port);
  return port.endPort ? fmt::format("{}-{}/{}", first, *port.endPort, protocol) : fmt::format("{}/{}", first, protocol);
}

template <class T, class F>
std::string list(const std::vector<T>& items, F text) {
  std::vector<std::string> parts;
  for (const auto& item : items) parts.push_back(text(item));
  return join(parts, " or ");
}

// Labels that controllers add and nobody writes policies about.
bool is_made_up(std::string_view key) {
  return key == "pod-template-hash" || key == "controller-revision-hash" || key.find("kubernetes.io/pod-") != key.npos;
}

struct Miss {
  bool peer = false, port = false;  // wrong
  int edits() const { return peer + port; }
};

bool port_matches(const PolicyRule& rule, const desired::Listener& asked, desired::Identity subject,
                  desired::Identity peer, desired::CidrClass number) {
  if (rule.any_port) return true;
  return std::ranges::any_of(rule.ports, [&](const PolicyRule::Port& port) {
    if (port.protocol != asked.protocol) return false;
    if (!port.is_named) return asked.port >= port.first && asked.port <= port.last;
    auto named = port.named.find(rule.direction == Direction::kIngress ? subject : peer);
    if (named != port.named.end() && named->second == asked.port) return true;
    return port.named_classes.contains({number, asked.port});
  });
}

bool holds(const auto& sorted, auto value) { return std::ranges::binary_search(sorted, value); }

}  // namespace

void describe_nearest(const Judge& judge, const desired::Tables& tables, const desired::PodRow& subject,
                      Direction direction, const net::IpAddress& peer_address, const desired::Listener& port,
                      Decision& decision) {
  const auto* peer = judge.peer(tables, peer_address);
  const desired::Identity identity = peer ? peer->identity : desired::kNoIdentity;
  const desired::CidrClass number = judge.cidr_class(tables, peer_address);
  const PolicyRule* best = nullptr;
  Miss best_miss;
  for (const auto& rule : tables.policy.rules) {
    if (rule.tier != desired::PolicyTier::kNetworkPolicy || rule.direction != direction ||
        !holds(rule.subjects, subject.identity))
      continue;
    Miss miss;
    miss.peer = !rule.any_peer && !(rule.any_pod && identity >= desired::kNodeDnsIdentity) &&
                !(identity && holds(rule.peers, identity)) && !(number && holds(rule.classes, number));
    miss.port = !port_matches(rule, port, subject.identity, identity, number);
    if (!best || miss.edits() < best_miss.edits()) best = &rule, best_miss = miss;
  }
  const char* verb = direction == Direction::kIngress ? "from" : "to";
  if (!best) {
    decision.nearest = fmt::format("none of these policies has a rule for {}",
                                   direction == Direction::kIngress ? "ingress" : "egress");
    return;
  }
  decision.nearest_owner = {best->owner};
  auto policy = judge.world().snapshot->networkpolicies.find(best->policy);
  if (policy == judge.world().snapshot->networkpolicies.end()) return;
  const auto& spec = policy->second->spec;
  const auto index = static_cast<size_t>(best->index);
  const auto& peers = direction == Direction::kIngress ? spec.ingress[index].from : spec.egress[index].to;
  const auto& ports = direction == Direction::kIngress ? spec.ingress[index].ports : spec.egress[index].ports;
  std::string out = "it allows";
  out += peers.empty()
             ? fmt::format(" {} anywhere", verb)
             : fmt::format(" {} {}", verb,
                           list(peers, [&](const auto& one) { return peer_text(one, best->policy.namespace_); }));
  if (!ports.empty()) out += " on " + list(ports, [](const auto& one) { return policy_port_text(one); });
  if (best_miss.peer) {
    out += fmt::format("; {} is not among them", who(judge, peer_address));
    if (const auto* place = judge.pod_at(peer_address)) {
      std::vector<std::string> labels;
      for (const auto& [key, value] : place->pod->metadata.labels)
        if (!is_made_up(key)) labels.push_back(key + "=" + value);
      out += labels.empty() ? " (it has no labels)" : fmt::format(" (its labels: {})", join(labels, ", "));
    }
  }
  if (best_miss.port)
    out += fmt::format("{} {} is not among the ports", best_miss.peer ? ", and" : ";", port_text(port));
  decision.nearest = out;
}

}  // namespace carrick::explain
