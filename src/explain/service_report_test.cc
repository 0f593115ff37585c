#include "explain/service_report.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "desired/test_cluster.h"

namespace carrick::explain {
namespace {

using desired::testing::TestCluster;

class ServiceReports : public ::testing::Test {
 protected:
  ServiceReports() {
    cluster.add_namespace("x");
    for (int i = 0; i < 3; ++i) cluster.add_node(i, i == 2 ? "far" : "near");
    cluster.add_pod("x", "api-0", {{"app", "api"}}, 0, {{"http", 9000}});
    cluster.add_pod("x", "api-1", {{"app", "api"}}, 1, {{"http", 9000}});
    service().spec.type = "NodePort";
    cluster.slices_for("x", "api");
  }
  k8s::Service& service() {
    return cluster.add_service("x", "api", {"10.96.1.1"},
                               {{"http", "TCP", {}, 80, 30080, k8s::IntOrString(std::string("http"))}},
                               {{"app", "api"}});
  }
  // The first endpoint of the IPv4 slice, to change.
  k8s::EndpointSlice slice() { return *cluster.snapshot.endpointslices.at({"x", "api-v4-0"}); }
  void put(const k8s::EndpointSlice& slice) { cluster.add_slice("x", "api-v4-0", "api", slice.ports, slice.endpoints); }
  ServiceReport report(const std::string& node = {}) {
    auto world = make_world(std::make_shared<k8s::Snapshot>(cluster.snapshot));
    auto out = report_service(world, {"x", "api"}, node);
    EXPECT_TRUE(out) << out.error().message;
    return out.value_or(ServiceReport{});
  }
  TestCluster cluster;
};

TEST_F(ServiceReports, AddressesAndWhoUsesEachEndpoint) {
  auto out = report();
  ASSERT_EQ(out.ports.size(), 1u);
  const auto& port = out.ports[0];
  ASSERT_EQ(port.addresses.size(), 2u);
  std::vector<std::string> kinds = {port.addresses[0].kind, port.addresses[1].kind};
  std::ranges::sort(kinds);
  EXPECT_EQ(kinds, (std::vector<std::string>{"ClusterIP", "NodePort"}));
  ASSERT_EQ(port.endpoints.size(), 2u);
  EXPECT_EQ(port.endpoints[0].pod, "x/api-0");
  EXPECT_EQ(port.endpoints[0].zone, "near");
  EXPECT_EQ(port.endpoints[0].pods_of.size(), 3u);
  EXPECT_EQ(port.endpoints[0].outside_at.size(), 3u);
  EXPECT_EQ(port.endpoints[0].why_not, "");
  EXPECT_EQ(report("node-1").ports[0].endpoints[1].pods_of, std::vector<std::string>{"node-1"});
}

TEST_F(ServiceReports, HitsAreSummedOverNodesAndPortsAreKeptApart) {
  auto out = report();
  EXPECT_FALSE(out.ports[0].endpoints[0].hits) << "nobody was asked";
  const auto target = out.ports[0].endpoints[0].target;
  add_hits(out, {{"spec.ports[0]", target, 3}, {"spec.ports[0]", target, 4}, {"spec.ports[1]", target, 50}});
  EXPECT_EQ(out.ports[0].endpoints[0].hits, 7u);
  EXPECT_EQ(out.ports[0].endpoints[1].hits, 0u);
  EXPECT_NE(to_json(out).find("\"hits\":7"), std::string::npos);
}

TEST_F(ServiceReports, FieldsThatLeadNowhereAreSaid) {
  EXPECT_TRUE(report().findings.empty());
  auto& spec = service().spec;
  spec.externalIPs = {"198.51.100.999"};
  auto changed = slice();
  changed.endpoints[0].addresses = {"2001:db8::1"};
  put(changed);
  auto out = report();
  ASSERT_EQ(out.findings.size(), 2u);
  EXPECT_EQ(out.findings[0].owner.str(), "Service x/api spec.externalIPs[0]");
  EXPECT_EQ(out.findings[1].owner.kind, "EndpointSlice");
  EXPECT_EQ(out.ports.size(), 1u) << "the others of its rows are untouched";
  EXPECT_NE(to_text(out).find("\nService x/api spec.externalIPs[0]: \"198.51.100.999\" is no address"),
            std::string::npos)
      << to_text(out);
  auto json = boost::json::parse(to_json(out)).as_object();
  EXPECT_EQ(json.at("findings").as_array().at(0).at("owner").as_string(), "Service x/api spec.externalIPs[0]");
}

TEST_F(ServiceReports, EachReasonForNotBeingUsed) {
  auto changed = slice();
  changed.endpoints[0].conditions = {.ready = false, .serving = false, .terminating = false};
  put(changed);
  EXPECT_EQ(report().ports[0].endpoints[0].why_not, "it is not ready");
  EXPECT_EQ(report().ports[0].endpoints[0].state, "not ready");
  changed.endpoints[0].conditions = {.ready = false, .serving = true, .terminating = true};
  put(changed);
  EXPECT_EQ(report().ports[0].endpoints[0].state, "draining");
  EXPECT_EQ(report().ports[0].endpoints[0].why_not, "it is terminating: used only where no endpoint is ready");
  changed.endpoints[1].conditions = {.ready = false, .serving = false, .terminating = true};
  put(changed);
  auto fallback = report();
  EXPECT_EQ(fallback.ports[0].endpoints[0].pods_of.size(), 3u) << "the draining one is all there is (SVC-D1)";
  EXPECT_EQ(fallback.ports[0].endpoints[1].why_not, "it is terminating and serves no longer");
}

TEST_F(ServiceReports, HintsAndLocalPolicySayWhoUsesIt) {
  auto hinted = slice();
  hinted.endpoints[0].hints = k8s::EndpointHints{.forZones = {{"near"}}, .forNodes = {}};
  hinted.endpoints[1].hints = k8s::EndpointHints{.forZones = {{"far"}}, .forNodes = {}};
  put(hinted);
  auto out = report().ports[0];
  EXPECT_EQ(out.endpoints[0].pods_of, (std::vector<std::string>{"node-0", "node-1"}));
  EXPECT_EQ(out.endpoints[1].pods_of, std::vector<std::string>{"node-2"});
  EXPECT_EQ(out.endpoints[1].why_not, "its hint gives it to zone far");
  service().spec.internalTrafficPolicy = "Local";
  out = report().ports[0];
  EXPECT_EQ(out.endpoints[0].pods_of, std::vector<std::string>{"node-0"});
  EXPECT_EQ(out.endpoints[0].why_not, "internalTrafficPolicy is Local: only its own node uses it");
  EXPECT_NE(report("node-2").ports[0].nothing.find("dropped"), std::string::npos);
}

TEST_F(ServiceReports, NothingBehindItAndNothingToForward) {
  auto empty = slice();
  empty.endpoints.clear();
  put(empty);
  EXPECT_EQ(report().ports[0].nothing, "refused at once: no endpoint is ready");
  service().spec.clusterIP = "None";
  auto headless = report();
  EXPECT_TRUE(headless.ports.empty());
  EXPECT_NE(headless.not_forwarded.find("headless"), std::string::npos);
  auto world = make_world(std::make_shared<k8s::Snapshot>(cluster.snapshot));
  EXPECT_EQ(report_service(world, {"x", "apu"}).error().message,
            "there is no Service \"x/svc/apu\"; did you mean \"x/svc/api\"?");
  EXPECT_EQ(report_service(world, {"x", "api"}, "n9").error().message,
            "there is no node \"n9\"; there are: node-0, node-1, node-2");
}

TEST_F(ServiceReports, TextAndJsonSayTheSame) {
  auto out = report();
  std::string text = to_text(out);
  EXPECT_NE(text.find("port 30080 of every node"), std::string::npos) << text;
  EXPECT_NE(text.find("10.96.1.1:80"), std::string::npos) << text;
  EXPECT_NE(text.find("all nodes"), std::string::npos) << text;
  auto json = boost::json::parse(to_json(out)).as_object();
  EXPECT_EQ(json.at("ports").as_array().at(0).at("endpoints").as_array().size(), 2u);
  EXPECT_EQ(json.at("ports").as_array().at(0).at("endpoints").at(0).at("podsOf").as_array().size(), 3u);
}

}  // namespace
}  // namespace carrick::explain
