#include <gtest/gtest.h>

#include "desired/names/service_names.h"
#include "desired/test_cluster.h"

namespace carrick::desired::testing {
namespace {

class Names : public ::testing::Test {
 protected:
  Names() {
    for (const char* name : {"x", "kube-system"}) cluster.add_namespace(name);
    for (int i = 0; i < 2; ++i) cluster.add_node(i);
    cluster.add_service("kube-system", "kube-dns", {"10.96.0.10"}, {{"dns", "UDP", {}, 53}});
  }
  void slice(const std::string& service, std::vector<k8s::Endpoint> endpoints, const std::string& type = "IPv4") {
    cluster.add_slice("x", service + "-" + type, service, {{"http", "TCP", std::nullopt, 8080}}, std::move(endpoints),
                      type);
  }
  static k8s::Endpoint endpoint(const std::string& ip, const char* hostname = nullptr, bool ready = true) {
    k8s::Endpoint out;
    out.addresses = {ip};
    if (hostname) out.hostname = hostname;
    out.conditions.ready = ready;
    return out;
  }
  const NameRow* row(const std::string& name) {
    table = compile_names(cluster.snapshot, cluster.view(0));
    auto found = table.names.find(name);
    if (found != table.names.end()) return &found->second;
    endpoint_row_ = endpoint_row(table, name);
    return endpoint_row_ ? &*endpoint_row_ : nullptr;
  }
  std::vector<std::string> addresses(const std::string& name) {
    std::vector<std::string> out;
    if (const auto* found = row(name))
      for (const auto& one : found->addresses) out.push_back(one.str());
    return out;
  }
  std::vector<std::string> reverse(const std::string& ip) {
    row("");
    return reverse_names(table, TestCluster::ip(ip));
  }
  using List = std::vector<std::string>;
  TestCluster cluster;
  NameTable table;

 private:
  std::optional<NameRow> endpoint_row_;
};

TEST_F(Names, ClusterIpServiceAlsoWithoutEndpoints) {  // DNS-2, 3, 4, N8
  cluster.add_service("x", "web", {"10.96.1.1", "2001:db8:96::1:1"}, {{"http", "TCP", {}, 80}, {"", "UDP", {}, 53}});
  EXPECT_EQ(addresses("web.x.svc"), (List{"10.96.1.1", "2001:db8:96::1:1"}));
  ASSERT_TRUE(row("_http._tcp.web.x.svc"));
  EXPECT_EQ(row("_http._tcp.web.x.svc")->services, (std::vector<SrvRecord>{{0, 100, 80, "web.x.svc"}}));
  EXPECT_EQ(row("web.x.svc")->services.size(), 2u);
  EXPECT_EQ(row("web.x.svc")->services[0].weight, 50);
  ASSERT_TRUE(row("_tcp.web.x.svc"));  // empty non-terminal
  EXPECT_TRUE(row("_tcp.web.x.svc")->services.empty());
  EXPECT_EQ(row("_udp.web.x.svc"), nullptr);
  EXPECT_EQ(reverse("10.96.1.1"), List{"web.x.svc"});
}

TEST_F(Names, HeadlessGivesReadyEndpoints) {  // DNS-5 ... 8
  cluster.add_service("x", "db", {"None"}, {{"http", "TCP", {}, 80}});
  EXPECT_EQ(row("db.x.svc"), nullptr);  // no ready endpoint: the name does not exist
  slice("db", {endpoint("10.1.0.2", "db-0"), endpoint("10.1.1.2"), endpoint("10.1.1.3", "db-2", false)});
  slice("db", {endpoint("2001:db8:1::2", "db-0")}, "IPv6");
  EXPECT_EQ(addresses("db.x.svc"), (List{"10.1.0.2", "10.1.1.2", "2001:db8:1::2"}));
  EXPECT_EQ(addresses("db-0.db.x.svc"), (List{"10.1.0.2", "2001:db8:1::2"}));
  EXPECT_EQ(addresses("10-1-1-2.db.x.svc"), List{"10.1.1.2"});
  EXPECT_EQ(row("db-2.db.x.svc"), nullptr);
  EXPECT_EQ(row("_http._tcp.db.x.svc")->services,
            (std::vector<SrvRecord>{{0, 50, 8080, "db-0.db.x.svc"}, {0, 50, 8080, "10-1-1-2.db.x.svc"}}));
  EXPECT_EQ(reverse("10.1.0.2"), List{"db-0.db.x.svc"});
  EXPECT_EQ(reverse("10.1.1.3"), List{});
}

TEST_F(Names, EndpointsWithoutHostnameHaveNamesWithoutRows) {  // DNS-6, DNS-8
  cluster.add_service("x", "web", {"10.96.1.1"}, {{"http", "TCP", {}, 80}});
  cluster.add_service("x", "other", {"10.96.1.2"}, {{"http", "TCP", {}, 80}});
  slice("web", {endpoint("10.1.0.2"), endpoint("10.1.0.3", nullptr, false)});
  slice("web", {endpoint("2001:db8:1::2")}, "IPv6");
  slice("other", {endpoint("10.1.0.2")});
  EXPECT_EQ(addresses("10-1-0-2.web.x.svc"), List{"10.1.0.2"});
  EXPECT_EQ(row("10-1-0-2.web.x.svc")->owner, (Owner{"Service", "x", "web", {}}));
  EXPECT_EQ(addresses("2001-db8-1--2.web.x.svc"), List{"2001:db8:1::2"});
  for (const char* name : {"10-1-0-3.web.x.svc", "10-1-0-9.web.x.svc", "10-1-0-2.none.x.svc", "10-1-0-2",
                           "2001-db8-1-0--2.web.x.svc", "x.10-1-0-2.web.x.svc", "10-1-0-2.web.x"})
    EXPECT_EQ(row(name), nullptr) << name;
  EXPECT_EQ(reverse("10.1.0.2"), (List{"10-1-0-2.other.x.svc", "10-1-0-2.web.x.svc"}));
  EXPECT_TRUE(has_reverse_names(table, net::Prefix::parse("10.1.0.0/24").value()));
  EXPECT_FALSE(has_reverse_names(table, net::Prefix::parse("10.1.1.0/24").value()));
  EXPECT_FALSE(table.names.contains("10-1-0-2.web.x.svc"));
}

TEST_F(Names, HostnameLikeAnAddressSharesTheName) {
  cluster.add_service("x", "db", {"None"}, {{"http", "TCP", {}, 80}});
  slice("db", {endpoint("10.1.0.2", "10-1-0-3"), endpoint("10.1.0.3")});
  EXPECT_EQ(addresses("10-1-0-3.db.x.svc"), (List{"10.1.0.2", "10.1.0.3"}));
  EXPECT_EQ(reverse("10.1.0.2"), List{"10-1-0-3.db.x.svc"});
}

TEST_F(Names, ExternalName) {  // DNS-9
  auto& service = cluster.add_service("x", "out", {}, {});
  service.spec.type = "ExternalName";
  service.spec.externalName = "WWW.Example.com.";
  EXPECT_EQ(row("out.x.svc")->cname, "www.example.com");
  service.spec.externalName = "192.0.2.1";
  EXPECT_EQ(row("out.x.svc"), nullptr);
}

TEST_F(Names, StructureOfTheZone) {  // DNS-1, N3, N5
  EXPECT_EQ(row("dns-version")->texts, std::vector<std::string>{"1.1.0"});
  for (const char* name : {"svc", "pod", "x.svc", "x.pod", "kube-system.svc", "dns"}) EXPECT_TRUE(row(name)) << name;
  EXPECT_EQ(row("nowhere.svc"), nullptr);
  EXPECT_EQ(addresses("ns.dns"), List{"10.96.0.10"});
  cluster.snapshot.synced = true;
  row("");
  EXPECT_TRUE(table.synced);
  EXPECT_EQ(table.reverse_zones.size(), 4u);
}

TEST_F(Names, PodsByAddress) {
  cluster.add_pod("x", "p", {}, 0);
  cluster.add_pod("x", "host", {}, 1).spec.hostNetwork = true;
  cluster.add_pod("x", "done", {}, 1).status.phase = "Succeeded";
  row("");
  EXPECT_EQ(table.pods, (SharedMap<net::IpAddress, std::string>{{TestCluster::ip("10.1.0.2"), "x"},
                                                                {TestCluster::ip("2001:db8:1::2"), "x"}}));
}

TEST_F(Names, DashedAddresses) {
  EXPECT_EQ(dashed(TestCluster::ip("172.0.0.2")), "172-0-0-2");
  EXPECT_EQ(dashed(TestCluster::ip("5678:abcd::1")), "5678-abcd--1");
  for (const char* address : {"172.0.0.2", "5678:abcd::1", "::1", "2001:db8::"})
    EXPECT_EQ(undashed(dashed(TestCluster::ip(address))), TestCluster::ip(address));
  for (const char* label : {"", "db-0", "1-2-3", "1-2-3-4-5", "256-1-1-1", "a.b"})
    EXPECT_FALSE(undashed(label)) << label;
}

}  // namespace
}  // namespace carrick::desired::testing
