#include "explain/judge.h"

#include <algorithm>

#include "base/text.h"
#include "desired/object_facts.h"

namespace carrick::explain {

using desired::Direction;
using desired::PolicyKey;
using desired::PolicyPeerKind;

std::string_view verdict_word(Verdict verdict) {
  return verdict == Verdict::kAllow ? "allow" : verdict == Verdict::kDeny ? "deny" : "refuse";
}

std::string port_text(const desired::Listener& port) {
  return fmt::format("{}/{}", port.port, lower(net::protocol_name(port.protocol)));
}

const net::IpAddress* PodPlace::address(Family family) const {
  for (const auto& one : addresses)
    if (family == Family::kAny ? one.is_v4() : of_family(one, family)) return &one;
  return family == Family::kAny && !addresses.empty() ? &addresses.front() : nullptr;
}

namespace {
// Tables keyed by prefix.
template <class Table>
std::vector<int> lengths_of(const Table& table) {
  std::set<int, std::greater<>> lengths;
  for (const auto& [prefix, row] : table) lengths.insert(prefix.length());
  return {lengths.begin(), lengths.end()};
}

template <class Table>
const typename Table::mapped_type* longest(const Table& table, const std::vector<int>& lengths,
                                           const net::IpAddress& address) {
  for (int length : lengths) {
    if (address.is_v4() && length < 96) break;  // an IPv6 prefix never speaks for IPv4
    auto row = table.find(net::Prefix(address, length));
    if (row != table.end()) return &row->second;
  }
  return nullptr;
}
}  // namespace

Judge::Judge(const World& world) : world_(world) {
  static const std::set<desired::Listener> kNowhere;
  for (const auto& [name, tables] : world.tables) {
    Index index;
    index.peer_lengths = lengths_of(tables.peers);
    index.cidr_lengths = lengths_of(tables.policy.cidrs);
    for (const auto& [key, row] : tables.policy.rows)
      if (key.protocol != net::Protocol::kAny) index.port_bits.insert(key.port_bits);
    indexes_.emplace(&tables, std::move(index));
  }
  for (const auto& [name, view] : world.views)
    for (const auto& address : view.addresses) nodes_.emplace(address, name);
  for (const auto& [name, tables] : world.tables)
    for (const auto& [port, check] : tables.health_checks)  // the agent answers there (SVC-D10)
      node_listeners_[name].insert({port, net::Protocol::kTcp});
  for (const auto& [key, pod] : world.snapshot->pods) {
    if (desired::is_finished(*pod) || !world.tables.contains(pod->spec.nodeName)) continue;
    auto listeners = world.listeners.find(key);
    PodPlace place{pod.get(), pod->spec.nodeName, desired::addresses_of(*pod), pod->spec.hostNetwork,
                   listeners == world.listeners.end() ? &kNowhere : &listeners->second};
    if (place.host_network) {
      place.addresses = world.views.at(place.node).addresses;
      node_listeners_[place.node].insert(place.listeners->begin(), place.listeners->end());
    }
    if (place.addresses.empty()) continue;
    if (!place.host_network)
      for (const auto& address : place.addresses) by_address_.emplace(address, key);
    pods_.emplace_hint(pods_.end(), key, std::move(place));
  }
}

const PodPlace* Judge::pod(const k8s::NamespacedName& key) const {
  auto found = pods_.find(key);
  return found == pods_.end() ? nullptr : &found->second;
}

const PodPlace* Judge::pod_at(const net::IpAddress& address) const {
  auto found = by_address_.find(address);
  return found == by_address_.end() ? nullptr : pod(found->second);
}

const std::string* Judge::node_at(const net::IpAddress& address) const {
  auto found = nodes_.find(address);
  return found == nodes_.end() ? nullptr : &found->second;
}

const desired::Tables* Judge::tables(const std::string& node) const {
  auto found = world_.tables.find(node);
  return found == world_.tables.end() ? nullptr : &found->second;
}

const desired::PeerRow* Judge::peer(const desired::Tables& tables, const net::IpAddress& address) const {
  return longest(tables.peers, index(tables).peer_lengths, address);
}

desired::CidrClass Judge::cidr_class(const desired::Tables& tables, const net::IpAddress& address) const {
  const auto* found = longest(tables.policy.cidrs, index(tables).cidr_lengths, address);
  return found ? *found : 0;
}

const desired::PodRow* Judge::local_pod(const desired::Tables& tables, const net::IpAddress& address) const {
  const auto* row = peer(tables, address);
  if (!row || row->kind != desired::PeerKind::kLocalPod) return nullptr;
  auto pod = tables.pods.find(row->ifindex);
  return pod == tables.pods.end() ? nullptr : &pod->second;
}

namespace {
// All rows that a packet could have found, taken together.
struct Found {
  std::vector<desired::Owner> allowed_by;
  std::optional<desired::TierRule> admin, baseline;

  void add(const desired::PolicyRow& row) {
    for (const auto& owner : row.allowed_by)
      if (std::ranges::find(allowed_by, owner) == allowed_by.end()) allowed_by.push_back(owner);
    if (row.admin && (!admin || *row.admin < *admin)) admin = row.admin;
    if (row.baseline && (!baseline || *row.baseline < *baseline)) baseline = row.baseline;
  }
};

// False: this tier does not decide.
bool ask_tier(const std::optional<desired::TierRule>& rule, Ruling::Decider tier, Ruling& out) {
  if (!rule) return false;
  if (rule->action == desired::PolicyAction::kPass) {
    out.passed.push_back(rule->owner);
    return false;
  }
  out.decider = tier;
  out.allowed = rule->action == desired::PolicyAction::kAccept;
  out.owners = {rule->owner};
  return true;
}
}  // namespace

Ruling Judge::rule(const desired::Tables& tables, const desired::PodRow& subject, Direction direction,
                   const net::IpAddress& peer_address, const desired::Listener& port) const {
  const bool ingress = direction == Direction::kIngress;
  const bool isolated = ingress ? subject.ingress_isolated : subject.egress_isolated;
  const bool tiered = ingress ? subject.ingress_tiered : subject.egress_tiered;
  Ruling out;
  if (!isolated && !tiered) return out;
  const auto* who = peer(tables, peer_address);
  std::vector<std::pair<PolicyPeerKind, uint32_t>> peers;
  if (who && who->identity >= desired::kNodeDnsIdentity) {  // nodes are meant by their addresses only
    peers.emplace_back(PolicyPeerKind::kIdentity, who->identity);
    peers.emplace_back(PolicyPeerKind::kAnyPod, 0);
  }
  if (auto number = cidr_class(tables, peer_address)) peers.emplace_back(PolicyPeerKind::kCidrClass, number);
  peers.emplace_back(PolicyPeerKind::kAny, 0);
  Found found;
  auto look_up = [&](PolicyKey key) {
    auto row = tables.policy.rows.find(key);
    if (row != tables.policy.rows.end()) found.add(row->second);
  };
  for (auto [kind, number] : peers) {
    PolicyKey key{subject.identity, direction, kind, number, net::Protocol::kAny, 0, 0};
    look_up(key);
    key.protocol = port.protocol;
    for (uint8_t bits : index(tables).port_bits) {
      key.port_bits = bits;
      key.port = bits == 0 ? 0 : static_cast<uint16_t>(port.port & (0xffff << (16 - bits)));
      look_up(key);
    }
  }
  if (tiered && ask_tier(found.admin, Ruling::Decider::kAdmin, out)) return out;
  if (!isolated) {
    if (tiered) ask_tier(found.baseline, Ruling::Decider::kBaseline, out);
    return out;
  }
  out.decider = Ruling::Decider::kNetworkPolicy;
  out.allowed = !found.allowed_by.empty();
  out.owners = std::move(found.allowed_by);
  if (out.allowed) return out;
  const auto& isolated_by = ingress ? tables.policy.ingress_isolated_by : tables.policy.egress_isolated_by;
  if (auto owners = isolated_by.find(subject.identity); owners != isolated_by.end()) out.owners = owners->second;
  return out;
}

const desired::FrontendRow* Judge::frontend(const desired::Tables& tables, const net::IpAddress& address,
                                            const desired::Listener& port, desired::FrontendScope scope) const {
  auto row = tables.frontends.find({address, port.port, port.protocol, scope});
  return row == tables.frontends.end() ? nullptr : &row->second;
}

bool Judge::listens(const net::IpAddress& address, const desired::Listener& port) const {
  if (const auto* place = pod_at(address)) return place->listeners->contains(port);
  if (const auto* node = node_at(address))
    if (auto found = node_listeners_.find(*node); found != node_listeners_.end()) return found->second.contains(port);
  return false;
}

std::string who(const Judge& judge, const net::IpAddress& address) {
  if (const auto* place = judge.pod_at(address)) return place->pod->metadata.key().str();
  if (const auto* node = judge.node_at(address)) return fmt::format("node {} ({})", *node, address.str());
  return address.str();
}

}  // namespace carrick::explain
