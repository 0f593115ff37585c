#include "explain/explain.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "desired/test_cluster.h"

namespace carrick::explain {
namespace {

using desired::testing::TestCluster;

class Explain : public ::testing::Test {
 protected:
  Explain() {
    cluster.add_namespace("x");
    cluster.add_namespace("kube-system");
    for (int i = 0; i < 3; ++i) cluster.add_node(i);
    cluster.add_service("kube-system", "kube-dns", {"10.96.0.10", "2001:db8:96::a"}, {{"dns", "UDP", {}, 53}});
    cluster.add_pod("x", "web", {{"app", "web"}}, 0, {{"http", 8080}});
    cluster.add_pod("x", "api-0", {{"app", "api"}, {"n", "0"}}, 0, {{"http", 9000}});
    cluster.add_pod("x", "api-1", {{"app", "api"}, {"n", "1"}}, 1, {{"http", 9000}});
    cluster
        .add_service("x", "api", {"10.96.1.1"}, {{"http", "TCP", {}, 80, 30080, std::string("http")}}, {{"app", "api"}})
        .spec.type = "NodePort";
    cluster.slices_for("x", "api");
  }
  // Lets web reach api-1 alone.
  void only_the_second() {
    k8s::NetworkPolicySpec spec;
    spec.podSelector.matchLabels = {{"n", "0"}};
    spec.policyTypes = {"Ingress"};
    spec.ingress.resize(1);
    spec.ingress[0].from.push_back({k8s::LabelSelector{{{"app", "friend"}}, {}}, std::nullopt, std::nullopt});
    spec.ingress[0].ports.push_back({"TCP", k8s::IntOrString(9000), std::nullopt});
    cluster.add_policy("x", "closed", spec);
  }
  World world() { return make_world(std::make_shared<k8s::Snapshot>(cluster.snapshot)); }
  Answer ask(const std::string& from, const std::string& to, uint16_t port, Family family = Family::kAny) {
    World w = world();
    auto a = parse_party(w, from, true), b = parse_party(w, to, false);
    EXPECT_TRUE(a && b) << (a ? "" : a.error().message) << (b ? "" : b.error().message);
    return explain(w, {a->front(), b->front(), port, net::Protocol::kTcp, family});
  }
  TestCluster cluster;
};

TEST_F(Explain, EachStageIsTold) {
  Answer answer = ask("x/web", "x/api-1", 9000);
  EXPECT_EQ(answer.verdict, Verdict::kAllow);
  ASSERT_EQ(answer.paths.size(), 1u);
  std::vector<std::string> stages;
  for (const auto& one : answer.paths[0].decisions) stages.push_back(one.stage);
  EXPECT_EQ(stages, (std::vector<std::string>{"egress", "route", "ingress", "listener"}));
  EXPECT_EQ(answer.paths[0].target.address.str(), "10.1.1.2");
  EXPECT_EQ(ask("x/web", "x/api-1", 9000, Family::kV6).paths[0].target.address.str(), "2001:db8:1:1::2");
}

TEST_F(Explain, WhatEndsBeforeThereIsAnAddressIsToldToo) {
  Answer nothing = ask("x/web", "nothing.x.svc.cluster.local", 80);
  EXPECT_EQ(nothing.verdict, Verdict::kRefuse);
  EXPECT_NE(nothing.sentence.find("nothing.x.svc.cluster.local does not exist"), std::string::npos) << nothing.sentence;
  ASSERT_EQ(nothing.decisions.size(), 1u);
  EXPECT_EQ(nothing.decisions[0].stage, "name");
  // The Service is of IPv4 alone.
  for (const char* to : {"x/svc/api", "api.x"}) {
    Answer other_family = ask("x/web", to, 80, Family::kV6);
    EXPECT_EQ(other_family.verdict, Verdict::kRefuse) << to;
    EXPECT_NE(other_family.sentence.find("family"), std::string::npos) << to << ": " << other_family.sentence;
    ASSERT_FALSE(other_family.decisions.empty()) << to;
    EXPECT_FALSE(other_family.decisions.back().passed) << to;
  }
}

TEST_F(Explain, ADeniedPathNamesThePolicyAndTheNearestRule) {
  only_the_second();
  Answer answer = ask("x/web", "x/api-0", 9000);
  EXPECT_EQ(answer.verdict, Verdict::kDeny);
  const Decision& last = answer.paths[0].decisions.back();
  EXPECT_EQ(last.stage, "ingress");
  EXPECT_EQ(last.owners, (std::vector<desired::Owner>{{"NetworkPolicy", "x", "closed", {}}}));
  EXPECT_EQ(last.nearest_owner, (std::vector<desired::Owner>{{"NetworkPolicy", "x", "closed", "spec.ingress[0]"}}));
  EXPECT_NE(last.nearest.find("pods with app=friend in namespace x"), std::string::npos) << last.nearest;
  EXPECT_NE(last.nearest.find("app=web"), std::string::npos) << last.nearest;
  EXPECT_EQ(last.nearest.find("not among the ports"), std::string::npos) << last.nearest;
}

TEST_F(Explain, AServiceIsMixedWhenItsEndpointsDiffer) {
  only_the_second();
  Answer answer = ask("x/web", "x/svc/api", 80);
  EXPECT_TRUE(answer.mixed);
  EXPECT_EQ(answer.verdict, Verdict::kDeny);
  EXPECT_EQ(answer.paths.size(), 2u);
  Matrix table = matrix(world(), {.via = Via::kService});
  for (const auto& cell : table.cells)
    if (table.sources[cell.from].pod.name == "web") EXPECT_EQ(cell.possible, 0b11);
}

TEST_F(Explain, NodePortFromOutsideIsSeenAsTheNode) {  // SVC-D8, NP-14
  cluster.snapshot.services.at({"x", "api"});
  k8s::NetworkPolicySpec spec;
  spec.policyTypes = {"Ingress"};
  spec.ingress.resize(1);
  spec.ingress[0].from.push_back({std::nullopt, std::nullopt, k8s::IPBlock{"203.0.113.0/24", {}}});
  cluster.add_policy("x", "outside-only", spec);
  Answer answer = ask("outside", "192.0.2.10", 30080);
  ASSERT_EQ(answer.paths.size(), 2u);
  EXPECT_EQ(answer.paths[0].verdict, Verdict::kAllow);  // local endpoint: the client's own address
  EXPECT_EQ(answer.paths[1].verdict, Verdict::kDeny);   // remote endpoint: the node's address
}

TEST_F(Explain, TheOwnNodeMayAlwaysEnterOthersMayNot) {  // NP-10
  k8s::NetworkPolicySpec spec;
  spec.policyTypes = {"Ingress"};
  cluster.add_policy("x", "closed", spec);
  EXPECT_EQ(ask("192.0.2.10", "x/web", 8080).verdict, Verdict::kAllow);
  EXPECT_EQ(ask("192.0.2.11", "x/web", 8080).verdict, Verdict::kDeny);
  EXPECT_EQ(ask("x/web", "x/web", 8080).verdict, Verdict::kAllow);  // NP-12
}

TEST_F(Explain, NothingThereIsRefused) {
  EXPECT_EQ(ask("x/web", "x/api-0", 81).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "x/svc/api", 81).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "nobody.x.svc", 80).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "10.1.0.200", 80).verdict, Verdict::kDeny);  // dropped: the node knows that nobody has it
}

TEST_F(Explain, WhyTheseEndpointsAndNotOthers) {  // SVC-D1, D15
  auto& api = const_cast<k8s::Service&>(*cluster.snapshot.services.at({"x", "api"}));
  auto said = [&](const char* to, uint16_t port) { return ask("x/web", to, port).decisions.at(0).sentence; };
  EXPECT_TRUE(said("10.96.1.1", 80).ends_with("leads to one of 2 endpoints of x/api")) << said("10.96.1.1", 80);
  api.spec.sessionAffinity = "ClientIP";
  EXPECT_TRUE(said("10.96.1.1", 80).ends_with("; a client keeps its endpoint for 10800 s")) << said("10.96.1.1", 80);
  api.spec.internalTrafficPolicy = "Local";
  EXPECT_TRUE(said("10.96.1.1", 80).ends_with("the endpoint of x/api on node node-0, as its traffic policy is Local"));
  api.spec.internalTrafficPolicy = "Cluster";
  for (const auto& [key, slice] : cluster.snapshot.endpointslices)
    for (auto& endpoint : const_cast<k8s::EndpointSlice&>(*slice).endpoints) endpoint.conditions = {false, true, true};
  EXPECT_NE(said("192.0.2.10", 30080).find(", terminating, as none is ready"), std::string::npos);
}

TEST_F(Explain, LoopbackIsWhereTheClientIs) {  // SVC-D7
  EXPECT_EQ(ask("192.0.2.10", "127.0.0.1", 30080).verdict, Verdict::kAllow);
  EXPECT_EQ(ask("192.0.2.10", "127.0.0.1", 30080).paths.size(), 2u);
  EXPECT_EQ(ask("192.0.2.10", "127.0.0.1", 30081).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "127.0.0.1", 30080).verdict, Verdict::kRefuse) << "the pod's own, where nobody listens";
  EXPECT_EQ(ask("x/web", "127.0.0.1", 8080).paths.at(0).target.address.str(), "10.1.0.2");
}

TEST_F(Explain, RestOfTheServiceRange) {  // SVC-D4
  Answer other_port = ask("x/web", "10.96.1.1", 81);
  EXPECT_EQ(other_port.verdict, Verdict::kRefuse);
  EXPECT_EQ(other_port.decisions.at(0).owners.at(0).str(), "Service x/api spec.ports");
  EXPECT_EQ(other_port.sentence, "Service x/api has no port 81/tcp");
  EXPECT_EQ(ask("x/web", "10.96.7.7", 80).verdict, Verdict::kDeny);
  EXPECT_EQ(ask("192.0.2.11", "10.96.1.1", 81).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("203.0.113.9", "10.96.1.1", 80).verdict, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "198.51.100.7", 80).verdict, Verdict::kAllow);  // outside
}

TEST_F(Explain, BadNamesAreOneSentenceWithASuggestion) {
  World w = world();
  EXPECT_EQ(parse_party(w, "x/wep", false).error().message, "there is no pod \"x/wep\"; did you mean \"x/web\"?");
  EXPECT_NE(parse_party(w, "x/svc/apj", false).error().message.find("x/svc/api"), std::string::npos);
  EXPECT_FALSE(parse_party(w, "api.x", true).has_value());
  EXPECT_FALSE(parse_party(w, "a/b/c/d", true).has_value());
  for (const char* bad : {"", "0", "x", "80/", "80/icmp", "70000", "-1", "80 "})
    EXPECT_FALSE(parse_port(bad).has_value()) << bad;
  EXPECT_EQ(parse_port("53/udp")->protocol, net::Protocol::kUdp);
}

TEST_F(Explain, TheTruthTableAsJson) {
  only_the_second();
  World w = world();
  Matrix table = matrix(w);
  EXPECT_EQ(table.cells.size(), 6u);  // three pods, one port each, no cell from a pod to itself
  std::string text;
  write_json(
      table, [](const desired::Owner&) { return std::string("a.yaml:7"); },
      [&](std::string_view piece) { text += piece; });
  auto document = boost::json::parse(text).as_object();
  EXPECT_EQ(document.at("pods").at("x/web").at("ip6"), "2001:db8:1::2");
  size_t denied = 0;
  for (const auto& cell : document.at("cells").as_array()) {
    if (cell.at("expected") != "deny") continue;
    ++denied;
    EXPECT_EQ(cell.at("to"), "x/api-0");
    EXPECT_EQ(cell.at("owners").at(0).at("name"), "closed");
    EXPECT_EQ(cell.at("owners").at(0).at("line"), 7);
  }
  EXPECT_EQ(denied, 2u);
}

// DNS-C2: the same of a table and of a single question.
TEST_F(Explain, WhoAsksTheNodesResolverLearnsNoNameOfTheCluster) {
  auto with_policy = [&](const char* name, const char* policy, bool host) -> k8s::Pod& {
    auto& pod = cluster.add_pod("x", name, {{"app", "asker"}, {"name", name}}, 0);
    pod.spec.dnsPolicy = policy;
    pod.spec.hostNetwork = host;
    return pod;
  };
  with_policy("default", "Default", false);
  with_policy("host", "ClusterFirst", true);
  with_policy("host-cluster", "ClusterFirstWithHostNet", true);
  with_policy("own", "None", false).spec.dnsConfig.emplace().nameservers = {"10.96.0.10"};
  with_policy("stranger", "None", false).spec.dnsConfig.emplace().nameservers = {"198.51.100.53"};
  with_policy("no-way-out", "Default", false);
  k8s::NetworkPolicySpec spec;  // may reach pods, so no DNS server either
  spec.podSelector.matchLabels = {{"name", "no-way-out"}};
  spec.policyTypes = {"Egress"};
  spec.egress.resize(1);
  spec.egress[0].to.push_back({k8s::LabelSelector{}, std::nullopt, std::nullopt});
  cluster.add_policy("x", "no-way-out", spec);
  const std::map<std::string, Verdict> expected = {{"default", Verdict::kRefuse},     {"host", Verdict::kRefuse},
                                                   {"host-cluster", Verdict::kAllow}, {"own", Verdict::kAllow},
                                                   {"stranger", Verdict::kRefuse},    {"no-way-out", Verdict::kDeny}};
  Matrix table = matrix(world(), {.via = Via::kDns});
  for (const auto& [name, verdict] : expected) {
    Answer answer = ask("x/" + name, "api.x.svc.cluster.local", 80);
    EXPECT_EQ(answer.verdict, verdict) << name << "\n" << to_text(answer, {});
    size_t cells = 0;
    for (const auto& cell : table.cells) {
      if (table.sources[cell.from].pod.name != name) continue;
      ++cells;
      EXPECT_EQ(cell.expected, verdict) << name;
      EXPECT_EQ(answer.mixed, (cell.possible & (cell.possible - 1)) != 0) << name;
    }
    EXPECT_EQ(cells, 1u) << name;
  }
  EXPECT_NE(ask("x/default", "api.x", 80).sentence.find("dnsPolicy Default"), std::string::npos);
  EXPECT_NE(ask("x/no-way-out", "api.x", 80).decisions.at(0).owners.size(), 0u);
  EXPECT_EQ(ask("x/default", "www.example.org", 80).sentence.find("resolver of its node"), std::string::npos);
}

TEST_F(Explain, ANameWithoutAnAddressOfTheFamilyIsRefused) {
  World w = world();
  Matrix by_name = matrix(w, {.via = Via::kDns, .family = Family::kV6});
  ASSERT_EQ(by_name.cells.size(), 3u);  // x/api has 10.96.1.1 alone
  for (const auto& cell : by_name.cells) EXPECT_EQ(cell.expected, Verdict::kRefuse);
  EXPECT_EQ(ask("x/web", "api.x", 80, Family::kV6).verdict, Verdict::kRefuse);
  EXPECT_TRUE(matrix(w, {.via = Via::kService, .family = Family::kV6}).cells.empty())
      << "there is nothing to connect to";
}

TEST_F(Explain, ATableAndAQuestionAgreeByName) {
  only_the_second();
  World w = world();
  for (Via via : {Via::kPod, Via::kService, Via::kDns}) {
    Matrix table = matrix(w, {.via = via});
    EXPECT_FALSE(table.cells.empty());
    for (const auto& cell : table.cells) {
      const auto& target = table.targets[cell.to];
      Party to{Party::Kind::kPod, {}, {}, {}};
      if (via == Via::kPod) to.object = *target.pods.begin();
      if (via == Via::kService) to = {Party::Kind::kService, {"x", "api"}, {}, {}};
      if (via == Via::kDns) to = {Party::Kind::kName, {}, target.dns_name, {}};
      Answer answer =
          explain(w, {{Party::Kind::kPod, table.sources[cell.from].pod, {}, {}}, to, cell.port, cell.protocol});
      EXPECT_EQ(answer.verdict, cell.expected) << target.name << "\n" << to_text(answer, {});
      EXPECT_EQ(answer.mixed, (cell.possible & (cell.possible - 1)) != 0);
    }
  }
}

}  // namespace
}  // namespace carrick::explain
