#include "lab/config.h"

#include <gtest/gtest.h>

#include <set>

namespace carrick::lab {
namespace {

TEST(Config, SurvivesItsFile) {
  LabConfig config{.name = "a-1",
                   .nodes = 7,
                   .family = IpFamily::kIpv6,
                   .vxlan = true,
                   .dsr = true,
                   .full_maps = true,
                   .uplink_queue = true,
                   .reset_removed = true,
                   .images = {{"shop/web", "/opt/web"}},
                   .data_dir = "/d",
                   .kubeconfig_path = "/k",
                   .api_port = 6443,
                   .cni_binary = "/b",
                   .cgroup_mount = "/c"};
  auto again = decode_config(encode_config(config));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(encode_config(*again), encode_config(config));
  EXPECT_EQ(again->family, IpFamily::kIpv6);
  EXPECT_TRUE(again->full_maps);
}

TEST(Config, SaysWhatIsWrong) {
  for (const char* name : {"", "Upper", "-a", "a-", "a/b", "..", "a_b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    auto checked = check_config({.name = name});
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().kind, ErrorKind::kInvalid);
  }
  EXPECT_FALSE(check_config({.nodes = 0}));
  EXPECT_FALSE(check_config({.nodes = 241}));
  EXPECT_TRUE(check_config({.nodes = 240}));
  EXPECT_FALSE(check_config({.api_port = 65536}));
}

TEST(Config, NoTwoNodesShareAnything) {
  LabConfig config{.nodes = 240};
  std::set<std::string> seen;
  for (const NodePlan& node : plan_nodes(config)) {
    for (const auto& address : node.addresses) EXPECT_TRUE(seen.insert(address.str()).second) << address.str();
    for (const auto& cidr : node.pod_cidrs) EXPECT_TRUE(seen.insert(cidr.str()).second) << cidr.str();
    for (const std::string& text : {node.name, node.fabric_link, node.uplink_mac.str(), node.fabric_mac.str()})
      EXPECT_TRUE(seen.insert(text).second) << text;
    EXPECT_LE(node.fabric_link.size(), 15u);  // IFNAMSIZ
  }
}

TEST(Config, TheAddressPlanOfEveryTest) {
  NodePlan node = plan_node({}, 3);
  EXPECT_EQ(node.addresses[0].str(), "192.0.2.13");
  EXPECT_EQ(node.addresses[1].str(), "2001:db8:2::d");
  EXPECT_EQ(node.pod_cidrs[0].str(), "10.1.3.0/24");
  EXPECT_EQ(node.pod_cidrs[1].str(), "2001:db8:1:3::/64");
  EXPECT_EQ(plan_node({.family = IpFamily::kIpv6}, 3).addresses.size(), 1u);
}

}  // namespace
}  // namespace carrick::lab
