#include <map>
#include <set>

#include "tests/packets/packet_fixture.h"

// Tables of the data plane that are full: what is there stays right, what does not fit is counted.
namespace carrick::packets {
namespace {

using desired::FrontendScope;
using net::kAck;
using net::kRst;
using net::kSyn;
using net::Protocol;

class FullNat : public PacketTest {
 protected:
  void SetUp() override {
    PacketTest::SetUp();
    node.nat_first = 61000;
    node.nat_last = 61007;
    auto& row = frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
    row.backends = {backend("10.1.2.10:8080", false)};
    row.snat = true;
    realize();
  }
  Outcome connect(uint16_t port) {
    return send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(port, 30080), kUplink, kUplink);
  }
  Outcome answer(uint16_t nat_port) {
    return send("from_netdev", eth().ip("10.1.2.10", "192.0.2.11").tcp(8080, nat_port, kSyn | kAck), kUplink, kUplink);
  }
};

// Issue 4, 3: NAT port exhaustion is counted, reported and never reuses a live tuple.
TEST_F(FullNat, NoLiveTupleIsGivenTwice) {
  std::map<uint16_t, uint16_t> client_of;  // by NAT port
  size_t refused = 0;
  for (uint16_t port = 40000; port < 40200; ++port) {
    const auto there = connect(port);
    if (there.verdict == Verdict::kRedirect)
      EXPECT_TRUE(client_of.emplace(source_port(there), port).second) << "port " << source_port(there) << " twice";
    else
      EXPECT_EQ((++refused, there.drop), "nat_exhausted");
  }
  EXPECT_EQ(client_of.size(), 8u) << "every port is used";
  EXPECT_EQ(refused, 192u) << "and each connection that found none is counted";
  for (const auto& [nat_port, client] : client_of)
    EXPECT_FRAME(answer(nat_port), kRedirect,
                 eth().ttl(63).ip("192.0.2.11", "203.0.113.9").tcp(30080, client, kSyn | kAck));
  // Those that go on are not disturbed by those that cannot begin.
  const auto& [nat_port, client] = *client_of.begin();
  EXPECT_FRAME(send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(client, 30080, kAck), kUplink, kUplink),
               kRedirect, eth().ttl(63).ip("192.0.2.11", "10.1.2.10").tcp(nat_port, 8080, kAck));
}

TEST_F(FullNat, APortIsFreeWhenItsConnectionIsOver) {
  std::map<uint16_t, uint16_t> client_of;
  for (uint16_t port = 40000; client_of.size() < 8 && port < 41000; ++port)
    if (const auto there = connect(port); there.verdict == Verdict::kRedirect)
      client_of.emplace(source_port(there), port);
  ASSERT_EQ(client_of.size(), 8u);
  const auto [nat_port, client] = *client_of.begin();
  answer(nat_port);
  send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(client, 30080, kRst), kUplink, kUplink);
  EXPECT_DROP(connect(50000), "nat_exhausted");
  age_flows(20);  // longer than a reset connection is kept, shorter than one that is opening
  const auto next = connect(50001);
  EXPECT_EQ(next.verdict, Verdict::kRedirect);
  EXPECT_EQ(source_port(next), nat_port) << "the one that is free";
  EXPECT_DROP(connect(50002), "nat_exhausted");
}

// LRU: a client more forgets one that was long not heard of. No connection fails for it.
TEST_F(PacketTest, SVC_D15_AFullAffinityTableForgetsTheOldestClients) {
  auto& row = frontend("10.96.0.10:80", Protocol::kTcp, FrontendScope::kExternal);
  for (int i = 1; i < 20; ++i) row.backends.push_back(backend(fmt::format("10.1.2.{}:8080", i), false));
  row.affinity_seconds = 10800;
  row.snat = true;
  realize();
  const auto chosen = [&](int client, uint16_t port) {
    return destination(send(
        "from_netdev", eth().ip(fmt::format("203.0.{}.{}", client / 250, 1 + client % 250), "10.96.0.10").tcp(port, 80),
        kUplink, kUplink));
  };
  constexpr int kClients = 20'000;  // the table is made for 16,384
  for (int client = 0; client < kClients; ++client) {
    ASSERT_TRUE(chosen(client, 1000).ends_with(":8080")) << "client " << client;
    if (client % 1000 == 999) clear("flows");
  }
  EXPECT_LE(rows("affinity"), 16'384u);
  for (int client = kClients - 100; client < kClients; ++client) {
    const std::string kept = chosen(client, 2000);
    for (uint16_t port = 2001; port < 2006; ++port) ASSERT_EQ(chosen(client, port), kept) << "client " << client;
  }
}

}  // namespace
}  // namespace carrick::packets
