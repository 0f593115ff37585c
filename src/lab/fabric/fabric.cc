#include "lab/fabric/fabric.h"

#include <vector>

#include "kernel/netlink.h"
#include "kernel/netns.h"

namespace carrick::lab {
namespace {

using namespace kernel;

constexpr uint32_t kMtu = 1500;
constexpr uint32_t kLoopback = 1;
constexpr uint32_t kUplink = 2;            // eth0 of a node: the first device after lo
constexpr uint32_t kFirstFabricLink = 10;  // chosen by us, so that one batch can name the link it creates
constexpr uint32_t kOutsideLink = 2;
constexpr uint8_t kStatic =
    4;  // RTPROT_STATIC: kRouteProtocol is the agent's mark, and it prunes what it does not want

net::IpAddress address(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix everything(bool v4) { return v4 ? *net::Prefix::parse("0.0.0.0/0") : *net::Prefix::parse("::/0"); }
int host_length(const net::IpAddress& a) { return a.is_v4() ? 32 : 128; }

// Settings of one namespace; nothing outside of it changes. They come before the links, which inherit `default`.
Result<void> prepare_namespace(int netns, bool forwards) {
  std::vector<Sysctl> settings = {
      {"net/ipv4/conf/all/rp_filter", "0"},
      {"net/ipv4/conf/default/rp_filter", "0"},
      {"net/ipv6/conf/default/addr_gen_mode", "1",
       true},  // no automatic fe80:: address, hence no DAD before anything works
      {"net/ipv6/conf/default/accept_dad", "0", true},
      {"net/ipv6/conf/default/accept_ra", "0", true},
  };
  if (forwards) {
    settings.push_back({"net/ipv4/ip_forward", "1"});
    settings.push_back({"net/ipv6/conf/all/forwarding", "1", true});
    settings.push_back({"net/ipv4/conf/all/send_redirects", "0"});
    settings.push_back({"net/ipv4/conf/default/send_redirects", "0"});
  }
  return write_sysctls(netns, settings);
}

// One end of a cable: the far namespace's side speaks to everybody through the fabric.
void configure_far_side(std::vector<Change>& batch, uint32_t link, const std::vector<net::IpAddress>& addresses,
                        const std::vector<net::IpAddress>& gateways, const net::MacAddress& gateway_mac) {
  for (const auto& own : addresses) batch.push_back(AddAddress{{link, own, host_length(own)}});
  for (const auto& gateway : gateways) {
    batch.push_back(AddNeighbor{{link, gateway, gateway_mac}});
    batch.push_back(AddRoute{{.destination = everything(gateway.is_v4()),
                              .ifindex = link,
                              .via = gateway,
                              .onlink = true,
                              .protocol = kStatic}});
  }
}

Result<void> attach_node(const LabConfig& config, const LabPaths& paths, Netlink& fabric, const NodePlan& node) {
  Fd netns = TRY(create_netns(paths.node_netns(node.name)));
  TRY_VOID(prepare_namespace(netns.get(), true));
  uint32_t link = kFirstFabricLink + static_cast<uint32_t>(node.index);
  std::vector<Change> batch = {
      CreateVeth{.here = {.name = node.fabric_link, .ifindex = link, .mac = node.fabric_mac},
                 .there = {.name = "eth0", .ifindex = kUplink, .mac = node.uplink_mac, .netns_fd = netns.get()},
                 .mtu = kMtu}};
  for (const auto& own : node.addresses) {
    batch.push_back(AddNeighbor{{link, own, node.uplink_mac}});
    batch.push_back(AddRoute{{.destination = net::Prefix::host(own), .ifindex = link, .protocol = kStatic}});
  }
  if (!config.vxlan)
    for (size_t i = 0; i < node.pod_cidrs.size(); ++i)
      batch.push_back(AddRoute{{.destination = node.pod_cidrs[i],
                                .ifindex = link,
                                .via = node.addresses[i],
                                .onlink = true,
                                .protocol = kStatic}});
  TRY_VOID(fabric.apply(batch));

  batch.clear();
  configure_far_side(batch, kUplink, node.addresses, fabric_addresses(config), node.fabric_mac);
  auto inside = TRY(open_netlink(netns.get()));
  return inside->apply(batch);
}

Result<void> attach_outside(const LabConfig& config, const LabPaths& paths, Netlink& fabric) {
  Fd netns = TRY(create_netns(paths.outside_netns()));
  TRY_VOID(prepare_namespace(netns.get(), false));
  auto fabric_mac = net::MacAddress::derived_from("outside/fabric"),
       outside_mac = net::MacAddress::derived_from("outside/uplink");
  std::vector<Change> batch = {
      CreateVeth{.here = {.name = "to-outside", .ifindex = kOutsideLink, .mac = fabric_mac},
                 .there = {.name = "eth0", .ifindex = kUplink, .mac = outside_mac, .netns_fd = netns.get()},
                 .mtu = kMtu}};
  std::vector<net::IpAddress> own;
  auto add_family = [&](const char* prefix, const char* gateway, const char* web, const char* resolver) {
    for (const char* text : {gateway, web, resolver}) own.push_back(address(text));
    batch.push_back(AddNeighbor{{kOutsideLink, address(gateway), outside_mac}});
    batch.push_back(AddRoute{{.destination = *net::Prefix::parse(prefix),
                              .ifindex = kOutsideLink,
                              .via = address(gateway),
                              .onlink = true,
                              .protocol = kStatic}});
  };
  if (config.has_v4()) add_family("203.0.113.0/24", kOutsideGatewayV4, kOutsideWebV4, kOutsideResolverV4);
  if (config.has_v6()) add_family("2001:db8:203::/64", kOutsideGatewayV6, kOutsideWebV6, kOutsideResolverV6);
  TRY_VOID(fabric.apply(batch));

  batch.clear();
  configure_far_side(batch, kUplink, own, fabric_addresses(config), fabric_mac);
  auto inside = TRY(open_netlink(netns.get()));
  return inside->apply(batch);
}

}  // namespace

Result<void> build_fabric(const LabConfig& config, const LabPaths& paths) {
  TRY_VOID(prepare_namespace(-1, true));
  auto fabric = TRY(open_netlink());
  std::vector<Change> batch = {SetLink{.link = kLoopback, .up = true}};
  for (const auto& own : fabric_addresses(config)) batch.push_back(AddAddress{{kLoopback, own, host_length(own)}});
  TRY_VOID(fabric->apply(batch));
  TRY_VOID(attach_outside(config, paths, *fabric));
  for (const NodePlan& node : plan_nodes(config))
    if (auto attached = attach_node(config, paths, *fabric, node); !attached)
      return with_context(attached.error(), "fabric, {}", node.name);
  return {};
}

}  // namespace carrick::lab
