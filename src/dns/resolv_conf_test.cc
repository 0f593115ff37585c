#include "dns/resolv_conf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace carrick::dns {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::vector<net::IpAddress> kCluster = {net::IpAddress::parse("10.96.0.10").value(),
                                              net::IpAddress::parse("2001:db8:96::a").value()};
const ResolvConf kNode =
    parse_resolv_conf("# node\nnameserver 203.0.113.53\nsearch corp.example. example\noptions timeout:1 edns0\n");

PodDns pod(const char* policy, bool host_network = false) {
  return {.namespace_ = "shop", .policy = policy, .host_network = host_network};
}
PodResolvConf render(const PodDns& dns) { return pod_resolv_conf(dns, kCluster, "cluster.local", kNode).value(); }

constexpr const char* kClusterFirst =
    "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example example\n"
    "nameserver 10.96.0.10\nnameserver 2001:db8:96::a\noptions ndots:5\n";
constexpr const char* kDefault = "search corp.example example\nnameserver 203.0.113.53\noptions timeout:1 edns0\n";

TEST(ResolvConf, Policies) {
  EXPECT_EQ(render(pod("ClusterFirst")).conf.str(), kClusterFirst);
  EXPECT_EQ(render(pod("")).conf.str(), kClusterFirst);
  EXPECT_EQ(render(pod("ClusterFirstWithHostNet", true)).conf.str(), kClusterFirst);
  EXPECT_EQ(render(pod("ClusterFirst", true)).conf.str(), kDefault);
  EXPECT_EQ(render(pod("Default")).conf.str(), kDefault);
  EXPECT_EQ(pod_resolv_conf(pod("clusterfirst"), kCluster, "cluster.local", kNode).error().kind, ErrorKind::kInvalid);
}

TEST(ResolvConf, NoneNeedsItsOwn) {
  EXPECT_FALSE(pod_resolv_conf(pod("None"), kCluster, "cluster.local", kNode));
  PodDns none = pod("None");
  none.nameservers = {"1.2.3.4"};
  none.searches = {"ns1.svc.cluster-domain.example", "my.dns.search.suffix"};
  none.options = {{"ndots", "2"}, {"edns0", std::nullopt}};
  EXPECT_EQ(render(none).conf.str(),
            "search ns1.svc.cluster-domain.example my.dns.search.suffix\nnameserver 1.2.3.4\noptions ndots:2 edns0\n");
}

TEST(ResolvConf, DnsConfigIsMerged) {
  PodDns dns = pod("ClusterFirst");
  dns.nameservers = {"10.96.0.10", "9.9.9.9"};
  dns.searches = {"cluster.local", "under_score.example", "."};
  dns.options = {{"ndots", "1"}, {"use-vc", ""}};
  auto conf = render(dns).conf;
  EXPECT_THAT(conf.nameservers, ElementsAre("10.96.0.10", "2001:db8:96::a", "9.9.9.9"));
  EXPECT_THAT(conf.searches, ElementsAre("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example",
                                         "example", "under_score.example", "."));
  EXPECT_THAT(conf.options, ElementsAre("ndots:1", "use-vc"));
}

TEST(ResolvConf, Limits) {
  PodDns dns = pod("ClusterFirst");
  dns.nameservers = {"9.9.9.9", "8.8.8.8"};
  for (int i = 0; i < 40; ++i) dns.searches.push_back(fmt::format("s{}.example", i));
  auto out = render(dns);
  EXPECT_THAT(out.conf.nameservers, SizeIs(3));
  EXPECT_THAT(out.conf.searches, SizeIs(32));
  EXPECT_THAT(out.warnings, ElementsAre(HasSubstr("Nameserver limits"), HasSubstr("Search Line limits")));
  dns.searches.assign(20, "");
  for (size_t i = 0; i < 20; ++i) dns.searches[i] = std::string(150 + i, 'a');
  out = render(dns);
  size_t size = out.conf.searches.size();
  for (const auto& path : out.conf.searches) size += path.size();
  EXPECT_LE(size - 1, 2048u);
  EXPECT_GT(size, 1850u);
}

TEST(ResolvConf, WithoutClusterDnsFallsBackAndSaysSo) {
  auto out = pod_resolv_conf(pod("ClusterFirst"), {}, "cluster.local", kNode).value();
  EXPECT_EQ(out.conf.str(), kDefault);
  EXPECT_THAT(out.warnings, SizeIs(1));
}

TEST(ResolvConf, ParsesWhatPeopleWrite) {
  auto conf = parse_resolv_conf(
      "; c\r\n\tnameserver\t10.0.0.1\r\nnameserver fe80::1%eth0\nsearch a\nsearch b c.\ndomain\nsearch .\noptions "
      "ndots:3\noptions ndots:7 rotate\nfoo bar\nnameserver");
  EXPECT_THAT(conf.nameservers, ElementsAre("10.0.0.1", "fe80::1%eth0"));
  EXPECT_THAT(conf.searches, ElementsAre("."));
  EXPECT_THAT(conf.options, ElementsAre("ndots:7", "rotate"));
  EXPECT_EQ(conf.ndots(), 7);
  EXPECT_THAT(upstreams_of(conf), SizeIs(1));
  EXPECT_EQ(parse_resolv_conf("").ndots(), 1);
}

TEST(SearchPath, AsGlibcWalksIt) {
  auto conf = render(pod("ClusterFirst")).conf;
  EXPECT_THAT(search_candidates(conf, "web"),
              ElementsAre("web.shop.svc.cluster.local.", "web.svc.cluster.local.", "web.cluster.local.",
                          "web.corp.example.", "web.example.", "web."));
  EXPECT_THAT(search_candidates(conf, "web."), ElementsAre("web."));
  EXPECT_EQ(search_candidates(conf, "a.b.c.d.e.f").front(), "a.b.c.d.e.f.");
  EXPECT_EQ(search_candidates(conf, "a.b.c.d.e").front(), "a.b.c.d.e.shop.svc.cluster.local.");
  ResolvConf dot{{}, {"."}, {"ndots:5"}};
  EXPECT_THAT(search_candidates(dot, "web"), ElementsAre("web."));
}

}  // namespace
}  // namespace carrick::dns
