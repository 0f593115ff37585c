#include <gtest/gtest.h>

#include "desired/policy/cidr_classes.h"
#include "desired/policy/rules.h"
#include "desired/test_cluster.h"

namespace carrick::desired::testing {
namespace {

TEST(PortRanges, BlocksCoverTheRangeAndNothingElse) {
  for (auto [first, last] :
       {std::pair<int, int>{1, 65535}, {80, 80}, {53, 84}, {0, 65535}, {7, 9}, {1024, 2047}, {65535, 65535}}) {
    std::vector<int> hits(65536);
    for (auto [value, bits] : split_range(static_cast<uint16_t>(first), static_cast<uint16_t>(last))) {
      EXPECT_EQ(value & (0xffff >> bits), 0) << "the block is aligned";
      for (int port = value; port < value + (1 << (16 - bits)); ++port) ++hits[static_cast<size_t>(port)];
    }
    for (int port = 0; port < 65536; ++port)
      ASSERT_EQ(hits[static_cast<size_t>(port)], port >= first && port <= last) << first << "-" << last << " " << port;
  }
}

net::Prefix prefix(const char* text) { return net::Prefix::parse(text).value(); }

TEST(CidrClasses, OneLookupGivesTheExactSet) {
  std::map<std::string, AddressBlock> blocks{{"a", {"a", {prefix("10.0.0.0/8")}, {prefix("10.1.0.0/16")}}},
                                             {"b", {"b", {prefix("10.1.2.0/24")}, {}}}};
  CidrClasses classes(blocks);
  const auto& table = classes.table();
  EXPECT_EQ(table.at(prefix("10.1.0.0/16")), 0u);  // excepted, and in no other block
  EXPECT_TRUE(classes.of_block("a").contains(table.at(prefix("10.0.0.0/8"))));
  EXPECT_FALSE(classes.of_block("a").contains(table.at(prefix("10.1.2.0/24"))));
  EXPECT_TRUE(classes.of_block("b").contains(table.at(prefix("10.1.2.0/24"))));
  EXPECT_TRUE(classes.of_block("c").empty());
}

TEST(CidrClasses, ShortIpv6PrefixesDoNotSpeakForIpv4) {
  std::map<std::string, AddressBlock> blocks{{"all6", {"all6", {prefix("::/0")}, {}}}};
  CidrClasses classes(blocks);
  EXPECT_EQ(classes.table().at(net::Prefix(net::IpAddress::v4(0), 96)), 0u);
  blocks["all4"] = {"all4", {prefix("0.0.0.0/0")}, {}};
  EXPECT_NE(CidrClasses(blocks).table().at(net::Prefix(net::IpAddress::v4(0), 96)), 0u);
}

TEST(Identities, OnlyWhatPoliciesLookAtCounts) {
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_node(0);
  cluster.add_pod("x", "a", {{"app", "web"}, {"hash", "1"}}, 0, {{"http", 80}});
  cluster.add_pod("x", "b", {{"app", "web"}, {"hash", "2"}}, 0, {{"http", 81}});
  auto ids = [&] { return compile_identities(cluster.snapshot); };
  EXPECT_EQ(ids().at({"x", "a"}), ids().at({"x", "b"}));
  k8s::NetworkPolicySpec policy;
  policy.podSelector.matchLabels = {{"app", "web"}};
  cluster.add_policy("x", "p", policy);
  EXPECT_EQ(ids().at({"x", "a"}), ids().at({"x", "b"}));
  policy.ingress.resize(1);
  policy.ingress[0].ports.push_back({std::nullopt, k8s::IntOrString("http"), std::nullopt});
  cluster.add_policy("x", "p", policy);
  EXPECT_NE(ids().at({"x", "a"}), ids().at({"x", "b"}));
}

TEST(PodTable, UnknownPodsAreClosedAndPodsOfNobodyAreOpen) {  // NP-17
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_node(0);
  auto& pod = cluster.add_pod("x", "a", {}, 0);
  k8s::NetworkPolicySpec policy;
  policy.policyTypes = {"Ingress"};
  cluster.add_policy("x", "p", policy);
  NodeView view = cluster.view(0);
  LocalPod stale = TestCluster::local_pod(pod, 50);
  stale.uid = "an-earlier-one";
  view.pods["stale"] = stale;
  view.pods["unknown"] = {{"x", "b"}, {}, "unknown", {}, 51, {}, {}, {}, {}};
  view.pods["cnitool"] = {{}, {}, "cnitool", {}, 52, {}, {}, {TestCluster::ip("10.1.0.99")}, {}};
  Tables tables = compile(cluster.snapshot, view);
  EXPECT_FALSE(tables.pods.at(11).blocked);
  EXPECT_TRUE(tables.pods.at(11).ingress_isolated);
  EXPECT_FALSE(tables.pods.at(11).egress_isolated);
  EXPECT_TRUE(tables.pods.at(50).blocked);
  EXPECT_TRUE(tables.pods.at(51).blocked);
  EXPECT_FALSE(tables.pods.at(52).blocked);
  EXPECT_EQ(tables.pods.at(52).identity, kNoIdentity);
  EXPECT_EQ(tables.peers.at(net::Prefix::host(TestCluster::ip("10.1.0.99"))).kind, PeerKind::kLocalPod);
}

TEST(PolicyTable, DnsPodsOfPoliciesAreTheNodesServer) {  // ADR 6
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_node(0);
  cluster.add_pod("x", "a", {}, 0);
  k8s::NetworkPolicySpec policy;
  policy.policyTypes = {"Egress"};
  policy.egress.resize(1);
  policy.egress[0].to.push_back(
      {k8s::LabelSelector{{{"k8s-app", "kube-dns"}}, {}}, k8s::LabelSelector{}, std::nullopt});
  policy.egress[0].ports.push_back({"UDP", k8s::IntOrString("dns"), std::nullopt});
  cluster.add_policy("x", "p", policy);
  auto tables = compile(cluster.snapshot, cluster.view(0));
  ASSERT_EQ(tables.policy.rows.size(), 1u);
  EXPECT_EQ(tables.policy.rows.begin()->first.peer, kNodeDnsIdentity);
  EXPECT_EQ(tables.policy.rows.begin()->first.port, 53);
}

}  // namespace
}  // namespace carrick::desired::testing
