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

TEST(PodTable, NP_17_UnknownPodsAreClosedAndPodsOfNobodyAreOpen) {
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

k8s::ClusterNetworkPolicySpec tiered(const char* tier, int priority, const char* action,
                                     std::vector<k8s::ClusterNetworkPolicyProtocol> protocols = {}) {
  k8s::ClusterNetworkPolicySpec out;
  out.tier = tier;
  out.priority = priority;
  out.subject.namespaces = k8s::LabelSelector();
  auto& rule = out.ingress.emplace_back();
  rule.action = action;
  rule.from.push_back({.namespaces = k8s::LabelSelector()});
  rule.protocols = std::move(protocols);
  return out;
}

k8s::ClusterNetworkPolicyProtocol tcp(int32_t number) {
  k8s::ClusterNetworkPolicyProtocol out;
  out.tcp.emplace().destinationPort.emplace().number = number;
  return out;
}

TestCluster one_pod() {
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_node(0);
  cluster.add_pod("x", "a", {}, 0, {{"http", 80}});
  return cluster;
}

TEST(Tiers, CNP_3_RowsKnowTheFirstRuleAndWhatWiderRowsSay) {
  TestCluster cluster = one_pod();
  cluster.add_cluster_policy("all", tiered("Admin", 7, "Deny"));
  cluster.add_cluster_policy("web", tiered("Admin", 3, "Accept", {tcp(80)}));
  cluster.add_cluster_policy("late", tiered("Admin", 9, "Pass", {tcp(81)}));
  cluster.add_cluster_policy("base", tiered("Baseline", 0, "Deny", {tcp(80)}));
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  ASSERT_EQ(policy.rows.size(), 3u) << "all pods of all namespaces are one row";
  const Identity id = *policy.ingress_tiered.begin();
  const auto row = [&](net::Protocol protocol, uint16_t port, uint8_t bits) {
    return policy.rows.at({id, Direction::kIngress, PolicyPeerKind::kAnyPod, 0, protocol, port, bits});
  };
  EXPECT_EQ(row(net::Protocol::kAny, 0, 0).admin->action, PolicyAction::kDeny);
  EXPECT_EQ(row(net::Protocol::kTcp, 80, 16).admin->action, PolicyAction::kAccept);
  EXPECT_EQ(row(net::Protocol::kTcp, 80, 16).baseline->action, PolicyAction::kDeny);
  EXPECT_EQ(row(net::Protocol::kTcp, 81, 16).admin->owner.name, "all") << "it comes before the narrower one";
  EXPECT_TRUE(policy.egress_tiered.empty()) << "no rules, no touch";
  EXPECT_TRUE(policy.ingress_isolated_by.empty());
}

TEST(Tiers, CNP_2_OrderOfOnePriorityDoesNotMoveOthers) {
  TestCluster cluster = one_pod();
  cluster.add_cluster_policy("b", tiered("Admin", 5, "Deny", {tcp(80)}));
  const auto before = compile(cluster.snapshot, cluster.view(0)).policy.rows;
  cluster.add_cluster_policy("a", tiered("Admin", 4, "Deny", {tcp(81)}));
  const auto after = compile(cluster.snapshot, cluster.view(0)).policy.rows;
  for (const auto& [key, row] : before) EXPECT_EQ(after.at(key), row);
  cluster.add_cluster_policy("aa", tiered("Admin", 5, "Accept", {tcp(80)}));
  const auto equal = compile(cluster.snapshot, cluster.view(0)).policy.rows;
  EXPECT_EQ(equal.at(before.begin()->first).admin->owner.name, "aa") << "of equal priorities the first by name";
}

TEST(Tiers, CNP_6_WhatIsNotKnownFailsClosed) {
  for (const char* action : {"Accept", "Deny", "Pass", "Audit"}) {
    for (const bool unknown_protocol : {false, true}) {
      TestCluster cluster = one_pod();
      auto spec = tiered("Admin", 1, action, {tcp(80)});
      if (unknown_protocol)
        spec.ingress[0].protocols.emplace_back();
      else
        spec.ingress[0].from.emplace_back();
      cluster.add_cluster_policy("new", spec);
      auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
      EXPECT_EQ(policy.ingress_tiered.size(), 1u);
      if (std::string_view(action) == "Accept") {
        EXPECT_TRUE(policy.rows.empty());
        continue;
      }
      ASSERT_EQ(policy.rows.size(), 1u) << action;
      const auto& [key, row] = *policy.rows.begin();
      EXPECT_EQ(key.peer_kind, PolicyPeerKind::kAny);
      EXPECT_EQ(key.protocol, net::Protocol::kAny);
      EXPECT_EQ(row.admin->action, PolicyAction::kDeny);
    }
  }
}

TEST(Tiers, CNP_8_DomainNamesAcceptNothing) {
  TestCluster cluster = one_pod();
  k8s::ClusterNetworkPolicySpec spec = tiered("Admin", 1, "Accept");
  spec.ingress.clear();
  auto& rule = spec.egress.emplace_back();
  rule.action = "Accept";
  rule.to.push_back({.domainNames = {"example.com"}});
  cluster.add_cluster_policy("names", spec);
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  EXPECT_TRUE(policy.rows.empty());
  EXPECT_EQ(policy.egress_tiered.size(), 1u);
  EXPECT_EQ(k8s::unknown_parts(spec), std::vector<std::string>{"spec.egress[0]: domainNames are not supported"});
}

TEST(Tiers, CNP_4_NodesAreTheirAddresses) {
  TestCluster cluster = one_pod();
  cluster.add_node(1).metadata.labels["role"] = "edge";
  k8s::ClusterNetworkPolicySpec spec = tiered("Admin", 1, "Accept");
  spec.ingress.clear();
  auto& rule = spec.egress.emplace_back();
  rule.action = "Deny";
  rule.to.push_back({.nodes = k8s::LabelSelector{{{"role", "edge"}}, {}}});
  cluster.add_cluster_policy("edge", spec);
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  ASSERT_EQ(policy.rows.size(), 1u);
  const auto& key = policy.rows.begin()->first;
  EXPECT_EQ(key.peer_kind, PolicyPeerKind::kCidrClass);
  EXPECT_EQ(policy.cidrs.at(net::Prefix::host(TestCluster::ip("192.0.2.11"))), key.peer);
  EXPECT_FALSE(policy.cidrs.contains(net::Prefix::host(TestCluster::ip("192.0.2.10"))));
}

TEST(PolicyTable, NP_2_TypesThatNobodyNames) {
  TestCluster cluster = one_pod();
  k8s::NetworkPolicySpec spec;
  cluster.add_policy("x", "p", spec);
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  EXPECT_EQ(policy.ingress_isolated_by.size(), 1u);
  EXPECT_TRUE(policy.egress_isolated_by.empty());
  spec.egress.emplace_back();
  cluster.add_policy("x", "p", spec);
  policy = compile(cluster.snapshot, cluster.view(0)).policy;
  EXPECT_EQ(policy.ingress_isolated_by.size(), 1u) << "egress rules alone isolate ingress as well";
  EXPECT_EQ(policy.egress_isolated_by.size(), 1u);
  spec.policyTypes = {"Egress"};
  cluster.add_policy("x", "p", spec);
  policy = compile(cluster.snapshot, cluster.view(0)).policy;
  EXPECT_TRUE(policy.ingress_isolated_by.empty());
}

TEST(PolicyTable, NP_18_SctpIsAProtocolOfItsOwnAndIsolates) {
  TestCluster cluster = one_pod();
  k8s::NetworkPolicySpec spec;
  spec.ingress.emplace_back().ports.push_back({"SCTP", k8s::IntOrString(81), std::nullopt});
  cluster.add_policy("x", "p", spec);
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  EXPECT_EQ(policy.ingress_isolated_by.size(), 1u);
  ASSERT_EQ(policy.rows.size(), 1u);
  EXPECT_EQ(policy.rows.begin()->first.protocol, net::Protocol::kSctp);
}

TEST(PolicyTable, NP_4_AllPodsOfAllNamespacesAreOneRow) {
  TestCluster cluster = one_pod();
  for (int i = 0; i < 20; ++i) cluster.add_pod("x", fmt::format("p{}", i), {{"app", fmt::format("{}", i)}}, 0);
  k8s::NetworkPolicySpec spec;
  spec.podSelector.matchLabels = {{"app", "3"}};
  spec.ingress.emplace_back().from.push_back({k8s::LabelSelector{}, k8s::LabelSelector{}, std::nullopt});
  cluster.add_policy("x", "any", spec);
  EXPECT_EQ(compile(cluster.snapshot, cluster.view(0)).policy.rows.size(), 1u);
}

TEST(PolicyTable, NP_6_NamedPortsOfPodsInANodesNetwork) {
  TestCluster cluster = one_pod();
  auto& host = cluster.add_pod("x", "host", {}, 0, {{"metrics", 9100}});
  host.spec.hostNetwork = true;
  host.status.podIPs = {{"192.0.2.10"}};
  k8s::NetworkPolicySpec spec;
  spec.policyTypes = {"Egress"};
  spec.egress.emplace_back().ports.push_back({std::nullopt, k8s::IntOrString("metrics"), std::nullopt});
  cluster.add_policy("x", "metrics", spec);
  auto policy = compile(cluster.snapshot, cluster.view(0)).policy;
  ASSERT_EQ(policy.rows.size(), 1u);
  EXPECT_EQ(policy.rows.begin()->first.port, 9100);
  EXPECT_EQ(policy.rows.begin()->first.peer, policy.cidrs.at(net::Prefix::host(TestCluster::ip("192.0.2.10"))));
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
