#include "dns/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include "dns/dns.h"
#include "dns/static_resolver.h"
#include "dns/zone/zone_rows.h"

namespace carrick::dns {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }

class ClientTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(outside_.start());
    server_ =
        std::make_unique<DnsServer>(DnsOptions{.listen = {{ip("127.0.0.1"), 0}}, .upstreams = outside_.listening()});
    server_->inbox().put(std::make_shared<desired::NameTable>(test::cluster_table()));
    ASSERT_TRUE(server_->start());
  }
  net::SocketAddress at() const { return server_->listening()[0]; }

  StaticResolver outside_{
      {.listen = {{ip("127.0.0.1"), 0}}, .names = outside_names({ip("203.0.113.10"), ip("2001:db8:203::10")})}};
  std::unique_ptr<DnsServer> server_;
};

TEST_F(ClientTest, PendingQuestionInALoop) {
  auto pending = PendingQuestion::start({.server = at(), .name = "web.default.svc.cluster.local"});
  ASSERT_TRUE(pending);
  pollfd entry{pending->fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&entry, 1, 5000), 1);
  auto reply = pending->readable();
  ASSERT_TRUE(reply && *reply);
  EXPECT_THAT((*reply)->addresses(), ElementsAre(ip("10.96.0.7")));
}

TEST_F(ClientTest, Errors) {
  EXPECT_EQ(query({.server = at(), .name = "a..b"}).error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(query({.server = at(), .name = "a", .type = "WHAT"}).error().kind, ErrorKind::kInvalid);
  for (Via via : {Via::kUdp, Via::kTcp}) {
    auto begin = std::chrono::steady_clock::now();
    auto reply = query({.server = at(), .name = "none.example.com", .via = via, .timeout = 100ms});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::kTransient);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms);
  }
  net::SocketAddress nobody{ip("127.0.0.1"), 1};
  EXPECT_EQ(query({.server = nobody, .name = "a"}).error().kind, ErrorKind::kTransient);
  EXPECT_EQ(query({.server = nobody, .name = "a", .via = Via::kTcp}).error().kind, ErrorKind::kTransient);
}

TEST(Lookup, NeedsANameserver) { EXPECT_EQ(lookup(ResolvConf{}, "web").error().kind, ErrorKind::kInvalid); }

TEST(Outside, Names) {
  auto names = outside_names({ip("203.0.113.10"), ip("2001:db8:203::10")});
  EXPECT_EQ(names.at("example.com").addresses.size(), 2u);
  EXPECT_THAT(names.at("v4.outside.test").addresses, ElementsAre(ip("203.0.113.10")));
  EXPECT_THAT(names.at("v6.outside.test").addresses, ElementsAre(ip("2001:db8:203::10")));
}

}  // namespace
}  // namespace carrick::dns
