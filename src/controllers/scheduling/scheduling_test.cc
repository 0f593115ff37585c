#include <gmock/gmock.h>

#include "controllers/scheduling/placement.h"
#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

using testing::ElementsAre;

std::string pod(const std::string& name, const std::string& spec = "") {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i")" +
         (spec.starts_with("\"ports\"") ? "," + spec + "}]" : "}]" + (spec.empty() ? "" : "," + spec)) + "}}";
}

std::string node_of(const World& world, const std::string& name) {
  return world.get<k8s::Pod>({"default", name})->spec.nodeName;
}

std::string reason(const World& world, const std::string& name) {
  for (const auto& condition : world.get<k8s::Pod>({"default", name})->status.conditions) {
    if (condition.type == "PodScheduled" && condition.status == "False") return condition.message;
  }
  return "";
}

TEST(Scheduler, SpreadsTheReplicasOfOneOwner) {
  World world(3);
  // Two strangers make node-1 and node-2 fuller; the owner's pods spread all the same.
  world.make(pod("a"));
  world.make(pod("b"));
  world.make(R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs","namespace":"default"},
    "spec":{"replicas":6,"selector":{"matchLabels":{"app":"rs"}},"template":{"metadata":{"labels":{"app":"rs"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  world.settle();
  std::map<std::string, int> count;
  for (const auto& p : world.all<k8s::Pod>()) {
    if (!p.metadata.ownerReferences.empty()) ++count[p.spec.nodeName];
  }
  EXPECT_THAT(count, ElementsAre(std::pair("node-1", 2), std::pair("node-2", 2), std::pair("node-3", 2)));
}

struct Case {
  const char* what;
  const char* node_metadata;
  const char* node_spec;
  const char* pod_spec;
  const char* why;  // nullptr: it is placed
};

class Filters : public testing::TestWithParam<Case> {};

TEST_P(Filters, Hold) {
  const auto& c = GetParam();
  World world(0);
  world.add_node("n", c.node_metadata, c.node_spec);
  world.make(pod("p", c.pod_spec));
  world.settle();
  EXPECT_EQ(node_of(world, "p"), c.why ? "" : "n");
  EXPECT_EQ(reason(world, "p"), c.why ? c.why : "");
}

INSTANTIATE_TEST_SUITE_P(
    Table, Filters,
    testing::Values(
        Case{"plain", "{}", "{}", "", nullptr},
        Case{"selector", R"({"labels":{"disk":"ssd"}})", "{}", R"("nodeSelector":{"disk":"ssd"})", nullptr},
        Case{"no selector", "{}", "{}", R"("nodeSelector":{"disk":"ssd"})",
             "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."},
        Case{"cordoned", "{}", R"({"unschedulable":true})", "",
             "0/1 nodes are available: 1 node(s) were unschedulable."},
        Case{"taint", "{}", R"({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})", "",
             "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
        Case{"soft taint", "{}", R"({"taints":[{"key":"k","value":"v","effect":"PreferNoSchedule"}]})", "", nullptr},
        Case{"tolerated", "{}", R"({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})",
             R"("tolerations":[{"key":"k","operator":"Equal","value":"v"}])", nullptr},
        Case{"other value", "{}", R"({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})",
             R"("tolerations":[{"key":"k","value":"w"}])",
             "0/1 nodes are available: 1 node(s) had untolerated taint {k: v}."},
        Case{"exists", "{}", R"({"taints":[{"key":"k","value":"v","effect":"NoExecute"}]})",
             R"("tolerations":[{"key":"k","operator":"Exists","effect":"NoExecute"}])", nullptr},
        Case{"all", "{}", R"({"taints":[{"key":"k","value":"v","effect":"NoSchedule"}]})",
             R"("tolerations":[{"operator":"Exists"}])", nullptr},
        Case{
            "affinity", R"({"labels":{"zone":"a"}})", "{}",
            R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"zone","operator":"In","values":["a","b"]}]}]}}})",
            nullptr},
        Case{
            "affinity elsewhere", R"({"labels":{"zone":"c"}})", "{}",
            R"("affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"zone","operator":"In","values":["a","b"]}]}]}}})",
            "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector."}),
    [](const auto& info) {
      std::string name = info.param.what;
      std::ranges::replace(name, ' ', '_');
      return name;
    });

TEST(Scheduler, HostPortsOfOneNodeDoNotCollide) {
  World world(1);
  const std::string why = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
  world.make(pod("a", R"("ports":[{"containerPort":80,"hostPort":8080,"hostIP":"127.0.0.1"}])"));
  world.settle();
  // HP-1: another address or protocol coexists.
  world.make(pod("udp", R"("ports":[{"containerPort":80,"hostPort":8080,"protocol":"UDP"}])"));
  world.make(pod("other", R"("ports":[{"containerPort":80,"hostPort":8080,"hostIP":"192.0.2.11"}])"));
  world.make(pod("same", R"("ports":[{"containerPort":81,"hostPort":8080,"hostIP":"127.0.0.1"}])"));
  world.make(pod("any", R"("ports":[{"containerPort":81,"hostPort":8080}])"));
  world.settle();
  EXPECT_EQ(node_of(world, "udp"), "node-1");
  EXPECT_EQ(node_of(world, "other"), "node-1");
  EXPECT_EQ(reason(world, "same"), why);
  EXPECT_EQ(reason(world, "any"), why);
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Pod>(), {"default", "a"}));
  world.settle();
  EXPECT_EQ(node_of(world, "same"), "node-1") << "a port that came free is given on";
  EXPECT_EQ(reason(world, "same"), "");
}

TEST(Scheduler, WaitsForANodeAndLeavesForeignPodsAlone) {
  World world(0);
  world.make(pod("p"));
  world.make(pod("foreign", R"("schedulerName":"mine")"));
  world.settle();
  EXPECT_EQ(reason(world, "p"), "no nodes available to schedule pods");
  world.add_node("late");
  world.settle();
  EXPECT_EQ(node_of(world, "p"), "late");
  EXPECT_EQ(node_of(world, "foreign"), "");
}

TEST(Scheduler, ANodeThatIsNotReadyGetsNothing) {
  World world(0);
  world.add_node("n");
  auto set_ready = [&](const char* status) {
    json::object node = *world.cluster.get(k8s::resource<k8s::Node>(), {"", "n"});
    node["status"] = json::object{{"conditions", json::array{{{"type", "Ready"}, {"status", status}}}}};
    ASSERT_TRUE(world.cluster.update_status(k8s::resource<k8s::Node>(), node));
  };
  set_ready("False");
  world.make(pod("p"));
  world.settle();
  EXPECT_EQ(node_of(world, "p"), "");
  set_ready("True");
  world.settle();
  EXPECT_EQ(node_of(world, "p"), "n");
}

std::vector<std::string> cidrs(const World& world, const std::string& node) {
  return world.get<k8s::Node>({"", node})->spec.podCIDRs;
}

TEST(NodeIpam, TheNumberOfTheNameIsTheBlock) {
  World world(0);
  for (const char* name : {"lab-12", "lab-3", "edge"}) world.add_node(name);
  world.add_node("own", "{}", R"({"podCIDR":"10.1.2.0/24","podCIDRs":["10.1.2.0/24"]})");
  world.settle();
  EXPECT_THAT(cidrs(world, "lab-12"), ElementsAre("10.1.12.0/24", "2001:db8:1:c::/64"));
  EXPECT_THAT(cidrs(world, "lab-3"), ElementsAre("10.1.3.0/24", "2001:db8:1:3::/64"));
  EXPECT_THAT(cidrs(world, "edge"), ElementsAre("10.1.1.0/24", "2001:db8:1:1::/64"));
  EXPECT_THAT(cidrs(world, "own"), ElementsAre("10.1.2.0/24")) << "what is set is never changed";
  world.add_node("other-3");
  world.add_node("x");
  world.settle();
  EXPECT_THAT(cidrs(world, "other-3"), ElementsAre("10.1.4.0/24", "2001:db8:1:4::/64"));
  EXPECT_THAT(cidrs(world, "x"), ElementsAre("10.1.5.0/24", "2001:db8:1:5::/64"));
}

TEST(NodeIpam, ARangeThatEndsIsSaidAndWaitedFor) {
  Options options = World::quiet_options();
  options.cluster_cidrs = {*net::Prefix::parse("10.1.0.0/23")};
  World world(0, options);
  for (const char* name : {"a", "b", "c"}) world.add_node(name);
  world.settle();
  EXPECT_THAT(cidrs(world, "c"), testing::IsEmpty());
  ASSERT_THAT(world.controllers->failures(), testing::SizeIs(1));
  EXPECT_EQ(world.controllers->failures()[0].sentence, "Node c: no pod CIDR is left in the cluster CIDRs");
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Node>(), {"", "a"}));
  world.advance(std::chrono::seconds(60));
  EXPECT_THAT(cidrs(world, "c"), testing::SizeIs(1));
}

TEST(NodeIpam, RangesThatOverlapAreRefused) {
  MemoryCluster cluster;
  Options options = lab_defaults();
  options.service_cidrs = {*net::Prefix::parse("10.1.128.0/17")};
  Controllers controllers(cluster, options);
  const auto started = controllers.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "cluster CIDR 10.1.0.0/16 overlaps service CIDR 10.1.128.0/17");
}

TEST(NodeIpam, ANodeAddressInsideTheClusterCidrIsAnEvent) {
  World world(0);
  world.add_node("n");
  json::object node = *world.cluster.get(k8s::resource<k8s::Node>(), {"", "n"});
  node["status"] = json::object{{"addresses", json::array{{{"type", "InternalIP"}, {"address", "10.1.7.7"}}}}};
  ASSERT_TRUE(world.cluster.update_status(k8s::resource<k8s::Node>(), node));
  world.settle();
  std::vector<std::string> messages;
  for (const auto& event : world.cluster.list(*k8s::find_by_kind("v1", "Event")))
    messages.emplace_back(text_at(*event, {"message"}));
  EXPECT_THAT(messages, ElementsAre("node address 10.1.7.7 is inside 10.1.0.0/16"));
}

}  // namespace
}  // namespace carrick::controllers
