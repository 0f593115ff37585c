#include <gtest/gtest.h>

#include "desired/desired.h"
#include "desired/services/endpoints.h"
#include "desired/services/health_checks.h"
#include "desired/test_cluster.h"

namespace carrick::desired::testing {
namespace {

const net::Protocol kTcp = net::Protocol::kTcp;

std::vector<std::string> shown(const std::vector<Backend>& backends) {
  std::vector<std::string> out;
  for (const auto& one : backends) out.push_back(fmt::format("{}:{}", one.address.str(), one.port));
  return out;
}
using List = std::vector<std::string>;

class Services : public ::testing::Test {
 protected:
  Services() {
    cluster.add_namespace("x");
    for (int i = 0; i < 3; ++i) cluster.add_node(i, i == 0 ? "east" : "west");
    service = &cluster.add_service("x", "web", {"10.96.1.1"}, {{"http", "TCP", {}, 80, 30080}});
  }
  // address, node, conditions as three of t, f, - (ready, serving, terminating)
  k8s::Endpoint endpoint(const std::string& ip, int node, const char* conditions = "---") {
    k8s::Endpoint out;
    out.addresses = {ip};
    out.nodeName = TestCluster::node_name(node);
    auto value = [](char c) { return c == '-' ? std::nullopt : std::optional<bool>(c == 't'); };
    out.conditions = {value(conditions[0]), value(conditions[1]), value(conditions[2])};
    return out;
  }
  void slice(std::vector<k8s::Endpoint> endpoints, const std::string& name = "web-1",
             const std::string& type = "IPv4") {
    cluster.add_slice("x", name, "web", {{"http", "TCP", std::nullopt, 8080}}, std::move(endpoints), type);
  }
  const FrontendRow* row(const std::string& address, uint16_t port = 80,
                         FrontendScope scope = FrontendScope::kInternal) {
    NodeView node = cluster.view(0);
    node.dsr = dsr;
    table = compile_services(cluster.snapshot, node);
    auto found = table.find({TestCluster::ip(address), port, kTcp, scope});
    return found == table.end() ? nullptr : &found->second;
  }
  TestCluster cluster;
  k8s::Service* service;
  FrontendTable table;
  bool dsr = false;
};

TEST_F(Services, NilConditionsMeanReady) {
  slice({endpoint("10.1.1.2", 1), endpoint("10.1.2.2", 2, "f--"), endpoint("10.1.0.2", 0, "t--")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), (List{"10.1.0.2:8080", "10.1.1.2:8080"}));
}

TEST_F(Services, ServingTerminatingOnesAreTheLastResort) {  // SVC-D1
  slice({endpoint("10.1.1.2", 1, "ftt"), endpoint("10.1.2.2", 2, "fft"), endpoint("10.1.0.2", 0, "f--")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});
  slice({endpoint("10.1.1.3", 1, "t--")}, "web-2");
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.3:8080"});
}

// Whose connections go on under `--reset-removed-endpoints`.
TEST_F(Services, EveryListedEndpointIsNamedWhereRemovedOnesAreReset) {
  slice({endpoint("10.1.1.2", 1, "ftt"), endpoint("10.1.2.2", 2, "fft"), endpoint("10.1.0.2", 0, "f--"),
         endpoint("10.1.0.3", 0, "t--")});
  EXPECT_TRUE(row("10.96.1.1")->unchosen.empty()) << "not without the switch";
  auto view = cluster.view(0);
  view.reset_removed = true;
  const auto listed = [&](const std::string& address, uint16_t port, FrontendScope scope) {
    table = compile_services(cluster.snapshot, view);
    List out;
    for (const auto& one : table.find({TestCluster::ip(address), port, kTcp, scope})->second.unchosen)
      out.push_back(one.str());
    return out;
  };
  EXPECT_EQ(listed("10.96.1.1", 80, FrontendScope::kInternal),
            (List{"10.1.0.2:8080", "10.1.1.2:8080", "10.1.2.2:8080"}));
  service->spec.internalTrafficPolicy = "Local";
  view.node_name = TestCluster::node_name(2);
  EXPECT_EQ(listed("10.96.1.1", 80, FrontendScope::kInternal),
            (List{"10.1.0.2:8080", "10.1.0.3:8080", "10.1.1.2:8080", "10.1.2.2:8080"}));
}

TEST_F(Services, NobodyThereIsARowWithoutBackends) {  // SVC-D3
  ASSERT_TRUE(row("10.96.1.1"));
  EXPECT_TRUE(row("10.96.1.1")->backends.empty());
  EXPECT_FALSE(row("10.96.1.1")->drop_when_empty);
  service->spec.internalTrafficPolicy = "Local";
  EXPECT_FALSE(row("10.96.1.1")->drop_when_empty);  // nowhere else either: refused
  slice({endpoint("10.1.1.2", 1)});
  EXPECT_TRUE(row("10.96.1.1")->backends.empty());
  EXPECT_TRUE(row("10.96.1.1")->drop_when_empty);
}

TEST_F(Services, InternalLocalFallsBackToLocalTerminatingOnly) {  // SVC-D9
  service->spec.internalTrafficPolicy = "Local";
  slice({endpoint("10.1.0.2", 0, "ftt"), endpoint("10.1.1.2", 1, "t--")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.0.2:8080"});
}

TEST_F(Services, ExternalPolicyConcernsOnlyWhatComesFromOutside) {  // SVC-D8
  service->spec.type = "NodePort";
  service->spec.externalTrafficPolicy = "Local";
  slice({endpoint("10.1.0.2", 0), endpoint("10.1.1.2", 1)});
  EXPECT_EQ(row("192.0.2.10", 30080, FrontendScope::kInternal)->backends.size(), 2u);
  EXPECT_EQ(shown(row("192.0.2.10", 30080, FrontendScope::kExternal)->backends), List{"10.1.0.2:8080"});
  EXPECT_FALSE(row("192.0.2.10", 30080, FrontendScope::kExternal)->snat);
  service->spec.externalTrafficPolicy = "Cluster";
  EXPECT_TRUE(row("192.0.2.10", 30080, FrontendScope::kExternal)->snat);
  EXPECT_FALSE(row("192.0.2.10", 30080, FrontendScope::kInternal)->snat);
  EXPECT_EQ(row("2001:db8:2::a", 30080), nullptr);  // a single-stack Service
}

TEST_F(Services, NodePortsOfOtherNodesAreKnownForDirectServerReturn) {  // SVC-D8
  service->spec.type = "NodePort";
  slice({endpoint("10.1.0.2", 0), endpoint("10.1.1.2", 1)});
  EXPECT_EQ(row("0.0.0.0", 30080, FrontendScope::kExternal), nullptr);
  dsr = true;
  ASSERT_TRUE(row("0.0.0.0", 30080, FrontendScope::kExternal));
  EXPECT_EQ(row("0.0.0.0", 30080, FrontendScope::kExternal)->backends.size(), 2u);
  EXPECT_EQ(row("0.0.0.0", 30080), nullptr) << "from outside only";
  EXPECT_EQ(row("::", 30080, FrontendScope::kExternal), nullptr) << "a single-stack Service";
  service->spec.externalTrafficPolicy = "Local";
  EXPECT_EQ(row("0.0.0.0", 30080, FrontendScope::kExternal), nullptr) << "nobody hands it on";
}

TEST_F(Services, PeersAreReachedByTheTunnelsFamily) {  // ADR 14
  NodeView node = cluster.view(0);
  const auto by = [&](const char* prefix) {
    return compile(cluster.snapshot, node).peers.at(*net::Prefix::parse(prefix)).node.str();
  };
  EXPECT_EQ(by("2001:db8:1:1::/64"), "2001:db8:2::b");
  EXPECT_EQ(by("2001:db8:2::b/128"), "2001:db8:2::b");
  node.dsr = true;
  EXPECT_EQ(by("2001:db8:1:1::/64"), "192.0.2.11");
  EXPECT_EQ(by("2001:db8:2::b/128"), "192.0.2.11");
  EXPECT_EQ(by("192.0.2.11/32"), "192.0.2.11");
}

TEST_F(Services, HintsCountWhenAllReadyEndpointsHaveThem) {  // KEP-3015
  auto hinted = [&](const std::string& ip, int node, const char* zone, const char* for_node) {
    auto out = endpoint(ip, node);
    out.hints = k8s::EndpointHints{};
    if (zone) out.hints->forZones = {{zone}};
    if (for_node) out.hints->forNodes = {{for_node}};
    return out;
  };
  slice({hinted("10.1.0.2", 0, "east", nullptr), hinted("10.1.1.2", 1, "west", nullptr)});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.0.2:8080"});
  slice({hinted("10.1.0.2", 0, "east", nullptr), endpoint("10.1.1.2", 1)});
  EXPECT_EQ(row("10.96.1.1")->backends.size(), 2u);
  slice({hinted("10.1.0.2", 0, "west", "node-1"), hinted("10.1.1.2", 1, "east", "node-0")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});
  slice({hinted("10.1.1.2", 1, "west", nullptr), hinted("10.1.2.2", 2, "west", nullptr)});
  EXPECT_EQ(row("10.96.1.1")->backends.size(), 2u);  // no hint speaks of this zone
  slice({hinted("10.1.1.2", 1, "east", "node-1"), hinted("10.1.2.2", 2, "west", "node-2")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});  // none for this node: the zone's
  auto unready = endpoint("10.1.2.3", 2, "f--");
  slice({hinted("10.1.1.2", 1, "east", nullptr), unready});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});  // only ready ones must have hints
  // Terminating ones are taken from everywhere, hints or not; policy Local never looks at hints.
  auto draining = hinted("10.1.1.2", 1, "west", nullptr);
  draining.conditions = {false, true, true};
  slice({draining});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});
  service->spec.internalTrafficPolicy = "Local";
  slice({hinted("10.1.0.2", 0, "west", "node-1"), hinted("10.1.1.2", 1, "east", "node-0")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.0.2:8080"});
}

TEST_F(Services, ReadyAndTerminatingIsReady) {  // SVC-D29: publishNotReadyAddresses
  slice({endpoint("10.1.1.2", 1, "ttt"), endpoint("10.1.2.2", 2, "tft"), endpoint("10.1.0.2", 0, "ftt")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), (List{"10.1.1.2:8080", "10.1.2.2:8080"}));
}

TEST_F(Services, NilServingMeansServing) {  // as kube-proxy reads the API
  slice({endpoint("10.1.1.2", 1, "f-t"), endpoint("10.1.2.2", 2, "fft")});
  EXPECT_EQ(shown(row("10.96.1.1")->backends), List{"10.1.1.2:8080"});
}

TEST_F(Services, BadAddressesAndOtherFamiliesAreNoEndpoints) {  // SVC-D21, D22
  auto second = endpoint("127.0.0.1", 0);
  second.addresses.push_back("10.1.0.9");
  slice({second, endpoint("169.254.1.1", 0), endpoint("0.0.0.0", 0), endpoint("224.0.0.1", 0),
         endpoint("2001:db8:1::2", 0)});
  slice({endpoint("203.0.113.5", 7)}, "web-2", "FQDN");
  EXPECT_TRUE(row("10.96.1.1")->backends.empty());
}

TEST_F(Services, OneAddressInTwoSlicesCountsOnce) {
  slice({endpoint("10.1.1.2", 1)});
  slice({endpoint("10.1.1.2", 1, "f--")}, "web-2");
  EXPECT_EQ(row("10.96.1.1")->backends.size(), 1u);
}

TEST_F(Services, LabelsAndHeadlessKeepItOut) {  // SVC-D23, D24
  service->metadata.labels["service.kubernetes.io/service-proxy-name"] = "other";
  EXPECT_EQ(row("10.96.1.1"), nullptr);
  service->metadata.labels = {{"service.kubernetes.io/headless", ""}};
  EXPECT_EQ(row("10.96.1.1"), nullptr);
  service->metadata.labels.clear();
  EXPECT_NE(row("10.96.1.1"), nullptr);
  service->spec.clusterIP = "None";
  EXPECT_EQ(row("10.96.1.1"), nullptr);
}

TEST_F(Services, LoadBalancerAddresses) {  // SVC-D12, D13, D14
  service->spec.type = "LoadBalancer";
  service->spec.externalIPs = {"198.51.100.7", "nonsense"};
  service->spec.loadBalancerSourceRanges = {"203.0.113.0/24", " 2001:db8::/32"};
  service->status.loadBalancer.ingress = {{"198.51.100.1", {}, {}}, {"198.51.100.2", {}, "Proxy"}};
  slice({endpoint("10.1.1.2", 1)});
  ASSERT_TRUE(row("198.51.100.1", 80, FrontendScope::kExternal));
  EXPECT_EQ(row("198.51.100.1", 80, FrontendScope::kExternal)->source_ranges.size(), 1u);
  EXPECT_EQ(row("198.51.100.2"), nullptr);
  EXPECT_TRUE(row("198.51.100.7")->source_ranges.empty());
  // A connection to these may enter by any node; a NodePort names its own.
  service->spec.ports[0].nodePort = 30080;
  EXPECT_TRUE(row("198.51.100.1", 80, FrontendScope::kExternal)->consistent);
  EXPECT_TRUE(row("198.51.100.7", 80, FrontendScope::kExternal)->consistent);
  EXPECT_FALSE(row("198.51.100.7")->consistent);
  EXPECT_FALSE(row("192.0.2.10", 30080, FrontendScope::kExternal)->consistent);
  NodeView without = cluster.view(0);
  without.external_ips = false;
  table = compile_services(cluster.snapshot, without);
  EXPECT_FALSE(table.contains({TestCluster::ip("198.51.100.7"), 80, kTcp, FrontendScope::kExternal}));
  EXPECT_TRUE(table.contains({TestCluster::ip("198.51.100.1"), 80, kTcp, FrontendScope::kExternal}));
}

TEST_F(Services, AffinityAndStableIds) {
  service->spec.sessionAffinity = "ClientIP";
  EXPECT_EQ(row("10.96.1.1")->affinity_seconds, 10800u);
  uint64_t id = row("10.96.1.1")->service_id;
  slice({endpoint("10.1.1.2", 1)});
  EXPECT_EQ(row("10.96.1.1")->service_id, id);
}

TEST_F(Services, AnAddressHasARowForWhatIsNoPort) {  // SVC-D4
  service->spec.type = "LoadBalancer";
  service->spec.externalIPs = {"198.51.100.7"};
  service->status.loadBalancer.ingress = {{"198.51.100.1", {}, {}}};
  table = compile_services(cluster.snapshot, cluster.view(0));
  std::vector<std::string> addresses;
  for (const auto& [key, one] : table)
    if (one.kind == FrontendKind::kAddress) {
      EXPECT_EQ(key, (FrontendKey{key.address, 0, net::Protocol::kAny, FrontendScope::kInternal}));
      EXPECT_TRUE(one.backends.empty());
      addresses.push_back(key.address.str());
    }
  EXPECT_EQ(addresses, List{"10.96.1.1"});  // as kube-proxy: other addresses may have owners beside the Service
}

TEST_F(Services, ClusterDnsLeadsToTheNodeItself) {  // ADR 6
  auto& dns = cluster.add_service("kube-system", "kube-dns", {"10.96.0.10", "2001:db8:96::a"},
                                  {{"dns-tcp", "TCP", {}, 53}, {"metrics", "TCP", {}, 9153}});
  dns.spec.sessionAffinity = "None";
  EXPECT_EQ(row("10.96.0.10", 53)->kind, FrontendKind::kDns);
  EXPECT_EQ(shown(row("10.96.0.10", 53)->backends), List{std::string(kNodeDnsV4) + ":53"});
  EXPECT_EQ(shown(row("2001:db8:96::a", 53)->backends), List{std::string(kNodeDnsV6) + ":53"});
  EXPECT_EQ(row("10.96.0.10", 9153)->kind, FrontendKind::kClusterIp);
}

TEST_F(Services, HealthChecksCountReadyEndpointsOfTheNode) {  // SVC-D10
  service->spec.type = "LoadBalancer";
  service->spec.externalTrafficPolicy = "Local";
  service->spec.healthCheckNodePort = 32000;
  service->spec.ports.push_back({"https", "TCP", {}, 443, 30443});
  slice({endpoint("10.1.0.2", 0), endpoint("10.1.0.3", 0), endpoint("10.1.0.4", 0, "ftt"),
         endpoint("10.1.0.5", 0, "f--"), endpoint("10.1.1.2", 1)});
  cluster.add_slice("x", "web-tls", "web", {{"https", "TCP", std::nullopt, 8443}}, {endpoint("10.1.0.2", 0)});
  service->status.loadBalancer.ingress = {{"198.51.100.1", {}, {}}};
  auto count = [&] {
    auto checks = compile_health_checks(cluster.snapshot, cluster.view(0));
    return checks.contains(32000) ? static_cast<int>(checks.at(32000).local_endpoints) : -1;
  };
  EXPECT_EQ(count(), 2) << "ready ones of this node, each once";
  slice({endpoint("10.1.0.4", 0, "ftt"), endpoint("10.1.1.2", 1)});
  cluster.add_slice("x", "web-tls", "web", {{"https", "TCP", std::nullopt, 8443}}, {});
  EXPECT_EQ(count(), 0) << "only terminating ones: the answer is no, although traffic still works";
  EXPECT_EQ(shown(row("198.51.100.1", 80, FrontendScope::kExternal)->backends), List{"10.1.0.4:8080"});
  service->metadata.labels["service.kubernetes.io/service-proxy-name"] = "other";
  EXPECT_EQ(count(), -1);
  service->metadata.labels.clear();
  service->spec.externalTrafficPolicy = "Cluster";
  EXPECT_EQ(count(), -1);
}

TEST_F(Services, HostPortsYieldToServices) {  // HP-1, HP-4
  service->spec.type = "NodePort";
  cluster.add_pod("x", "p", {}, 0);
  NodeView view = cluster.view(0);
  view.pods.begin()->second.port_mappings = {{30080, 80}, {8080, 80}, {9090, 90, kTcp, TestCluster::ip("192.0.2.99")}};
  table = compile_services(cluster.snapshot, view);
  auto kind = [&](const char* address, uint16_t port) {
    return table.at({TestCluster::ip(address), port, kTcp, FrontendScope::kExternal}).kind;
  };
  EXPECT_EQ(kind("192.0.2.10", 30080), FrontendKind::kNodePort);
  EXPECT_EQ(kind("192.0.2.10", 8080), FrontendKind::kHostPort);
  EXPECT_EQ(kind("2001:db8:2::a", 8080), FrontendKind::kHostPort);
  EXPECT_FALSE(table.contains({TestCluster::ip("192.0.2.10"), 9090, kTcp, FrontendScope::kExternal}));
}

TEST_F(Services, LoopbackOfTheNode) {  // SVC-D7, HP-2
  service->spec.type = "NodePort";
  service->spec.externalTrafficPolicy = "Local";
  slice({endpoint("10.1.1.2", 1)});
  cluster.add_pod("x", "p", {}, 0);
  NodeView view = cluster.view(0);
  view.pods.begin()->second.port_mappings = {
      {8080, 80}, {9090, 90, kTcp, TestCluster::ip("127.0.0.1")}, {9091, 90, kTcp, TestCluster::ip("192.0.2.10")}};
  table = compile_services(cluster.snapshot, view);
  auto loopback = [&](const char* address, uint16_t port) {
    auto found = table.find({TestCluster::ip(address), port, kTcp, FrontendScope::kLoopback});
    return found == table.end() ? List{"none"} : shown(found->second.backends);
  };
  EXPECT_EQ(loopback("127.0.0.1", 30080), List{"10.1.1.2:8080"}) << "from inside always as policy Cluster";
  EXPECT_EQ(loopback("::1", 30080), List{"none"}) << "a single-stack Service";
  EXPECT_EQ(loopback("127.0.0.1", 8080), List{"10.1.0.2:80"});
  EXPECT_EQ(loopback("::1", 8080), List{"2001:db8:1::2:80"});
  EXPECT_EQ(loopback("127.0.0.1", 9090), List{"10.1.0.2:90"});
  EXPECT_EQ(loopback("127.0.0.1", 9091), List{"none"});
  EXPECT_FALSE(table.contains({TestCluster::ip("192.0.2.10"), 9090, kTcp, FrontendScope::kInternal}));
  EXPECT_FALSE(table.contains({TestCluster::ip("127.0.0.1"), 30080, kTcp, FrontendScope::kInternal}));
}

}  // namespace
}  // namespace carrick::desired::testing
