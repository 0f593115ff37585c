#include <algorithm>

#include "desired/object_facts.h"
#include "desired/pods/identities.h"
#include "desired/pods/local_pods.h"
#include "desired/pods/peer_index.h"

namespace carrick::desired {

net::IpAddress choose_node_address(const std::vector<net::IpAddress>& addresses, bool tunnelled, bool self_has_v4,
                                   bool peer_is_v4) {
  bool want_v4 = tunnelled ? self_has_v4 : peer_is_v4;
  auto of_family = std::ranges::find_if(addresses, [&](const auto& a) { return a.is_v4() == want_v4; });
  if (of_family != addresses.end()) return *of_family;
  return addresses.empty() ? net::IpAddress() : addresses.front();
}

PeerIndex::PeerIndex(const k8s::Snapshot& snapshot, const NodeView& node)
    : node_name_(node.node_name), tunnels_(node.tunnels()) {
  has_v4_ = std::ranges::any_of(node.addresses, [](const auto& a) { return a.is_v4(); });
  for (const auto& cidr : node.service_cidrs) node_rows_[cidr] = PeerRow{.kind = PeerKind::kServiceCidr};
  for (const auto& [key, object] : snapshot.nodes) nodes_[key.name] = internal_ips(*object);
  for (const auto& [key, object] : snapshot.nodes) {
    bool self = key.name == node_name_;
    Owner owner{"Node", {}, key.name, {}};
    for (const auto& cidr : pod_cidrs(*object)) {
      PeerRow row;
      row.kind = self ? PeerKind::kLocalPodCidr : PeerKind::kRemotePodCidr;
      if (!self) row.node = address_of_node(key.name, cidr.address());
      row.owner = owner;
      node_rows_.emplace(cidr, row);
    }
    if (self) continue;
    for (const auto& address : every_ip(*object))
      node_rows_.emplace(net::Prefix::host(address),
                         PeerRow{PeerKind::kRemoteNode, kRemoteNodeIdentity, 0,
                                 tunnels_ ? address_of_node(key.name, address) : address, owner});
  }
  std::vector<net::IpAddress> own = node.addresses;
  if (auto self = snapshot.nodes.find({"", node_name_}); self != snapshot.nodes.end())
    for (const auto& address : every_ip(*self->second)) own.push_back(address);
  for (const auto& address : own)
    node_rows_[net::Prefix::host(address)] =
        PeerRow{PeerKind::kThisNode, kThisNodeIdentity, 0, {}, {"Node", {}, node_name_, {}}};
  for (const auto& address : node.dns_addresses)
    node_rows_[net::Prefix::host(address)] =
        PeerRow{PeerKind::kNodeDns,
                kNodeDnsIdentity,
                0,
                {},
                {"Service", node.dns_service.namespace_, node.dns_service.name, {}}};
}

net::IpAddress PeerIndex::address_of_node(const std::string& name, const net::IpAddress& for_peer) const {
  auto found = nodes_.find(name);
  return found == nodes_.end() ? net::IpAddress()
                               : choose_node_address(found->second, tunnels_, has_v4_, for_peer.is_v4());
}

std::set<net::IpAddress> PeerIndex::set_pod(const k8s::NamespacedName& key, const k8s::Pod* pod, Identity identity) {
  PodClaim claim;
  if (pod && has_identity(*pod)) {
    claim.addresses = addresses_of(*pod);
    claim.identity = identity;
    claim.node_name = pod->spec.nodeName;
    claim.created = pod->metadata.creationTimestamp.value_or("");
    claim.deleting = pod->metadata.deletionTimestamp.has_value();
    if (claim.node_name == node_name_) claim.addresses.clear();  // what lives here is what is plumbed here
  }
  auto known = pods_.find(key);
  std::set<net::IpAddress> touched;
  if (known != pods_.end()) {
    if (known->second == claim) return touched;
    for (const auto& address : known->second.addresses) {
      touched.insert(address);
      auto claims = claims_.find(address);
      claims->second.erase(key);
      if (claims->second.empty()) claims_.erase(claims);
    }
  }
  if (claim.addresses.empty()) {
    if (known != pods_.end()) pods_.erase(known);
    return touched;
  }
  for (const auto& address : claim.addresses) {
    touched.insert(address);
    claims_[address].insert(key);
  }
  pods_[key] = std::move(claim);
  return touched;
}

std::set<net::IpAddress> PeerIndex::set_local_pods(const NodeView& node, const k8s::Snapshot& snapshot,
                                                   const IdentityTable& identities) {
  std::map<net::IpAddress, PeerRow> fresh;
  for (const auto& [container, local] : node.pods) {
    PeerRow row;
    row.kind = PeerKind::kLocalPod;
    row.ifindex = local.ifindex;
    if (object_of(local, snapshot))
      if (auto id = identities.find(local.pod); id != identities.end()) row.identity = id->second;
    row.owner = {"Pod", local.pod.namespace_, local.pod.name.empty() ? container : local.pod.name, {}};
    for (const auto& address : local.addresses) fresh.emplace(address, row);
  }
  std::set<net::IpAddress> touched;
  for (const auto& [address, row] : local_)
    if (auto now = fresh.find(address); now == fresh.end() || now->second != row) touched.insert(address);
  for (const auto& [address, row] : fresh)
    if (!local_.contains(address)) touched.insert(address);
  local_ = std::move(fresh);
  return touched;
}

PeerRow PeerIndex::remote_row(const k8s::NamespacedName& key, const PodClaim& claim,
                              const net::IpAddress& address) const {
  return {PeerKind::kRemotePod,
          claim.identity,
          0,
          address_of_node(claim.node_name, address),
          {"Pod", key.namespace_, key.name, {}}};
}

std::optional<PeerRow> PeerIndex::row(const net::IpAddress& address) const {
  if (auto node = node_rows_.find(net::Prefix::host(address)); node != node_rows_.end()) return node->second;
  if (auto local = local_.find(address); local != local_.end()) return local->second;
  auto claims = claims_.find(address);
  if (claims == claims_.end()) return std::nullopt;
  // Two pods may show one address for a moment: the one that stays wins, then the younger one, then the first by name.
  const k8s::NamespacedName* best = nullptr;
  const PodClaim* best_claim = nullptr;
  for (const auto& key : claims->second) {
    const PodClaim& claim = pods_.at(key);
    bool better = !best || (best_claim->deleting && !claim.deleting) ||
                  (best_claim->deleting == claim.deleting && claim.created > best_claim->created);
    if (better) best = &key, best_claim = &claim;
  }
  return remote_row(*best, *best_claim, address);
}

std::set<net::IpAddress> PeerIndex::pod_addresses() const {
  std::set<net::IpAddress> out;
  for (const auto& [address, row] : local_) out.insert(address);
  for (const auto& [address, keys] : claims_) out.insert(address);
  return out;
}

PeerTable compile_peers(const k8s::Snapshot& snapshot, const NodeView& node, const IdentityTable& identities) {
  PeerIndex index(snapshot, node);
  index.set_local_pods(node, snapshot, identities);
  for (const auto& [key, pod] : snapshot.pods) {
    auto id = identities.find(key);
    index.set_pod(key, pod.get(), id == identities.end() ? kNoIdentity : id->second);
  }
  PeerTable out = index.node_rows();
  for (const auto& address : index.pod_addresses())
    out.insert_or_assign(net::Prefix::host(address), *index.row(address));
  return out;
}

}  // namespace carrick::desired
