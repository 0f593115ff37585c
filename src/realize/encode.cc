#include "realize/encode.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstddef>
#include <set>
#include <unordered_set>

#include "realize/choice.h"

namespace carrick::realize {
namespace {

static_assert(IDENTITY_THIS_NODE == desired::kThisNodeIdentity &&
              IDENTITY_REMOTE_NODE == desired::kRemoteNodeIdentity && IDENTITY_NODE_DNS == desired::kNodeDnsIdentity &&
              IDENTITY_NONE == desired::kNoIdentity);
static_assert(PEER_LOCAL_POD == int(desired::PeerKind::kLocalPod) &&
              PEER_REMOTE_POD == int(desired::PeerKind::kRemotePod) &&
              PEER_THIS_NODE == int(desired::PeerKind::kThisNode) &&
              PEER_REMOTE_NODE == int(desired::PeerKind::kRemoteNode) &&
              PEER_NODE_DNS == int(desired::PeerKind::kNodeDns) &&
              PEER_REMOTE_POD_CIDR == int(desired::PeerKind::kRemotePodCidr) &&
              PEER_LOCAL_POD_CIDR == int(desired::PeerKind::kLocalPodCidr) &&
              PEER_SERVICE_CIDR == int(desired::PeerKind::kServiceCidr));
static_assert(POLICY_INGRESS == int(desired::Direction::kIngress) && POLICY_EGRESS == int(desired::Direction::kEgress));
static_assert(POLICY_PEER_ANY == int(desired::PolicyPeerKind::kAny) &&
              POLICY_PEER_IDENTITY == int(desired::PolicyPeerKind::kIdentity) &&
              POLICY_PEER_CIDR_CLASS == int(desired::PolicyPeerKind::kCidrClass));
static_assert(SCOPE_INTERNAL == int(desired::FrontendScope::kInternal) &&
              SCOPE_EXTERNAL == int(desired::FrontendScope::kExternal) &&
              SCOPE_LOOPBACK == int(desired::FrontendScope::kLoopback));

template <class K, class V>
reconcile::Row row(const K& key, const V& value, SharedText owner) {
  return {bytes_of(key), bytes_of(value), std::move(owner)};
}

static_assert(POLICY_ACCEPT == int(desired::PolicyAction::kAccept) &&
              POLICY_DENY == int(desired::PolicyAction::kDeny) && POLICY_PASS == int(desired::PolicyAction::kPass) &&
              POLICY_PEER_ANY_POD == int(desired::PolicyPeerKind::kAnyPod));

uint32_t rule_number(const desired::Owner& owner) {
  const auto number = static_cast<uint32_t>(net::stable_hash(owner.str()));
  return number ? number : 1;
}

uint32_t place_of(const desired::TierRule& rule) { return rule.order << 2 | static_cast<uint32_t>(rule.action); }

// Members are keyed by address and port: of equal ones the first counts. Compiled lists are sorted and have none.
bool strictly_sorted(const std::vector<backend_value>& backends) {
  return std::ranges::adjacent_find(backends, [](const backend_value& a, const backend_value& b) {
           return std::memcmp(&a, &b, offsetof(backend_value, flags)) >= 0;
         }) == backends.end();
}

}  // namespace

// ::ffff:0:0/96: without it an IPv6 prefix shorter than 96 bits would speak for every IPv4 address.
const net::Prefix& v4_guard() {
  static const net::Prefix guard(net::IpAddress::v4(0), 96);
  return guard;
}

net::IpAddress address_of(const wire_address& wire) {
  std::array<uint8_t, 16> bytes;
  std::memcpy(bytes.data(), wire.bytes, bytes.size());
  return net::IpAddress(bytes);
}

wire_address wire_of(const net::IpAddress& address) {
  wire_address out;
  std::memcpy(out.bytes, address.bytes().data(), sizeof out.bytes);
  return out;
}

address_lpm_key wire_of(const net::Prefix& prefix) {
  return {static_cast<uint32_t>(prefix.length()), wire_of(prefix.address())};
}

Rows encode_pods(const desired::PodTable& table, bool tiered_closed) {
  Rows rows;
  for (const auto& [ifindex, pod] : table) {
    pod_value value{};
    for (const auto& address : pod.addresses) (address.is_v4() ? value.address4 : value.address6) = wire_of(address);
    std::ranges::copy(pod.pod_mac.bytes, value.pod_mac);
    std::ranges::copy(pod.host_mac.bytes, value.host_mac);
    value.identity = pod.identity;
    value.flags = (pod.ingress_isolated ? POD_INGRESS_ISOLATED : 0) | (pod.egress_isolated ? POD_EGRESS_ISOLATED : 0) |
                  (pod.ingress_tiered ? POD_INGRESS_TIERED : 0) | (pod.egress_tiered ? POD_EGRESS_TIERED : 0) |
                  (pod.blocked || (tiered_closed && (pod.ingress_tiered || pod.egress_tiered)) ? POD_BLOCKED : 0);
    rows.push_back(row(ifindex, value, pod.owner.str()));
  }
  return rows;
}

Rows encode_peers(const desired::PeerTable& table) {
  Rows rows;
  if (!table.contains(v4_guard())) rows.push_back(row(wire_of(v4_guard()), peer_value{}, ""));
  for (const auto& [prefix, peer] : table) rows.push_back(encode_peer(prefix, peer));
  return rows;
}

reconcile::Row encode_peer(const net::Prefix& prefix, const desired::PeerRow& peer) {
  peer_value value{};
  if (!peer.node.is_unspecified()) value.node = wire_of(peer.node);
  value.identity = peer.identity;
  value.ifindex = peer.ifindex;
  value.kind = static_cast<uint8_t>(peer.kind);
  return row(wire_of(prefix), value, peer.owner.str());
}

Rows encode_cidrs(const desired::CidrTable& table) {
  Rows rows;
  if (!table.contains(v4_guard())) rows.push_back(row(wire_of(v4_guard()), uint32_t{0}, ""));
  for (const auto& [prefix, cidr_class] : table) rows.push_back(row(wire_of(prefix), cidr_class, ""));
  return rows;
}

Rows encode_policy(const desired::PolicyTable& table) {
  Rows rows;
  for (const auto& [key, value] : table.rows) {
    policy_lpm_key wire{};
    const bool any_protocol = key.protocol == net::Protocol::kAny;
    wire.length = any_protocol ? POLICY_BITS_ANY_PROTOCOL : POLICY_BITS_ANY_PORT + key.port_bits;
    wire.subject = key.subject;
    wire.peer = key.peer;
    wire.direction = static_cast<uint8_t>(key.direction);
    wire.peer_kind = static_cast<uint8_t>(key.peer_kind);
    wire.protocol = static_cast<uint8_t>(key.protocol);
    const uint16_t mask = key.port_bits >= 16 ? 0xffff : static_cast<uint16_t>(~(0xffffu >> key.port_bits));
    wire.port_be = any_protocol ? 0 : htons(key.port & mask);
    policy_value out{0, POLICY_NO_RULE, POLICY_NO_RULE, 0, 0};
    if (!value.allowed_by.empty()) out.allowed_by = rule_number(value.allowed_by.front());
    if (value.admin) out.admin = place_of(*value.admin), out.admin_rule = rule_number(value.admin->owner);
    if (value.baseline)
      out.baseline = place_of(*value.baseline), out.baseline_rule = rule_number(value.baseline->owner);
    const desired::Owner* owner = value.admin                 ? &value.admin->owner
                                  : !value.allowed_by.empty() ? &value.allowed_by.front()
                                  : value.baseline            ? &value.baseline->owner
                                                              : nullptr;
    rows.push_back(row(wire, out, owner ? owner->str() : ""));
  }
  return rows;
}

SourceList source_list(const desired::FrontendRow& frontend) {
  SourceList out;
  out.ranges.insert(frontend.source_ranges.begin(), frontend.source_ranges.end());
  std::string content;
  for (const auto& range : out.ranges) content += bytes_of(wire_of(range));
  if (!out.ranges.empty()) out.name = net::stable_hash(content);
  return out;
}

void encode_sources(const SourceList& list, const SharedText& owner, Rows& sources) {
  for (const auto& range : list.ranges) {
    source_lpm_key key{};
    key.length = SOURCE_LIST_BITS + static_cast<uint32_t>(range.length());
    key.list[0] = static_cast<uint32_t>(list.name);
    key.list[1] = static_cast<uint32_t>(list.name >> 32);
    key.address = wire_of(range.address());
    sources.push_back(row(key, uint32_t{1}, owner));
  }
}

BackendSet backend_set(const desired::FrontendKey& key, const desired::FrontendRow& frontend) {
  const bool v4 = key.address.is_v4();
  BackendSet out;
  std::string content = bytes_of(frontend.service_id);
  for (const auto& backend : frontend.backends) {
    if (backend.address.is_v4() != v4) continue;  // a frontend serves its own family
    backend_value value{};
    value.address = wire_of(backend.address);
    value.port_be = htons(backend.port);
    value.flags = backend.local ? BACKEND_LOCAL : 0;
    content.append(reinterpret_cast<const char*>(&value), sizeof value);
    out.backends.push_back(value);
  }
  for (const auto& one : frontend.unchosen) {
    if (one.address.is_v4() != v4) continue;
    content += bytes_of(wire_of(one.address)) + bytes_of(one.port);
    out.unchosen.push_back(one);
  }
  if (!out.backends.empty() || !out.unchosen.empty()) out.name = net::stable_hash(content);
  return out;
}

ChoiceTable choice_of(const desired::FrontendKey& key, const desired::FrontendRow& frontend) {
  ChoiceTable out;
  if (!frontend.consistent) return out;
  std::string content;
  for (const auto& backend : frontend.backends) {
    if (backend.address.is_v4() != key.address.is_v4()) continue;
    out.backends.push_back({backend.address, backend.port});
    content += bytes_of(wire_of(backend.address)) + bytes_of(backend.port);
  }
  if (out.backends.size() > 1) out.name = net::stable_hash(content);
  return out;
}

void encode_choice(const ChoiceTable& table, const SharedText& owner, Rows& choices) {
  uint32_t number = 0;
  for (const auto& chunk : choice_chunks(table.backends))
    choices.push_back(row(choice_key{table.name, number++, 0}, chunk, owner));
}

FrontendLists lists_of(const desired::FrontendKey& key, const desired::FrontendRow& frontend) {
  return {backend_set(key, frontend), source_list(frontend), choice_of(key, frontend)};
}

reconcile::Row encode_frontend(const desired::FrontendKey& key, const desired::FrontendRow& frontend,
                               const FrontendLists& lists) {
  frontend_key wire_key{};
  wire_key.address = wire_of(key.address);
  wire_key.port_be = htons(key.port);
  wire_key.protocol = static_cast<uint8_t>(key.protocol);
  wire_key.scope = static_cast<uint8_t>(key.scope);
  frontend_value value{};
  value.service_id = frontend.service_id;
  value.set = lists.set.name;
  value.sources = lists.sources.name;
  value.table = lists.choice.name;
  value.count = static_cast<uint32_t>(lists.set.backends.size());
  value.affinity_seconds = frontend.affinity_seconds;
  value.flags = (frontend.drop_when_empty ? FRONTEND_DROP_WHEN_EMPTY : 0) | (frontend.snat ? FRONTEND_SNAT : 0);
  return row(wire_key, value, frontend.owner.str());
}

void encode_set(const BackendSet& set, const SharedText& owner, Rows& backends, Rows& members) {
  const bool few = set.backends.size() <= FEW_BACKENDS;
  const bool distinct = strictly_sorted(set.backends);
  std::set<std::string> seen;
  for (uint32_t slot = 0; slot < set.backends.size(); ++slot) {
    backends.push_back(row(backend_key{set.name, slot, 0}, set.backends[slot], owner));
    if (few) continue;
    member_key member{};
    member.set = set.name;
    member.address = set.backends[slot].address;
    member.port_be = set.backends[slot].port_be;
    if (distinct || seen.insert(bytes_of(member)).second) members.push_back(row(member, slot, owner));
  }
  for (const auto& one : set.unchosen) {
    member_key member{};
    member.set = set.name;
    member.address = wire_of(one.address);
    member.port_be = htons(one.port);
    members.push_back(row(member, uint32_t{MEMBER_LISTED}, owner));
  }
}

ServiceRows encode_services(const desired::FrontendTable& table) {
  ServiceRows rows;
  std::unordered_set<uint64_t> sets, sources, choices;
  for (const auto& [key, frontend] : table) {
    const FrontendLists lists = lists_of(key, frontend);
    rows.frontends.push_back(encode_frontend(key, frontend, lists));
    const SharedText owner = rows.frontends.back().owner;
    const auto fresh = [](auto& known, const auto& list) { return list.name && known.insert(list.name).second; };
    if (fresh(sets, lists.set)) encode_set(lists.set, owner, rows.backends, rows.members);
    if (fresh(sources, lists.sources)) encode_sources(lists.sources, owner, rows.sources);
    if (fresh(choices, lists.choice)) encode_choice(lists.choice, owner, rows.choices);
  }
  return rows;
}

node_config encode_config(const NodeConfig& node, uint32_t epoch) {
  node_config config{};
  config.epoch = epoch;
  config.uplink_ifindex = node.uplink_ifindex;
  config.overlay_ifindex = node.overlay_ifindex;
  config.vni = node.vni;
  for (const auto& address : node.addresses) (address.is_v4() ? config.address4 : config.address6) = wire_of(address);
  config.netns_cookie = node.netns_cookie;
  config.flags = (node.uplink_peer ? NODE_UPLINK_PEER : 0) | (node.dsr && node.overlay_ifindex ? NODE_DSR : 0) |
                 (node.native_routing ? NODE_NATIVE_ROUTING : 0) | (node.reset_removed ? NODE_RESET_REMOVED : 0);
  config.nat_first = node.nat_first;
  config.nat_last = node.nat_last;
  return config;
}

}  // namespace carrick::realize
