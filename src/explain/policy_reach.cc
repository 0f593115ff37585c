#include <algorithm>

#include "base/text.h"
#include "desired/object_facts.h"
#include "desired/policy/rules.h"
#include "explain/policy.h"

namespace carrick::explain {

using desired::Direction;
using desired::PolicyAction;
using desired::PolicyRule;
using desired::PolicyTier;

namespace {

// "shop/api": the workload that made the pod, else the pod.
std::string workload_of(const k8s::Pod& pod) {
  for (const auto& owner : pod.metadata.ownerReferences) {
    if (!owner.controller.value_or(false)) continue;
    const bool hashed = owner.kind == "ReplicaSet";
    return pod.metadata.namespace_ + "/" + (hashed ? owner.name.substr(0, owner.name.rfind('-')) : owner.name);
  }
  return pod.metadata.key().str();
}

net::Prefix whole_family(bool ipv4) { return ipv4 ? net::Prefix(net::IpAddress::v4(0), 96) : net::Prefix(); }

bool of_family(const net::Prefix& prefix, bool ipv4) { return prefix.is_v4() == ipv4; }

bool holds(const auto& sorted, auto value) { return std::ranges::binary_search(sorted, value); }

}  // namespace

std::optional<net::IpAddress> address_in_region(const net::Prefix& prefix, const std::vector<net::Prefix>& edges) {
  std::vector<net::Prefix> inner;
  for (const auto& edge : edges)
    if (edge != prefix && prefix.contains(edge)) inner.push_back(edge);
  // Of the whole family one of the documentation's, which is nobody's.
  std::vector<net::IpAddress> candidates;
  if (prefix.family_length() == 0)
    candidates.push_back(net::IpAddress::parse(prefix.is_v4() ? "203.0.113.1" : "2001:db8:203::1").value());
  candidates.insert(candidates.end(), {prefix.address(), prefix.address().plus(1)});
  for (const auto& edge : inner) {  // just behind each of them
    const int bits = std::min(128 - edge.length(), 63);
    candidates.push_back(edge.address().plus(uint64_t{1} << bits));
  }
  for (const auto& candidate : candidates)
    if (prefix.contains(candidate) &&
        std::ranges::none_of(inner, [&](const auto& edge) { return edge.contains(candidate); }))
      return candidate;
  return std::nullopt;
}

std::string region_name(const net::Prefix& prefix, const std::vector<net::Prefix>& edges) {
  std::vector<std::string> excepts;
  for (const auto& edge : edges) {
    if (edge == prefix || !prefix.contains(edge)) continue;
    const bool outermost = std::ranges::none_of(edges, [&](const auto& other) {
      return other != edge && other != prefix && prefix.contains(other) && other.contains(edge);
    });
    if (outermost) excepts.push_back(edge.str());
  }
  const bool whole = prefix.family_length() == 0;
  if (whole) return excepts.empty() ? "outside" : "outside elsewhere";
  return "outside " + prefix.str() + (excepts.empty() ? "" : " except " + join(excepts, ", "));
}

PolicyReach::PolicyReach(const k8s::Snapshot& snapshot, bool ipv4) : snapshot_(snapshot), ipv4_(ipv4) {
  table_ = desired::resolve_policies(snapshot, desired::compile_identities(snapshot)).table;
  for (const auto& rule : table_.rules)
    for (desired::Identity id : rule.subjects) rules_[{id, rule.direction}].push_back(&rule);
  for (auto& [key, rules] : rules_)
    std::ranges::sort(rules, {}, [](const PolicyRule* rule) { return std::tuple(rule->tier, rule->order, rule); });
  add_pods();
  add_regions();
}

void PolicyReach::add_pods() {
  const auto identities = desired::compile_identities(snapshot_);
  std::map<std::tuple<std::string, desired::Identity, desired::CidrClass>, PolicyParty> groups;
  std::map<std::string, int> of_workload;
  for (const auto& [key, id] : identities) {
    const auto& pod = *snapshot_.pods.at(key);
    PolicyParty party;
    for (const auto& address : desired::addresses_of(pod))
      if (address.is_v4() == ipv4_) party.address = address;
    if (party.address.is_unspecified()) continue;
    party.name = party.workload = workload_of(pod);
    party.identity = id;
    party.region = class_of(party.address);
    auto [group, fresh] = groups.try_emplace({party.name, party.identity, party.region}, party);
    if (fresh) ++of_workload[party.name];
    group->second.pods.push_back(key);
  }
  for (auto& [key, party] : groups) {
    if (of_workload[party.name] > 1) party.name += " (" + party.pods.front().name + ")";
    for (const auto& pod : party.pods) by_pod_.emplace(pod, parties_.size());
    parties_.push_back(std::move(party));
  }
}

std::vector<net::Prefix> PolicyReach::region_edges() const {
  std::vector<net::Prefix> taken;
  for (const auto& [key, node] : snapshot_.nodes) {
    for (const auto& cidr : desired::pod_cidrs(*node)) taken.push_back(cidr);
    for (const auto& address : desired::every_ip(*node)) taken.push_back(net::Prefix::host(address));
  }
  for (const auto& [key, pod] : snapshot_.pods)
    for (const auto& address : desired::addresses_of(*pod)) taken.push_back(net::Prefix::host(address));
  std::vector<net::Prefix> out{whole_family(ipv4_)};
  for (const auto& [prefix, number] : table_.cidrs) {
    const bool pods = std::ranges::any_of(taken, [&](const auto& other) { return other.contains(prefix); });
    if (of_family(prefix, ipv4_) && prefix != out.front() && !pods) out.push_back(prefix);
  }
  return out;
}

void PolicyReach::add_regions() {
  const auto edges = region_edges();
  std::map<desired::CidrClass, PolicyParty> by_class;
  std::map<desired::CidrClass, std::vector<std::string>> names;
  for (const auto& edge : edges) {
    const auto address = address_in_region(edge, edges);
    if (!address) continue;
    PolicyParty party = region_of(*address);
    names[party.region].push_back(region_name(edge, edges));
    by_class.try_emplace(party.region, std::move(party));
  }
  for (auto& [number, party] : by_class) {
    party.name = join(names[number], " and ");
    parties_.push_back(std::move(party));
  }
}

desired::CidrClass PolicyReach::class_of(const net::IpAddress& address) const {
  const desired::CidrTable& cidrs = table_.cidrs;
  for (int length = 128; length >= (address.is_v4() ? 96 : 0); --length)
    if (auto row = cidrs.find(net::Prefix(address, length)); row != cidrs.end()) return row->second;
  return 0;
}

PolicyParty PolicyReach::region_of(const net::IpAddress& address) const {
  PolicyParty out;
  out.name = address.str();
  out.address = address;
  out.region = class_of(address);
  return out;
}

const PolicyParty* PolicyReach::party_of(const k8s::NamespacedName& pod) const {
  auto found = by_pod_.find(pod);
  return found == by_pod_.end() ? nullptr : &parties_[found->second];
}

bool PolicyReach::means(const PolicyRule& rule, const PolicyParty& peer) const {
  return rule.any_peer || (rule.any_pod && peer.identity >= desired::kNodeDnsIdentity) ||
         (peer.identity && holds(rule.peers, peer.identity)) || (peer.region && holds(rule.classes, peer.region));
}

PortSet PolicyReach::said(const PolicyRule& rule, const PolicyParty& subject, const PolicyParty& peer) const {
  const bool meant = means(rule, peer);
  if (rule.any_port) return meant ? PortSet::everything() : PortSet();
  PortSet out;
  for (const auto& port : rule.ports) {
    if (!port.is_named) {
      if (meant) out = out | PortSet::range(port.protocol, port.first, port.last);
      continue;
    }
    const bool ingress = rule.direction == Direction::kIngress;
    if (!ingress || meant)
      if (auto named = port.named.find(ingress ? subject.identity : peer.identity); named != port.named.end())
        out = out | PortSet::range(port.protocol, named->second, named->second);
    for (const auto& [number, value] : port.named_classes)
      if (number == peer.region) out = out | PortSet::range(port.protocol, value, value);
  }
  return out;
}

bool PolicyReach::isolated(Direction direction, const PolicyParty& subject) const {
  const auto& by = direction == Direction::kIngress ? table_.ingress_isolated_by : table_.egress_isolated_by;
  return by.contains(subject.identity);
}

PortSet PolicyReach::allowed(Direction direction, const PolicyParty& subject, const PolicyParty& peer) const {
  if (subject.identity == desired::kNoIdentity) return PortSet::everything();
  auto [known, fresh] = known_.try_emplace({subject.identity, direction, peer.identity, peer.region});
  if (!fresh) return known->second;
  PortSet open = PortSet::everything(), accepted, granted, passed;
  const auto rules = rules_.find({subject.identity, direction});
  const auto ask_tier = [&](PolicyTier tier) {
    passed = {};
    if (rules == rules_.end()) return;
    for (const PolicyRule* rule : rules->second) {
      if (rule->tier != tier) continue;
      const PortSet decided = said(*rule, subject, peer) & open;
      if (decided.empty()) continue;
      open = open - decided;
      if (rule->action == PolicyAction::kAccept) accepted = accepted | decided;
      if (rule->action == PolicyAction::kPass) passed = passed | decided;
    }
    open = open | passed;
  };
  ask_tier(PolicyTier::kAdmin);
  if (isolated(direction, subject)) {
    if (rules != rules_.end())
      for (const PolicyRule* rule : rules->second)
        if (rule->tier == PolicyTier::kNetworkPolicy) granted = granted | said(*rule, subject, peer);
    accepted = accepted | (open & granted);
  } else {
    ask_tier(PolicyTier::kBaseline);
    accepted = accepted | open;
  }
  return known->second = std::move(accepted);
}

PortSet PolicyReach::between(const PolicyParty& from, const PolicyParty& to) const {
  PortSet out = allowed(Direction::kEgress, from, to);
  if (out.empty()) return out;
  return out & allowed(Direction::kIngress, to, from);
}

}  // namespace carrick::explain
