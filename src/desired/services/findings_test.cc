#include "desired/services/findings.h"

#include <gtest/gtest.h>

#include "desired/test_cluster.h"

namespace carrick::desired::testing {
namespace {

class FindingsTest : public ::testing::Test {
 protected:
  FindingsTest() {
    cluster.add_namespace("x");
    cluster.add_service("x", "good", {"10.96.1.2"}, {{"http", "TCP", {}, 80, 0}});
    cluster.add_slice("x", "good-1", "good", {{"http", "TCP", std::nullopt, 8080}}, {{.addresses = {"10.1.0.2"}}});
  }
  // "FIELD: SENTENCE" of each, of Service x/web.
  std::vector<std::string> said() {
    const FindingTable all = compile_findings(cluster.snapshot);
    EXPECT_FALSE(all.contains({"x", "good"}));
    std::vector<std::string> out;
    if (auto found = all.find({"x", "web"}); found != all.end())
      for (const auto& each : found->second) out.push_back(each.owner.str() + ": " + each.sentence);
    return out;
  }
  TestCluster cluster;
};
using List = std::vector<std::string>;

TEST_F(FindingsTest, NothingIsSaidOfWhatIsRight) {
  cluster.add_service("x", "web", {"10.96.1.1", "2001:db8:96::1"}, {{"t", "TCP", {}, 80, 0}, {"u", "UDP", {}, 80, 0}});
  cluster.add_slice("x", "web-1", "web", {{"t", "TCP", std::nullopt, 8080}},
                    {{.addresses = {"10.1.0.2"}}, {.addresses = {"10.1.0.3", "not looked at"}}});
  cluster.add_slice("x", "web-2", "web", {{"t", {}, std::nullopt, 8080}}, {{.addresses = {"2001:db8:1::2"}}}, "IPv6");
  cluster.add_slice("x", "web-3", "web", {}, {{.addresses = {"db.example.com"}}}, "FQDN");
  EXPECT_EQ(said(), List());
}

TEST_F(FindingsTest, EachFieldThatLeadsNowhere) {
  auto& service = cluster.add_service(
      "x", "web", {"10.96.1.1", "10.96.1.300"},
      {{"a", "TCP", {}, 80, 0}, {"b", "TCP", {}, 80, 70000}, {"c", "ICMP", {}, 81, 0}, {"d", "TCP", {}, 0, 0}});
  service.spec.externalIPs = {"here"};
  service.spec.loadBalancerSourceRanges = {" 10.0.0.0/8 ", "10.0.0.0/99"};
  service.status.loadBalancer.ingress = {{.ip = "there"}, {.hostname = "lb.example.com"}};
  EXPECT_EQ(said(),
            (List{"Service x/web spec.clusterIPs[1]: \"10.96.1.300\" is no address: nothing leads there",
                  "Service x/web spec.externalIPs[0]: \"here\" is no address: nothing leads there",
                  "Service x/web spec.ports[1]: 80/TCP is spec.ports[0] already, which counts",
                  "Service x/web spec.ports[1].nodePort: 70000 is no port number",
                  "Service x/web spec.ports[2]: \"ICMP\" is no protocol that is forwarded",
                  "Service x/web spec.ports[3]: 0 is no port number",
                  "Service x/web spec.loadBalancerSourceRanges[1]: \"10.0.0.0/99\" is no range of addresses: "
                  "nobody is let in by it",
                  "Service x/web status.loadBalancer.ingress[0]: \"there\" is no address: nothing leads there"}));
}

TEST_F(FindingsTest, EachEndpointThatLeadsNowhere) {
  cluster.add_service("x", "web", {"10.96.1.1"}, {{"a", "TCP", {}, 80, 0}});
  cluster.add_slice("x", "web-1", "web", {{"a", "TCP", std::nullopt, std::nullopt}, {"b", "GRE", std::nullopt, 65536}},
                    {{.addresses = {"2001:db8:1::2"}}, {}, {.addresses = {"127.0.0.1"}}, {.addresses = {"name"}}});
  cluster.add_slice("x", "web-2", "web", {}, {}, "IPX");
  EXPECT_EQ(
      said(),
      (List{"EndpointSlice x/web-1 ports[0]: it has no number: no connection is led to it",
            "EndpointSlice x/web-1 ports[1]: 65536 is no port number",
            "EndpointSlice x/web-1 ports[1].protocol: \"GRE\" is no protocol that is forwarded",
            "EndpointSlice x/web-1 endpoints[0]: \"2001:db8:1::2\" is not of the family of its slice, IPv4: no "
            "connection is led to it",
            "EndpointSlice x/web-1 endpoints[1]: it has no address: no connection is led to it",
            "EndpointSlice x/web-1 endpoints[2]: \"127.0.0.1\" is loopback, link-local, multicast or unspecified: "
            "no connection is led to it",
            "EndpointSlice x/web-1 endpoints[3]: \"name\" is no address: no connection is led to it",
            "EndpointSlice x/web-2 addressType: \"IPX\" is no type of address that is known"}));
}

TEST_F(FindingsTest, AreFewAndShortWhateverIsWrong) {
  cluster.add_service("x", "web", {"10.96.1.1"}, {{"a", "TCP", {}, 80, 0}});
  std::vector<k8s::Endpoint> endpoints(1000, k8s::Endpoint{.addresses = {std::string(10'000, 'x')}});
  cluster.add_slice("x", "web-1", "web", {{"a", "TCP", std::nullopt, 80}}, std::move(endpoints));
  const List all = said();
  ASSERT_EQ(all.size(), kMostFindings);
  EXPECT_NE(all.back().find("and 990 more fields of this object"), std::string::npos) << all.back();
  for (const auto& one : all) EXPECT_LT(one.size(), 250u);
}

TEST_F(FindingsTest, NothingIsSaidOfServicesThatAreNotForwarded) {
  cluster.add_service("x", "web", {"None"}, {{"a", "TCP", {}, 0, 0}});
  EXPECT_EQ(said(), List());
}

}  // namespace
}  // namespace carrick::desired::testing
