#include "kernel/netlink.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "kernel/netns.h"

namespace carrick::kernel {
namespace {

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
net::Prefix cidr(const char* text) { return *net::Prefix::parse(text); }

#define ASSERT_OK(...)                                   \
  do {                                                   \
    auto&& ok_ = (__VA_ARGS__);                          \
    ASSERT_TRUE(ok_.has_value()) << ok_.error().message; \
  } while (false)

class NetlinkTest : public testing::Test {
 protected:
  void SetUp() override {
    auto a = create_anonymous_netns();
    if (!a) GTEST_SKIP() << "needs root: " << a.error().message;
    a_ = std::move(*a);
    b_ = std::move(*create_anonymous_netns());
    at_a_ = std::move(*open_netlink(a_.get()));
    at_b_ = std::move(*open_netlink(b_.get()));
  }
  CreateVeth pair() const {
    return {.here = {.name = "left", .ifindex = 700, .mac = *net::MacAddress::parse("02:00:00:00:00:01")},
            .there = {.name = "right",
                      .ifindex = 800,
                      .mac = *net::MacAddress::parse("02:00:00:00:00:02"),
                      .netns_fd = b_.get()},
            .mtu = 1400,
            .group = 9};
  }
  Fd a_, b_;
  std::unique_ptr<Netlink> at_a_, at_b_;
};

TEST_F(NetlinkTest, VethHasBothEndsInTheirNamespacesAsAsked) {
  auto index = at_a_->create_veth(pair());
  ASSERT_OK(index);
  EXPECT_EQ(*index, 700u);
  auto right = at_b_->link("right");
  ASSERT_OK(right);
  EXPECT_EQ(right->ifindex, 800u);
  EXPECT_EQ(right->mac.str(), "02:00:00:00:00:02");
  EXPECT_EQ(right->mtu, 1400u);
  EXPECT_EQ(right->kind, "veth");
  EXPECT_TRUE(right->peer_elsewhere);
  EXPECT_EQ(right->qdisc, "noqueue");
  EXPECT_EQ(right->group, 9u);
  EXPECT_EQ(right->peer_ifindex, 700u);
  EXPECT_TRUE(right->up);
  auto again = at_a_->create_veth(pair());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::kAlreadyExists) << again.error().message;
  EXPECT_NE(again.error().message.find("create veth left <-> right"), std::string::npos) << again.error().message;
}

TEST_F(NetlinkTest, OneBatchMakesAWorkingPath) {
  ASSERT_OK(at_a_->apply({pair(), AddAddress{{700, ip("10.1.0.1"), 32}}, AddAddress{{700, ip("2001:db8:1::1"), 128}},
                          AddRoute{{.destination = cidr("10.1.0.7/32"), .ifindex = 700}},
                          AddRoute{{.destination = cidr("2001:db8:1::7/128"), .ifindex = 700}},
                          AddNeighbor{{700, ip("10.1.0.7"), *net::MacAddress::parse("02:00:00:00:00:02")}}}));
  ASSERT_OK(at_b_->apply(
      {AddAddress{{800, ip("10.1.0.7"), 32}}, AddAddress{{800, ip("2001:db8:1::7"), 128}},
       AddRoute{
           {.destination = cidr("0.0.0.0/0"), .ifindex = 800, .via = ip("169.254.1.1"), .onlink = true, .mtu = 1300}},
       AddRoute{{.destination = cidr("::/0"), .ifindex = 800, .via = ip("fe80::1"), .onlink = true}},
       AddNeighbor{{800, ip("fe80::1"), *net::MacAddress::parse("02:00:00:00:00:01")}}}));
  auto answer = at_b_->route_to(ip("203.0.113.9"));
  ASSERT_OK(answer);
  EXPECT_EQ(answer->ifindex, 800u);
  EXPECT_EQ(answer->via, ip("169.254.1.1"));
  EXPECT_EQ(answer->prefsrc, ip("10.1.0.7"));
  EXPECT_EQ(answer->mtu, 1300u);
  auto six = at_b_->route_to(ip("2001:db8:203::1"));
  ASSERT_OK(six);
  EXPECT_EQ(six->via, ip("fe80::1"));
  EXPECT_EQ(six->prefsrc, ip("2001:db8:1::7")) << "a tentative address would not be chosen";
  auto local = at_b_->route_to(ip("10.1.0.7"));
  ASSERT_OK(local);
  EXPECT_TRUE(local->local);
  auto neighbors = at_b_->neighbors();
  ASSERT_OK(neighbors);
  EXPECT_TRUE(
      std::ranges::count(*neighbors, Neighbor{800, ip("fe80::1"), *net::MacAddress::parse("02:00:00:00:00:01")}));
  auto routes = at_a_->routes();
  ASSERT_OK(routes);
  EXPECT_TRUE(std::ranges::any_of(*routes, [](const Route& r) {
    return r.destination == cidr("10.1.0.7/32") && r.ifindex == 700 && r.protocol == kRouteProtocol;
  }));
  auto addresses = at_b_->addresses();
  ASSERT_OK(addresses);
  EXPECT_TRUE(std::ranges::count(*addresses, Address{800, ip("10.1.0.7"), 32}));
}

TEST_F(NetlinkTest, AddingAgainAndRemovingTheMissingIsSuccess) {
  ASSERT_OK(at_a_->create_veth(pair()));
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(at_a_->apply({AddAddress{{700, ip("10.1.0.1"), 32}}, AddAddress{{700, ip("2001:db8:1::1"), 128}},
                            AddRoute{{.destination = cidr("10.1.0.7/32"), .ifindex = 700}},
                            AddRoute{{.destination = cidr("2001:db8:1::7/128"), .ifindex = 700}},
                            AddNeighbor{{700, ip("10.1.0.7"), {}}}}));
  }
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK(at_a_->apply({RemoveNeighbor{{700, ip("10.1.0.7"), {}}},
                            RemoveRoute{{.destination = cidr("10.1.0.7/32"), .ifindex = 700}},
                            RemoveRoute{{.destination = cidr("2001:db8:1::7/128"), .ifindex = 700}},
                            RemoveAddress{{700, ip("10.1.0.1"), 32}}, RemoveAddress{{700, ip("2001:db8:1::1"), 128}},
                            DeleteLink{"left"}}));
  }
  EXPECT_FALSE(at_a_->link("left"));
  EXPECT_FALSE(at_b_->link("right"));
}

TEST_F(NetlinkTest, TheFirstFailureIsNamedAndLaterChangesStillHappen) {
  ASSERT_OK(at_a_->create_veth(pair()));
  auto outcome = at_a_->apply(
      {AddRoute{{.destination = cidr("10.1.0.7/32"), .ifindex = 4711}}, AddAddress{{700, ip("10.1.0.1"), 32}}});
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("add route 10.1.0.7/32 dev 4711"), std::string::npos)
      << outcome.error().message;
  EXPECT_EQ(
      at_a_->addresses()->size() -
          std::ranges::count_if(*at_a_->addresses(),
                                [](const Address& a) { return a.address.is_loopback() || a.address.is_link_local(); }),
      1);
}

TEST_F(NetlinkTest, AThousandChangesInOneCall) {
  ASSERT_OK(at_a_->create_veth(pair()));
  std::vector<Change> changes;
  for (uint32_t i = 0; i < 1000; ++i)
    changes.push_back(AddRoute{{.destination = net::Prefix::host(net::IpAddress::v4(0x0a010000 + i)), .ifindex = 700}});
  ASSERT_OK(at_a_->apply(std::span<const Change>(changes)));
  EXPECT_GE(at_a_->routes()->size(), 1000u);
}

TEST_F(NetlinkTest, AGroupIsDeletedInOneRequest) {
  ASSERT_OK(at_a_->create_veth(pair()));
  CreateVeth second = pair();
  second.here.name = "left2", second.here.ifindex = 701, second.there.name = "right2", second.there.ifindex = 801;
  ASSERT_OK(at_a_->create_veth(second));
  ASSERT_OK(at_a_->apply({DeleteLinkGroup{9}}));
  EXPECT_EQ(at_b_->links()->size(), at_a_->links()->size());
  EXPECT_FALSE(at_a_->link("left2"));
  ASSERT_OK(at_a_->apply({DeleteLinkGroup{9}}));
}

TEST_F(NetlinkTest, LinksAreSet) {
  ASSERT_OK(at_a_->create_veth(pair()));
  ASSERT_OK(at_a_->apply(
      {SetLink{.link = 700u, .up = false, .mtu = 1300, .no_link_local = true, .ipv4_conf = {{8 /* rp_filter */, 0}}}}));
  auto link = at_a_->link(700u);
  ASSERT_OK(link);
  EXPECT_FALSE(link->up);
  EXPECT_EQ(link->mtu, 1300u);
  EXPECT_EQ(*read_sysctl(a_.get(), "net/ipv6/conf/left/addr_gen_mode"), "1");
}

TEST_F(NetlinkTest, VxlanTakesTunnelKeysFromPackets) {
  ASSERT_OK(at_a_->apply({CreateVxlan{.name = "vx0", .ifindex = 55, .mtu = 1450}}));
  auto link = at_a_->link("vx0");
  ASSERT_OK(link);
  EXPECT_EQ(link->kind, "vxlan");
  EXPECT_EQ(link->mtu, 1450u);
  EXPECT_TRUE(link->up);
}

TEST_F(NetlinkTest, SysctlsAreOfTheirNamespace) {
  Sysctl forward{.name = "net/ipv4/ip_forward", .value = "1"},
      absent{.name = "net/nothing/here", .value = "1", .optional = true};
  ASSERT_OK(write_sysctls(a_.get(), std::vector{forward, absent}));
  EXPECT_EQ(*read_sysctl(a_.get(), "net/ipv4/ip_forward"), "1");
  EXPECT_EQ(*read_sysctl(b_.get(), "net/ipv4/ip_forward"), "0");
  absent.optional = false;
  EXPECT_FALSE(write_sysctls(a_.get(), std::vector{absent}));
}

TEST_F(NetlinkTest, ANamespaceIsAFileAndTheThreadStaysAtHome) {
  std::string dir = testing::TempDir() + "/carrick-netns-XXXXXX";
  ASSERT_TRUE(mkdtemp(dir.data()));
  std::string path = dir + "/one";
  uint64_t home = *netns_id(own_netns()->get());
  auto made = create_netns(path);
  ASSERT_OK(made);
  EXPECT_EQ(*netns_id(own_netns()->get()), home);
  auto opened = open_netns(path);
  ASSERT_OK(opened);
  EXPECT_EQ(*netns_id(opened->get()), *netns_id(made->get()));
  EXPECT_NE(*netns_id(opened->get()), home);
  EXPECT_TRUE((*open_netlink(opened->get()))->link("lo")->up);
  auto twice = create_netns(path);
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().kind, ErrorKind::kAlreadyExists);
  ASSERT_OK(delete_netns(path));
  ASSERT_OK(delete_netns(path));
  auto gone = open_netns(path);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ErrorKind::kNotFound);
  std::filesystem::remove_all(dir);
}

}  // namespace
}  // namespace carrick::kernel
