#include "spaces.h"

#include "kernel/netns.h"

namespace carrick::bench {
namespace {

using namespace kernel;

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }
net::Prefix prefix(const char* text) { return net::Prefix::parse(text).value(); }

Result<Space> new_space() {
  Space out;
  out.fd = TRY(create_anonymous_netns());
  out.netlink = TRY(open_netlink(out.fd.get()));
  return out;
}

struct Wire {
  uint32_t left = 0, right = 0;  // ifindexes
  net::MacAddress left_mac, right_mac;
};

Result<Wire> wire(Space& left, Space& right, const std::string& left_name, const std::string& right_name) {
  Wire out{.left_mac = net::MacAddress::derived_from("bench left " + left_name + right_name),
           .right_mac = net::MacAddress::derived_from("bench right " + left_name + right_name)};
  CreateVeth veth;
  veth.here = {.name = left_name, .mac = out.left_mac};
  veth.there = {.name = right_name, .mac = out.right_mac, .netns_fd = right.fd.get()};
  out.left = TRY(left.netlink->create_veth(veth));
  out.right = TRY(right.netlink->link(right_name)).ifindex;
  TRY_VOID(right.netlink->apply({SetLink{.link = out.right, .up = true}}));
  return out;
}

// `via` is on the link by decree: its MAC is known, nobody has to own the address.
Result<void> route(Space& space, const net::Prefix& destination, uint32_t link, const net::IpAddress& via,
                   const net::MacAddress& mac) {
  return space.netlink->apply({AddNeighbor{{link, via, mac}},
                               AddRoute{{.destination = destination, .ifindex = link, .via = via, .onlink = true}}});
}

Result<void> make_router(Space& space) {
  Sysctl settings[] = {
      {"net/ipv4/ip_forward", "1"}, {"net/ipv4/conf/all/rp_filter", "0"}, {"net/ipv4/conf/default/rp_filter", "0"}};
  return write_sysctls(space.fd.get(), settings);
}

}  // namespace

Endpoints FloorPath::endpoints() const {
  return {.client_netns = spaces.front().fd.get(),
          .server_netns = spaces.back().fd.get(),
          .client_cgroup = "",
          .server = server,
          .target = {server, kServerPort}};
}

Result<FloorPath> raw_veth() {
  FloorPath out;
  for (int i = 0; i < 2; ++i) out.spaces.push_back(TRY(new_space()));
  Wire link = TRY(wire(out.spaces[0], out.spaces[1], "eth0", "eth0"));
  auto client = ip("10.9.0.1");
  out.server = ip("10.9.0.2");
  TRY_VOID(out.spaces[0].netlink->apply(
      {AddAddress{{link.left, client, 24}}, AddNeighbor{{link.left, out.server, link.right_mac}}}));
  TRY_VOID(out.spaces[1].netlink->apply(
      {AddAddress{{link.right, out.server, 24}}, AddNeighbor{{link.right, client, link.left_mac}}}));
  return out;
}

Result<FloorPath> routed_nodes() {
  FloorPath out;
  for (int i = 0; i < 5; ++i) out.spaces.push_back(TRY(new_space()));
  Space &pod_a = out.spaces[0], &node_a = out.spaces[1], &fabric = out.spaces[2], &node_b = out.spaces[3],
        &pod_b = out.spaces[4];
  for (Space* router : {&node_a, &fabric, &node_b}) TRY_VOID(make_router(*router));
  Wire a = TRY(wire(pod_a, node_a, "eth0", "pod")), b = TRY(wire(pod_b, node_b, "eth0", "pod"));
  Wire up_a = TRY(wire(node_a, fabric, "eth0", "node-a")), up_b = TRY(wire(node_b, fabric, "eth0", "node-b"));
  auto client = ip("10.9.1.2"), gateway = ip("169.254.1.1");
  out.server = ip("10.9.2.2");
  auto everything = prefix("0.0.0.0/0");
  TRY_VOID(pod_a.netlink->apply({AddAddress{{a.left, client, 32}}}));
  TRY_VOID(pod_b.netlink->apply({AddAddress{{b.left, out.server, 32}}}));
  TRY_VOID(route(pod_a, everything, a.left, gateway, a.right_mac));
  TRY_VOID(route(pod_b, everything, b.left, gateway, b.right_mac));
  TRY_VOID(node_a.netlink->apply({AddNeighbor{{a.right, client, a.left_mac}},
                                  AddRoute{{.destination = net::Prefix::host(client), .ifindex = a.right}}}));
  TRY_VOID(node_b.netlink->apply({AddNeighbor{{b.right, out.server, b.left_mac}},
                                  AddRoute{{.destination = net::Prefix::host(out.server), .ifindex = b.right}}}));
  TRY_VOID(route(node_a, everything, up_a.left, ip("192.0.2.1"), up_a.right_mac));
  TRY_VOID(route(node_b, everything, up_b.left, ip("192.0.2.1"), up_b.right_mac));
  TRY_VOID(route(fabric, prefix("10.9.1.0/24"), up_a.right, ip("192.0.2.11"), up_a.left_mac));
  TRY_VOID(route(fabric, prefix("10.9.2.0/24"), up_b.right, ip("192.0.2.12"), up_b.left_mac));
  return out;
}

}  // namespace carrick::bench
