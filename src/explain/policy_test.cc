#include "explain/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bitset>
#include <random>

#include "desired/test_cluster.h"

namespace carrick::explain {
namespace {

using desired::testing::TestCluster;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(PortSet, IsTheSetOfItsPorts) {
  using Bits = std::bitset<65536>;
  std::mt19937 random(7);
  const auto make = [&](Bits& bits) {
    PortSet out;
    for (unsigned i = random() % 4; i > 0; --i) {
      const auto first = static_cast<uint16_t>(random() % 50), last = static_cast<uint16_t>(first + random() % 20);
      out = out | PortSet::range(net::Protocol::kTcp, first, last);
      for (unsigned port = first; port <= last; ++port) bits.set(port);
    }
    return out;
  };
  for (int round = 0; round < 300; ++round) {
    Bits x, y;
    const PortSet a = make(x), b = make(y);
    for (unsigned port = 0; port < 80; ++port) {
      const desired::Listener asked{static_cast<uint16_t>(port), net::Protocol::kTcp};
      ASSERT_EQ((a | b).contains(asked), (x | y).test(port));
      ASSERT_EQ((a & b).contains(asked), (x & y).test(port));
      ASSERT_EQ((a - b).contains(asked), (x & ~y).test(port));
    }
    ASSERT_EQ(a.empty(), x.none());
    ASSERT_EQ((a - b) | (a & b), a) << "one set has one form";
  }
}

TEST(PortSet, Words) {
  EXPECT_EQ(PortSet::everything().str(), "all");
  EXPECT_EQ(PortSet().str(), "none");
  EXPECT_EQ((PortSet::range(net::Protocol::kTcp, 80, 80) | PortSet::range(net::Protocol::kTcp, 9000, 9010) |
             PortSet::range(net::Protocol::kUdp, 53, 53))
                .str(),
            "tcp 80,9000-9010; udp 53");
  EXPECT_EQ((PortSet::everything() - PortSet::range(net::Protocol::kTcp, 0, 65535)).str(),
            "udp; sctp; other protocols");
}

k8s::NetworkPolicySpec from_pods(k8s::StringMap subject, k8s::StringMap peer, int32_t port) {
  k8s::NetworkPolicySpec out;
  out.podSelector.matchLabels = std::move(subject);
  auto& rule = out.ingress.emplace_back();
  rule.from.push_back({k8s::LabelSelector{std::move(peer), {}}, std::nullopt, std::nullopt});
  rule.ports.push_back({"TCP", k8s::IntOrString(port), std::nullopt});
  return out;
}

TestCluster shop() {
  TestCluster out;
  out.add_namespace("shop");
  out.add_node(0);
  out.add_pod("shop", "web", {{"app", "web"}}, 0, {{"http", 8080}});
  out.add_pod("shop", "api", {{"app", "api"}}, 0, {{"http", 9000}});
  out.add_pod("shop", "db", {{"app", "db"}}, 0, {{"sql", 5432}});
  out.add_policy("shop", "db", from_pods({{"app", "db"}}, {{"app", "api"}}, 5432));
  return out;
}

std::string edges_of(const TestCluster& cluster) {
  return edges_csv(policy_edges(PolicyReach(cluster.snapshot, true)));
}

TEST(PolicyEdges, AlikePartiesStandTogether) {
  EXPECT_EQ(edges_of(shop()),
            "from,to,ports\n"
            "\"shop/api\",\"shop/web, outside\",\"all\"\n"
            "\"shop/api\",\"shop/db\",\"tcp 5432\"\n"
            "\"shop/db, shop/web\",\"shop/api, shop/web, outside\",\"all\"\n"
            "\"outside\",\"shop/api, shop/web\",\"all\"\n");
}

TEST(PolicyEdges, RegionsAreExactAndPodsAreAddressesToo) {
  TestCluster cluster = shop();
  k8s::NetworkPolicySpec spec;
  spec.podSelector.matchLabels = {{"app", "web"}};
  spec.ingress.emplace_back().from.push_back(
      {std::nullopt, std::nullopt, k8s::IPBlock{"203.0.113.0/24", {"203.0.113.128/25"}}});
  cluster.add_policy("shop", "web", spec);
  const PolicyReach reach(cluster.snapshot, true);
  const auto* web = reach.party_of({"shop", "web"});
  ASSERT_TRUE(web);
  const auto from = [&](const char* address) {
    return reach.between(reach.region_of(TestCluster::ip(address)), *web).str();
  };
  EXPECT_EQ(from("203.0.113.127"), "all");
  EXPECT_EQ(from("203.0.113.128"), "none");
  EXPECT_EQ(from("8.8.8.8"), "none");
  EXPECT_EQ(reach.between(*reach.party_of({"shop", "api"}), *web).str(), "none");
  EXPECT_THAT(edges_csv(policy_edges(reach)), HasSubstr("outside 203.0.113.0/24 except 203.0.113.128/25"));
}

TEST(PolicyDiff, SaysWhatAChangeOpensAndShuts) {
  const TestCluster before = shop();
  TestCluster after = shop();
  const PolicyReach a(before.snapshot, true);
  EXPECT_THAT(policy_diff(a, PolicyReach(after.snapshot, true)), IsEmpty());
  after.add_policy("shop", "db", from_pods({{"app", "db"}}, {{"app", "web"}}, 5432));
  EXPECT_EQ(diff_text(policy_diff(a, PolicyReach(after.snapshot, true))),
            "- shop/api -> shop/db: tcp 5432\n+ shop/web -> shop/db: tcp 5432\n");
  after = shop();
  after.add_pod("shop", "new", {{"app", "api"}}, 0);
  EXPECT_THAT(diff_text(policy_diff(a, PolicyReach(after.snapshot, true))),
              HasSubstr("+ shop/new -> shop/db: tcp 5432\n"));
}

std::vector<PolicyFinding> check(const TestCluster& cluster, const std::string& rules) {
  auto found = policy_check(cluster.snapshot, rules, "rules.yaml", nullptr);
  EXPECT_TRUE(found) << found.error().message;
  return found ? *found : std::vector<PolicyFinding>();
}

TEST(PolicyCheck, RulesHoldOrShowAFlow) {
  const TestCluster cluster = shop();
  EXPECT_THAT(check(cluster, R"(rules:
- only: {from: shop/api, to: shop/db, ports: [5432]}
- deny: {from: [outside, shop/web], to: shop/db}
- allow: {from: shop/api, to: shop/db, ports: [5432/tcp]}
- isolated: {pods: shop/db, direction: ingress}
- dns: {pods: "*"}
)"),
              IsEmpty());
  const auto violations = check(cluster, R"(rules:
- name: the outside stays there
  deny: {from: outside, to: shop/*, ports: [8080]}
- allow: {from: shop/web, to: shop/db, ports: [5432, 5433]}
- only: {from: shop/web, to: shop/db}
- isolated: {pods: "*", direction: egress}
)");
  std::string all;
  for (const auto& one : violations) all += one.place + " " + one.sentence + "\n";
  ASSERT_EQ(violations.size(), 9u) << all;
  EXPECT_EQ(violations[0].place, "rules.yaml:2");
  EXPECT_THAT(violations[0].sentence, HasSubstr("the outside stays there: outside reaches shop/api on tcp 8080 (as "));
  EXPECT_THAT(violations[2].sentence, HasSubstr("shop/web does not reach shop/db on tcp 5432-5433 (as shop/web -> "
                                                "shop/db 5432/tcp)"));
  EXPECT_THAT(violations[3].sentence, HasSubstr("shop/api reaches shop/db on tcp 5432"));
}

TEST(PolicyCheck, WhatIsNoRuleIsSaidWithItsLine) {
  const TestCluster cluster = shop();
  const auto refusal = [&](const char* rules) {
    auto found = policy_check(cluster.snapshot, rules, "r.yaml", nullptr);
    return found ? std::string() : found.error().message;
  };
  EXPECT_EQ(refusal("rules:\n- forbid: {from: a, to: b}\n"),
            "r.yaml:2:3: \"forbid\" is no rule; there are deny, allow, only, isolated, dns");
  EXPECT_THAT(refusal("rules:\n- deny: {from: shop/web}\n"), HasSubstr("r.yaml:2:3: deny needs to"));
  EXPECT_THAT(refusal("rules:\n- deny: {from: shop/web, to: shop/bd}\n"), HasSubstr("nothing is called \"shop/bd\""));
  EXPECT_THAT(refusal("rules:\n- deny: {from: '*', to: '*', ports: [0]}\n"), HasSubstr("\"0\" is not a port"));
  EXPECT_THAT(refusal("rules:\n- deny: {from: '*', to: '*', ports: [90-80]}\n"), HasSubstr("is not a port"));
  EXPECT_THAT(refusal("rules:\n- isolated: {pods: '*', direction: up}\n"), HasSubstr("ingress or egress"));
  EXPECT_THAT(refusal("rules: []\n"), HasSubstr("there are no rules"));
  EXPECT_THAT(refusal("rules: {"), HasSubstr("r.yaml:"));
}

std::string lint(const TestCluster& cluster) { return findings_text(policy_lint(cluster.snapshot, {})); }

TEST(PolicyLint, FindsWhatDoesNothing) {
  TestCluster cluster = shop();
  EXPECT_THAT(lint(cluster), HasSubstr("2 findings: 0 errors, 0 warnings, 2 infos"));
  cluster.add_policy("shop", "nobody", from_pods({{"app", "gone"}}, {}, 80));
  cluster.add_policy("shop", "from-nobody", from_pods({{"app", "web"}}, {{"app", "gone"}}, 8080));
  cluster.add_policy("shop", "db-again", from_pods({{"app", "db"}}, {{"app", "api"}}, 5432));
  k8s::NetworkPolicySpec named = from_pods({{"app", "api"}}, {{"app", "web"}}, 80);
  named.ingress[0].ports[0].port = std::string("https");
  cluster.add_policy("shop", "named", named);
  const std::string text = lint(cluster);
  for (const char* expected :
       {"NetworkPolicy shop/nobody: its podSelector selects no pod", "[selects-nothing]",
        "NetworkPolicy shop/from-nobody spec.ingress[0]: no pod and no address is meant by its from",
        "no selected pod has a TCP port called \"https\" [named-port-nobody-has]",
        "NetworkPolicy shop/db-again spec.ingress[0]: other rules already say all that it says [dead-rule]",
        "NetworkPolicy shop/db-again: NetworkPolicy shop/db says the same [duplicate]"})
    EXPECT_THAT(text, HasSubstr(expected));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("NetworkPolicy shop/db spec.ingress[0]: other rules")))
      << "one of two stays";
}

TEST(PolicyLint, FindsHalfOpenWaysAndMissingDns) {
  TestCluster cluster = shop();
  k8s::NetworkPolicySpec out;
  out.podSelector.matchLabels = {{"app", "web"}};
  out.policyTypes = {"Egress"};
  out.egress.emplace_back().to.push_back({k8s::LabelSelector{{{"app", "db"}}, {}}, std::nullopt, std::nullopt});
  cluster.add_policy("shop", "web-out", out);
  const std::string text = lint(cluster);
  EXPECT_THAT(text,
              HasSubstr("NetworkPolicy shop/web-out spec.egress[0]: it opens one end only: shop/web is not let in "
                        "by shop/db on all [half-open]"));
  EXPECT_THAT(text, HasSubstr("Pod shop/web: shop/web may send, but cannot ask the cluster's DNS on 53/udp [no-dns]"));
}

TEST(PolicyLint, KnowsTiers) {
  TestCluster cluster = shop();
  k8s::ClusterNetworkPolicySpec spec;
  spec.tier = "Admin";
  spec.subject.namespaces = k8s::LabelSelector();
  spec.egress.push_back({"all", "Deny", {{.networks = {"0.0.0.0/0"}}}, {}});
  spec.egress.push_back({"late", "Accept", {{.networks = {"203.0.113.0/24"}}}, {}});
  spec.egress.push_back({"names", "Accept", {{.domainNames = {"example.com"}}}, {}});
  cluster.add_cluster_policy("out", spec);
  cluster.add_cluster_policy("same", spec);
  const std::string text = lint(cluster);
  EXPECT_THAT(text, HasSubstr("ClusterNetworkPolicy out spec.egress[1]: other rules already say all that it says"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("ClusterNetworkPolicy out spec.egress[0]: other rules")));
  EXPECT_THAT(text, HasSubstr("error: ClusterNetworkPolicy out: spec.egress[2]: domainNames are not supported"));
  EXPECT_THAT(text, HasSubstr("ClusterNetworkPolicy same: ClusterNetworkPolicy out has the same tier and priority"));
}

TEST(PolicyFindings, InFormsOfOthers) {
  TestCluster cluster = shop();
  cluster.add_policy("shop", "no<body", from_pods({{"app", "gone"}}, {}, 80));
  const auto findings = policy_lint(cluster.snapshot, [](const desired::Owner&) { return std::string("a.yaml:7"); });
  EXPECT_THAT(findings_sarif(findings), HasSubstr(R"("artifactLocation":{"uri":"a.yaml"},"region":{"startLine":7})"));
  EXPECT_THAT(findings_sarif(findings), HasSubstr(R"("ruleId":"selects-nothing","level":"warning")"));
  EXPECT_THAT(findings_junit(findings, 3), HasSubstr("name=\"NetworkPolicy shop/no&lt;body\""));
  EXPECT_THAT(findings_json(findings), HasSubstr(R"("file":"a.yaml","line":7)"));
}

}  // namespace
}  // namespace carrick::explain
