#include "desired/policy/selection.h"

#include <algorithm>

#include "desired/object_facts.h"

namespace carrick::desired {
namespace {
constexpr const char* kDnsNamespace = "kube-system";

std::string label_key(const std::string& key, const std::string& value) { return key + '\0' + value; }
}  // namespace

Selection::Selection(const k8s::Snapshot& snapshot, const IdentityTable& identities) {
  std::unordered_map<Identity, uint32_t> known;
  for (const auto& [key, id] : identities) {
    const auto& pod = *snapshot.pods.at(key);
    auto [entry, fresh] = known.emplace(id, static_cast<uint32_t>(classes_.size()));
    if (fresh) classes_.push_back({id, pod.metadata.namespace_, &pod.metadata.labels, &pod, {}});
    classes_[entry->second].members.push_back(&pod);
  }
  // Policies written for the cluster's DNS pods mean the node's DNS server (ADR 6).
  static const k8s::StringMap kDnsLabels{{"k8s-app", "kube-dns"}};
  classes_.push_back({kNodeDnsIdentity, kDnsNamespace, &kDnsLabels, nullptr, {}});
  for (uint32_t i = 0; i < classes_.size(); ++i) add_posting(i);
  for (const auto& [name, posting] : by_namespace_) namespace_labels_[name] = namespace_labels(snapshot, name);
}

void Selection::add_posting(uint32_t index) {
  everything_.push_back(index);
  auto home = by_namespace_.find(classes_[index].namespace_);
  if (home == by_namespace_.end()) home = by_namespace_.emplace(classes_[index].namespace_, Posting()).first;
  home->second.push_back(index);
  for (const auto& [key, value] : *classes_[index].labels) by_label_[label_key(key, value)].push_back(index);
}

// The shortest list that is sure to hold every match: of `start` and of each label that must be equal.
const Selection::Posting* Selection::narrowest(const k8s::LabelSelector& selector, const Posting* start) const {
  static const Posting kNone;
  const Posting* best = start;
  auto consider = [&](const std::string& key, const std::string& value) {
    auto posting = by_label_.find(label_key(key, value));
    const Posting* candidate = posting == by_label_.end() ? &kNone : &posting->second;
    if (candidate->size() < best->size()) best = candidate;
  };
  for (const auto& [key, value] : selector.matchLabels) consider(key, value);
  for (const auto& requirement : selector.matchExpressions)
    if (requirement.operator_ == "In" && requirement.values.size() == 1)
      consider(requirement.key, requirement.values[0]);
  return best;
}

void Selection::match_namespace(std::string_view name, const k8s::LabelSelector& selector,
                                std::vector<size_t>& out) const {
  auto posting = by_namespace_.find(name);
  if (posting == by_namespace_.end()) return;
  for (uint32_t i : *narrowest(selector, &posting->second))
    if (classes_[i].namespace_ == name && k8s::matches(selector, *classes_[i].labels)) out.push_back(i);
}

std::vector<size_t> Selection::subjects(const std::string& namespace_, const k8s::LabelSelector& selector) const {
  std::vector<size_t> out;
  match_namespace(namespace_, selector, out);
  std::erase_if(out, [&](size_t i) { return classes_[i].pod == nullptr; });
  return out;
}

std::vector<size_t> Selection::peers(const std::string& policy_namespace, const k8s::NetworkPolicyPeer& peer) const {
  static const k8s::LabelSelector kEveryPod;
  std::vector<size_t> out;
  if (peer.ipBlock || (!peer.podSelector && !peer.namespaceSelector)) return out;
  const auto& pods = peer.podSelector ? *peer.podSelector : kEveryPod;
  if (!peer.namespaceSelector) {
    match_namespace(policy_namespace, pods, out);
    return out;
  }
  const Posting* start = narrowest(pods, &everything_);
  std::map<std::string_view, bool> chosen;
  for (uint32_t i : *start) {
    const auto& one = classes_[i];
    auto [entry, fresh] = chosen.emplace(one.namespace_, false);
    if (fresh) entry->second = k8s::matches(*peer.namespaceSelector, namespace_labels_.find(one.namespace_)->second);
    if (entry->second && k8s::matches(pods, *one.labels)) out.push_back(i);
  }
  return out;
}

std::optional<uint16_t> Selection::port(size_t index, const std::string& name, net::Protocol protocol) const {
  const auto& one = classes_[index];
  if (one.pod) return named_port(*one.pod, name, protocol);
  if (name == "dns" && protocol == net::Protocol::kUdp) return 53;
  if (name == "dns-tcp" && protocol == net::Protocol::kTcp) return 53;
  return std::nullopt;
}

}  // namespace carrick::desired
