#include "agent/node_links.h"

#include <gtest/gtest.h>

#include "kernel/fake_network.h"

namespace carrick::agent {
namespace {

struct Node {
  Node() {
    auto own = network.own();
    own->links[2] = {.ifindex = 2, .name = "eth0", .mtu = 1500, .up = true};
    own->next_ifindex = 3;
    own->addresses.push_back({2, *net::IpAddress::parse("192.0.2.11"), 32});
  }
  NodeLinks prepare(desired::Routing routing, bool dsr) {
    AgentOptions options;
    options.node_name = "node1";
    options.uplink = "eth0";
    options.routing = routing;
    options.dsr = dsr;
    auto links = prepare_links(options, {}, network);
    EXPECT_TRUE(links) << links.error().message;
    return links.value_or(NodeLinks{});
  }
  bool has_tunnel() { return network.own()->find("carrick_vxlan"); }
  kernel::FakeNetwork network;
};

TEST(NodeLinks, TheTunnelIsThereForThoseWhoUseIt) {
  using enum desired::Routing;
  Node node;
  EXPECT_EQ(node.prepare(kNative, false).pod_mtu, 1500u);
  EXPECT_FALSE(node.has_tunnel());
  EXPECT_EQ(node.prepare(kVxlan, false).pod_mtu, 1450u);
  EXPECT_TRUE(node.has_tunnel());
  const auto direct = node.prepare(kNative, true);
  EXPECT_EQ(direct.pod_mtu, 1450u);
  EXPECT_NE(direct.overlay_ifindex, 0u);
  EXPECT_TRUE(direct.dsr);
  EXPECT_EQ(node.prepare(kNative, false).overlay_ifindex, 0u);
  EXPECT_FALSE(node.has_tunnel()) << "nobody uses it any more";
}

}  // namespace
}  // namespace carrick::agent
