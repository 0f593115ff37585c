#include "agent/node_links.h"

#include "cni/plumb.h"
#include "kernel/netns.h"

namespace carrick::agent {
namespace {

constexpr uint32_t kLoopback = 1;
constexpr const char* kOverlayLink = "carrick_vxlan";
// Outer Ethernet is the uplink's own; IPv4 20 (IPv6 40) + UDP 8 + VXLAN 8 + inner Ethernet 14 (RFC 7348). The larger
// one, so that either family may carry the tunnel.
constexpr uint32_t kVxlanOverhead = 70;
constexpr uint32_t kVxlanOverheadV4 = 50;

// Host part of "https://192.0.2.1:6443".
Result<net::IpAddress> address_of(const std::string& server) {
  size_t begin = server.find("://");
  std::string host = begin == std::string::npos ? server : server.substr(begin + 3);
  if (!host.empty() && host[0] == '[')
    host = host.substr(1, host.find(']') - 1);
  else
    host = host.substr(0, host.find_first_of(":/"));
  return net::IpAddress::parse(host);
}

Result<kernel::Link> find_uplink(const AgentOptions& options, const watch::Credentials& credentials,
                                 kernel::Netlink& node) {
  if (!options.uplink.empty()) return node.link(options.uplink);
  for (const auto& server : credentials.servers) {
    auto address = address_of(server);
    if (!address) continue;
    auto hop = node.route_to(*address);
    if (hop && !hop->local && hop->ifindex != kLoopback) return node.link(hop->ifindex);
  }
  return fail(ErrorKind::kInvalid,
              "the link towards other nodes cannot be told from the API server's address: name it with --uplink");
}

Result<uint32_t> prepare_overlay(const AgentOptions& options, const kernel::Link& uplink, bool v6_underlay,
                                 kernel::Netlink& node) {
  auto present = node.link(kOverlayLink);
  if (!present) {
    TRY_VOID(node.apply({kernel::CreateVxlan{.name = kOverlayLink,
                                             .mac = net::MacAddress::derived_from("overlay/" + options.node_name),
                                             .mtu = uplink.mtu - (v6_underlay ? kVxlanOverhead : kVxlanOverheadV4)}}));
    present = node.link(kOverlayLink);
    if (!present) return std::unexpected(present.error());
  }
  return present->ifindex;
}

}  // namespace

Result<NodeLinks> prepare_links(const AgentOptions& options, const watch::Credentials& credentials,
                                kernel::Network& network) {
  auto node = TRY(network.netlink(-1));
  TRY_VOID(cni::prepare_node(network));
  kernel::Link uplink = TRY(find_uplink(options, credentials, *node));
  NodeLinks out{
      .uplink_ifindex = uplink.ifindex, .uplink = uplink.name, .uplink_mtu = uplink.mtu, .pod_mtu = uplink.mtu};
  out.uplink_peer =
      !options.uplink_queue && uplink.kind == "veth" && uplink.peer_elsewhere && uplink.qdisc == "noqueue";
  out.netns_cookie = kernel::own_netns_cookie().value_or(0);
  auto addresses = TRY(node->addresses());
  bool v4 = false, v6 = false;
  for (const auto& a : addresses)
    if (a.ifindex == uplink.ifindex && !a.address.is_link_local()) (a.address.is_v4() ? v4 : v6) = true;
  if (options.dsr || options.routing == desired::Routing::kVxlan) {
    out.dsr = options.dsr;
    out.overlay_ifindex = TRY(prepare_overlay(options, uplink, !v4, *node));
    out.pod_mtu = uplink.mtu - (v4 ? kVxlanOverheadV4 : kVxlanOverhead);
  } else if (auto unused = node->link(kOverlayLink)) {
    TRY_VOID(node->apply({kernel::DeleteLink{unused->ifindex}}));
  }
  if (v4) out.dns_addresses.push_back(*net::IpAddress::parse(desired::kNodeDnsV4));
  if (v6) out.dns_addresses.push_back(*net::IpAddress::parse(desired::kNodeDnsV6));
  for (const auto& address : out.dns_addresses)
    TRY_VOID(node->apply(
        {kernel::AddAddress{.address = {kLoopback, address, address.is_v4() ? 32 : 128}, .host_scope = true}}));
  return out;
}

}  // namespace carrick::agent
