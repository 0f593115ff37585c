#include <set>

#include "tests/packets/packet_fixture.h"

// Services as clients outside the cluster meet them, at the uplink.
namespace carrick::packets {
namespace {

using desired::FrontendScope;
using net::kAck;
using net::kRst;
using net::kSyn;
using net::Protocol;

TEST_F(PacketTest, EveryNodeMakesTheSameChoice) {
  auto& row = frontend("198.51.100.1:80", Protocol::kTcp, FrontendScope::kExternal);
  row.consistent = true;
  const auto chosen = [&](bool first_is_local) {
    row.backends.clear();
    for (int i = 2; i < 8; ++i)
      row.backends.push_back(backend(fmt::format("10.1.2.{}:8080", 10 * i), first_is_local && i == 2));
    clear("flows");
    realize();
    std::vector<std::string> out;
    for (uint16_t port = 1000; port < 1200; ++port)
      out.push_back(
          destination(send("from_netdev", eth().ip("203.0.113.9", "198.51.100.1").tcp(port, 80), kUplink, kUplink)));
    return out;
  };
  const auto here = chosen(true);
  EXPECT_EQ(rows("choices"), 37u);
  EXPECT_EQ(chosen(false), here);
  EXPECT_EQ(std::set<std::string>(here.begin(), here.end()).size(), 6u);
  // One backend goes: the others' connections stay where they were, but for a few.
  row.backends.pop_back();
  clear("flows");
  realize();
  int moved = 0, its_own = 0;
  for (uint16_t port = 1000; port < 1200; ++port) {
    const auto now =
        destination(send("from_netdev", eth().ip("203.0.113.9", "198.51.100.1").tcp(port, 80), kUplink, kUplink));
    its_own += here[port - 1000u] == "10.1.2.70:8080";
    moved += now != here[port - 1000u];
  }
  EXPECT_GE(moved, its_own);
  EXPECT_LE(moved, its_own + 8) << "2 % of 200, with room for chance";
  row.backends.resize(1);
  realize();
  EXPECT_EQ(rows("choices"), 0u);
}

TEST_F(PacketTest, NodePortToALocalBackendKeepsTheClient) {
  auto& row = frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
  row.backends = {backend("10.1.1.11:8080")};
  row.snat = true;
  realize();
  EXPECT_FRAME(send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink),
               kRedirect, to_pod(kPodB).ip("203.0.113.9", "10.1.1.11").tcp(40000, 8080));
  EXPECT_FRAME(send("from_pod", from(kPodB).ip("10.1.1.11", "203.0.113.9").tcp(8080, 40000, kSyn | kAck), kPodB),
               kRedirect, from(kPodB).ttl(63).ip("192.0.2.11", "203.0.113.9").tcp(30080, 40000, kSyn | kAck));
}

TEST_F(PacketTest, NodePortToARemoteBackendTakesTheNodesAddress) {
  auto& row = frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
  row.backends = {backend("10.1.2.10:8080", false)};
  row.snat = true;
  realize();
  const auto there = send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink);
  const uint16_t port = source_port(there);
  EXPECT_FRAME(there, kRedirect, eth().ttl(63).ip("192.0.2.11", "10.1.2.10").tcp(port, 8080));
  EXPECT_FRAME(send("from_netdev", eth().ip("10.1.2.10", "192.0.2.11").tcp(8080, port, kSyn | kAck), kUplink, kUplink),
               kRedirect, eth().ttl(63).ip("192.0.2.11", "203.0.113.9").tcp(30080, 40000, kSyn | kAck));
}

TEST_F(PacketTest, DirectServerReturnHandsTheConnectionOn) {
  use_vxlan();
  node.dsr = node.native_routing = true;
  auto& row = frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
  row.backends = {backend("10.1.2.10:8080", false)};
  realize();
  const auto packet = [] { return eth().ip("203.0.113.9", "192.0.2.11"); };
  // Untranslated; only the hop count changes.
  EXPECT_FRAME(send("from_netdev", packet().tcp(40000, 30080), kUplink, kUplink), kRedirect,
               packet().ttl(63).tcp(40000, 30080));
  EXPECT_EQ(rows("flows"), 1u) << "the answers come by another way";
  EXPECT_FRAME(send("from_netdev", packet().tcp(40000, 30080, kAck), kUplink, kUplink), kRedirect,
               packet().ttl(63).tcp(40000, 30080, kAck));
  // Answered once, it stays with its node; not answered, it is chosen again.
  row.backends.clear();
  realize();
  EXPECT_FRAME(send("from_netdev", packet().tcp(40000, 30080, kAck), kUplink, kUplink), kRedirect,
               packet().ttl(63).tcp(40000, 30080, kAck));
  EXPECT_EQ(send("from_netdev", packet().tcp(40001, 30080), kUplink, kUplink).drop, "no_backend");
  // A backend outside of the cluster knows nothing of this: it sees the node.
  row.backends = {backend("203.0.113.77:8080", false)};
  realize();
  EXPECT_EQ(
      net::parse_frame(send("from_netdev", packet().tcp(40002, 30080), kUplink, kUplink).frame).value().source.str(),
      "192.0.2.11");
}

TEST_F(PacketTest, NodePortToAProcessOfTheNode) {
  frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal).backends = {backend("192.0.2.11:8080")};
  realize();
  EXPECT_FRAME(send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink), kPass,
               eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 8080));
  EXPECT_FRAME(send("to_netdev", eth().ip("192.0.2.11", "203.0.113.9").tcp(8080, 40000, kSyn | kAck), kUplink), kPass,
               eth().ip("192.0.2.11", "203.0.113.9").tcp(30080, 40000, kSyn | kAck));
}

TEST_F(PacketTest, NodePortWithoutEndpointIsRefusedAtTheUplink) {
  frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
  realize();
  const auto outcome = send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink);
  EXPECT_EQ(outcome.verdict, Verdict::kRedirect);
  EXPECT_EQ(outcome.drop, "no_backend");
  const auto refused = net::parse_frame(outcome.frame).value();
  EXPECT_EQ(refused.tcp_flags, kRst | kAck);
  EXPECT_EQ(refused.destination.str(), "203.0.113.9");
}

TEST_F(PacketTest, ClusterIpIsNotServedFromOutside) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  cluster_ip("10.96.0.10");
  realize();
  const auto outcome = send("from_netdev", eth().ip("203.0.113.9", "10.96.0.10").tcp(40000, 80), kUplink, kUplink);
  EXPECT_EQ(outcome.drop, "no_such_port");
  EXPECT_EQ(outcome.verdict, Verdict::kRedirect);
  EXPECT_EQ(net::parse_frame(outcome.frame).value().tcp_flags, kRst | kAck);
}

TEST_F(PacketTest, SourceRangesOfALoadBalancer) {  // SVC-D13
  for (auto scope : {FrontendScope::kInternal, FrontendScope::kExternal}) {
    auto& row = frontend("198.51.100.1:80", Protocol::kTcp, scope);
    row.backends = {backend("10.1.1.11:8080")};
    row.source_ranges = {prefix("203.0.113.0/25"), prefix("10.1.1.10/32")};
  }
  auto& six = frontend("[2001:db8:51::1]:80", Protocol::kTcp, FrontendScope::kExternal);
  six.backends = {backend("[2001:db8:1:1::b]:8080")};
  six.source_ranges = {prefix("2001:db8:203::/64"), prefix("::/8")};
  realize();
  EXPECT_EQ(rows("sources"), 4u) << "one list for both scopes";
  const auto outside = [&](const char* client, const char* where) {
    return send("from_netdev", eth().ip(client, where).tcp(40000, 80), kUplink, kUplink);
  };
  EXPECT_EQ(outside("203.0.113.9", "198.51.100.1").verdict, Verdict::kRedirect);
  EXPECT_DROP(outside("203.0.113.129", "198.51.100.1"), "source_range");
  EXPECT_EQ(outside("2001:db8:203::9", "2001:db8:51::1").verdict, Verdict::kRedirect);
  EXPECT_DROP(outside("2001:db8:204::9", "2001:db8:51::1"), "source_range");
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "198.51.100.1").tcp(40000, 80), kPodA).verdict,
            Verdict::kRedirect);
  EXPECT_DROP(send("from_pod", from(kPodC).ip("10.1.1.12", "198.51.100.1").tcp(40000, 80), kPodC), "source_range");
  EXPECT_DROP(send("to_netdev", eth().ip("192.0.2.11", "198.51.100.1").tcp(40000, 80), kUplink), "source_range");
  // Who is in goes on when the list changes: it is asked where a connection is new.
  send("from_pod", from(kPodB).ip("10.1.1.11", "203.0.113.9").tcp(8080, 40000, kSyn | kAck), kPodB);
  tables.frontends[{address("198.51.100.1"), 80, Protocol::kTcp, FrontendScope::kExternal}].source_ranges = {
      prefix("203.0.113.128/25")};
  realize();
  EXPECT_EQ(send("from_netdev", eth().ip("203.0.113.9", "198.51.100.1").tcp(40000, 80, kAck), kUplink, kUplink).verdict,
            Verdict::kRedirect);
  EXPECT_DROP(send("from_netdev", eth().ip("203.0.113.9", "198.51.100.1").tcp(40001, 80), kUplink, kUplink),
              "source_range");
}

TEST_F(PacketTest, IngressPolicyHoldsForNodePorts) {
  frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal).backends = {backend("10.1.1.11:8080")};
  isolate(kPodB, true, false);
  realize();
  EXPECT_DROP(send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink),
              "ingress_denied");
}

TEST_F(PacketTest, SctpNodePortsAndMasquerading) {
  auto& row = frontend("192.0.2.11:30080", Protocol::kSctp, FrontendScope::kExternal);
  row.backends = {backend("10.1.2.10:38412", false)};
  row.snat = true;
  realize();
  const auto there =
      send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").sctp(40000, 30080).payload("INIT"), kUplink, kUplink);
  const uint16_t port = source_port(there);
  EXPECT_GE(port, 61000);
  EXPECT_FRAME(there, kRedirect, eth().ttl(63).ip("192.0.2.11", "10.1.2.10").sctp(port, 38412).payload("INIT"));
  EXPECT_FRAME(
      send("from_netdev", eth().ip("10.1.2.10", "192.0.2.11").sctp(38412, port).payload("ACK"), kUplink, kUplink),
      kRedirect, eth().ttl(63).ip("192.0.2.11", "203.0.113.9").sctp(30080, 40000).payload("ACK"));
  const auto out = send("from_pod", from(kPodA).ip("10.1.1.10", "203.0.113.9").sctp(5, 38412).payload("INIT"), kPodA);
  EXPECT_FRAME(out, kRedirect,
               from(kPodA).ttl(63).ip("192.0.2.11", "203.0.113.9").sctp(source_port(out), 38412).payload("INIT"));
}

}  // namespace
}  // namespace carrick::packets
