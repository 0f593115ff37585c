#include <map>
#include <set>
#include <thread>

#include "tests/packets/packet_fixture.h"

namespace carrick::packets {
namespace {

using desired::FrontendScope;
using net::kAck;
using net::kFin;
using net::kRst;
using net::kSyn;
using net::Protocol;

uint16_t source_port(const Outcome& outcome) { return net::parse_frame(outcome.frame).value().source_port; }
std::string destination(const Outcome& outcome) {
  const auto view = net::parse_frame(outcome.frame).value();
  return net::SocketAddress{view.destination, view.destination_port}.str();
}

TEST_F(PacketTest, ClusterIpIsTranslatedToBackendAndBack) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  frontend("[2001:db8:96::10]:80").backends = {backend("[2001:db8:1:1::b]:8080")};
  realize();
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80).payload("hi"), kPodA),
               kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").tcp(40000, 8080).payload("hi"));
  EXPECT_FRAME(send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(8080, 40000, kSyn | kAck), kPodB),
               kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kSyn | kAck));
  EXPECT_FRAME(
      send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::10").tcp(40000, 80).payload("six"), kPodA),
      kRedirect, to_pod(kPodB).ip("2001:db8:1:1::a", "2001:db8:1:1::b").tcp(40000, 8080).payload("six"));
  EXPECT_FRAME(
      send("from_pod", from(kPodB).ip("2001:db8:1:1::b", "2001:db8:1:1::a").tcp(8080, 40000, kSyn | kAck), kPodB),
      kRedirect, to_pod(kPodA).ip("2001:db8:96::10", "2001:db8:1:1::a").tcp(80, 40000, kSyn | kAck));
}

TEST_F(PacketTest, UdpServiceKeepsAnAbsentChecksumAbsent) {
  frontend("10.96.0.10:53", Protocol::kUdp).backends = {backend("10.1.1.11:5353")};
  realize();
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).payload("hi"), kPodA),
               kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").udp(4000, 5353).payload("hi"));
  EXPECT_FRAME(
      send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp_without_checksum(4001, 53).payload("hi"), kPodA),
      kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").udp_without_checksum(4001, 5353).payload("hi"));
}

TEST_F(PacketTest, SourceIsKeptTowardsABackendOnAnotherNode) {
  frontend("10.96.0.10:80").backends = {backend("10.1.2.10:8080", false)};
  realize();
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA), kRedirect,
               from(kPodA).ttl(63).ip("10.1.1.10", "10.1.2.10").tcp(40000, 8080));
  EXPECT_FRAME(send("from_netdev", eth().ip("10.1.2.10", "10.1.1.10").tcp(8080, 40000, kSyn | kAck), kUplink, kUplink),
               kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kSyn | kAck));
}

TEST_F(PacketTest, EndpointsAreSpreadEvenly) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080"), backend("10.1.1.12:8080"),
                                        backend("10.1.2.10:8080", false)};
  realize();
  std::map<std::string, int> hits;
  for (uint16_t port = 1000; port < 1600; ++port)
    ++hits[destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(port, 80), kPodA))];
  ASSERT_EQ(hits.size(), 3u);
  for (const auto& [where, count] : hits) EXPECT_NEAR(count, 200, 60) << where;
}

// What one node chose is what every other one chooses, with the same backends but others of them near.
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

TEST_F(PacketTest, NoBackendIsRefusedAtOnce) {
  frontend("10.96.0.10:80");
  frontend("10.96.0.10:53", Protocol::kUdp);
  frontend("[2001:db8:96::10]:80");
  frontend("[2001:db8:96::10]:53", Protocol::kUdp);
  realize();
  const auto back = [] { return eth().macs(host_mac(kPodA), pod_mac(kPodA)); };
  auto outcome =
      send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80, kSyn, 1000).payload("early"), kPodA);
  EXPECT_EQ(outcome.drop, "no_backend");
  // RFC 9293 3.10.7.1: SYN counts one, its data too.
  const auto refused = net::parse_frame(outcome.frame).value();
  EXPECT_EQ(outcome.verdict, Verdict::kRedirect);
  EXPECT_EQ(refused.tcp_flags, kRst | kAck);
  EXPECT_EQ(refused.acknowledged, 1006u);
  EXPECT_TRUE(refused.checksums_right) << refused.str();
  EXPECT_EQ(refused.source.str() + " " + refused.destination.str(), "10.96.0.10 10.1.1.10");
  EXPECT_EQ(refused.source_port, 80);
  EXPECT_EQ(refused.destination_mac, pod_mac(kPodA));
  const auto six = net::parse_frame(
      send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::10").tcp(40000, 80, kAck, 5, 77), kPodA).frame);
  ASSERT_TRUE(six);

  const auto question = from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).payload("who is it?");
  outcome = send("from_pod", question, kPodA);
  EXPECT_FRAME(outcome, kRedirect, back().ip("10.96.0.10", "10.1.1.10").icmp(3, 3).payload(question.quoted(28)));
  const auto question6 = from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::10").udp(4000, 53).payload("who is it?");
  EXPECT_FRAME(send("from_pod", question6, kPodA), kRedirect,
               back().ip("2001:db8:96::10", "2001:db8:1:1::a").icmp(1, 4).payload(question6.quoted(48)));
  EXPECT_EQ(rows("flows"), 0u);
}

TEST_F(PacketTest, LocalPolicyWithoutLocalEndpointDrops) {
  frontend("10.96.0.10:80").drop_when_empty = true;
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA), "no_local_backend");
}

TEST_F(PacketTest, PolicySeesTheBackendAndItsPort) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  isolate(kPodB, true, false);
  allow({kIdentityB, desired::Direction::kIngress, desired::PolicyPeerKind::kIdentity, kIdentityA, Protocol::kTcp, 80,
         16});
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA), "ingress_denied");
  allow({kIdentityB, desired::Direction::kIngress, desired::PolicyPeerKind::kIdentity, kIdentityA, Protocol::kTcp, 8080,
         16});
  realize();
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA).verdict,
            Verdict::kRedirect);
}

TEST_F(PacketTest, HairpinComesBackThroughTheService) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.10:8080")};
  isolate(kPodA, true, true);  // NP-12: itself it always reaches
  realize();
  const auto there = send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA);
  const uint16_t port = source_port(there);
  EXPECT_GE(port, 61000);
  EXPECT_FRAME(there, kRedirect, to_pod(kPodA).ip("192.0.2.11", "10.1.1.10").tcp(port, 8080));
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "192.0.2.11").tcp(8080, port, kSyn | kAck), kPodA),
               kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kSyn | kAck));
}

TEST_F(PacketTest, AffinityKeepsTheBackendUntilItGoesAway) {
  auto& row = frontend("10.96.0.10:80");
  row.backends = {backend("10.1.1.11:8080"), backend("10.1.1.12:8080"), backend("10.1.2.10:8080", false)};
  row.affinity_seconds = 10800;
  realize();
  const auto chosen = [&](uint16_t port) {
    return destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(port, 80), kPodA));
  };
  const std::string first = chosen(1000);
  for (uint16_t port = 1001; port < 1030; ++port) EXPECT_EQ(chosen(port), first);
  std::erase_if(row.backends, [&](const desired::Backend& each) { return each.address.str() + ":8080" == first; });
  realize();
  const std::string second = chosen(2000);
  EXPECT_NE(second, first);
  for (uint16_t port = 2001; port < 2030; ++port) EXPECT_EQ(chosen(port), second);
}

TEST_F(PacketTest, EstablishedTcpOutlivesItsEndpointUdpFollowsTheService) {
  auto& tcp = frontend("10.96.0.10:80");
  auto& udp = frontend("10.96.0.10:53", Protocol::kUdp);
  tcp.backends = {backend("10.1.1.11:8080")};
  udp.backends = {backend("10.1.1.11:5353")};
  realize();
  const auto question = from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53);
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA);
  send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(8080, 40000, kSyn | kAck), kPodB);
  EXPECT_EQ(destination(send("from_pod", question, kPodA)), "10.1.1.11:5353");
  tcp.backends = {backend("10.1.1.12:8080")};
  udp.backends = {backend("10.1.1.12:5353")};
  realize();
  EXPECT_EQ(destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80, kAck), kPodA)),
            "10.1.1.11:8080");
  EXPECT_EQ(destination(send("from_pod", question, kPodA)), "10.1.1.12:5353");
  udp.backends.clear();
  realize();
  EXPECT_EQ(send("from_pod", question, kPodA).drop, "no_backend");
}

TEST_F(PacketTest, ClosedConnectionsPortStartsAnew) {
  auto& row = frontend("10.96.0.10:80");
  row.backends = {backend("10.1.1.11:8080")};
  realize();
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA);
  send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(8080, 40000, kSyn | kAck), kPodB);
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80, kFin | kAck), kPodA);
  send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(8080, 40000, kFin | kAck), kPodB);
  row.backends = {backend("10.1.1.12:8080")};
  realize();
  EXPECT_EQ(destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80), kPodA)),
            "10.1.1.12:8080");
}

TEST_F(PacketTest, DnsOfTheClusterIsTheNodeItself) {
  frontend("10.96.0.10:53", Protocol::kUdp).backends = {backend("169.254.20.10:53")};
  realize();
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).payload("?"), kPodA), kPass,
               from(kPodA).ip("10.1.1.10", "169.254.20.10").udp(4000, 53).payload("?"));
  EXPECT_FRAME(send("to_pod", eth().ip("169.254.20.10", "10.1.1.10").udp(53, 4000).payload("!"), kPodA), kPass,
               eth().ip("10.96.0.10", "10.1.1.10").udp(53, 4000).payload("!"));
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

TEST_F(PacketTest, OtherPortsOfAClusterIpAreRefused) {  // SVC-D4
  for (const char* where : {"10.96.0.10", "2001:db8:96::10", "10.55.0.10"}) cluster_ip(where);
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  isolate(kPodA, false, true);  // asked before policy, as where a Service has no endpoint
  realize();
  const auto back = [] { return eth().macs(host_mac(kPodA), pod_mac(kPodA)); };
  for (const char* where : {"10.96.0.10", "10.55.0.10"}) {  // the second is in no range that the node knows
    const auto outcome = send("from_pod", from(kPodA).ip("10.1.1.10", where).tcp(40000, 81), kPodA);
    EXPECT_EQ(outcome.drop, "no_such_port");
    EXPECT_EQ(outcome.verdict, Verdict::kRedirect);
    EXPECT_EQ(net::parse_frame(outcome.frame).value().tcp_flags, kRst | kAck);
  }
  const auto question = from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::10").udp(4000, 53).payload("who is it?");
  EXPECT_FRAME(send("from_pod", question, kPodA), kRedirect,
               back().ip("2001:db8:96::10", "2001:db8:1:1::a").icmp(1, 4).payload(question.quoted(48)));
  const auto ping = from(kPodA).ip("10.1.1.10", "10.96.0.10").echo(7).payload("are you there?");
  EXPECT_FRAME(send("from_pod", ping, kPodA), kRedirect,
               back().ip("10.96.0.10", "10.1.1.10").icmp(3, 3).payload(ping.quoted(28)));
  EXPECT_EQ(rows("flows"), 0u);
}

TEST_F(PacketTest, UnallocatedServiceAddressesAreDropped) {  // SVC-D4
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.99").tcp(40000, 80), kPodA), "no_such_service");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::99").udp(4000, 53), kPodA),
              "no_such_service");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.99").echo(7), kPodA), "no_such_service");
}

TEST_F(PacketTest, NodeProcessesAreRefusedAndDroppedToo) {  // SVC-D4, of what the socket hooks left alone
  cluster_ip("10.96.0.10");
  realize();
  const auto ask = [] { return eth().ip("192.0.2.11", "10.96.0.10"); };
  const auto outcome = send("to_netdev", ask().tcp(40000, 81), kUplink);
  EXPECT_EQ(outcome.drop, "no_such_port");
  EXPECT_EQ(outcome.verdict, Verdict::kRedirect);
  const auto refused = net::parse_frame(outcome.frame).value();
  EXPECT_EQ(refused.tcp_flags, kRst | kAck);
  EXPECT_EQ(refused.destination.str(), "192.0.2.11");
  EXPECT_EQ(send("to_netdev", ask().echo(7), kUplink).drop, "no_such_port");
  EXPECT_DROP(send("to_netdev", eth().ip("192.0.2.11", "10.96.0.99").udp(4000, 53), kUplink), "no_such_service");
  const auto elsewhere = eth().ip("192.0.2.11", "203.0.113.9").udp(4000, 53);
  EXPECT_FRAME(send("to_netdev", elsewhere, kUplink), kPass, elsewhere);
}

TEST_F(PacketTest, IngressPolicyHoldsForNodePorts) {
  frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal).backends = {backend("10.1.1.11:8080")};
  isolate(kPodB, true, false);
  realize();
  EXPECT_DROP(send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080), kUplink, kUplink),
              "ingress_denied");
}

TEST_F(PacketTest, ServiceAddressThatTheSocketHooksMissedDoesNotLeaveTheNode) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  frontend("10.96.0.11:80");
  realize();
  EXPECT_DROP(send("to_netdev", eth().ip("192.0.2.11", "10.96.0.10").tcp(40000, 80), kUplink), "not_translated");
  const auto refused = send("to_netdev", eth().ip("192.0.2.11", "10.96.0.11").tcp(40000, 80), kUplink);
  EXPECT_EQ(refused.drop, "no_backend");
  EXPECT_EQ(refused.verdict, Verdict::kRedirect);  // back into the node's stack
}

TEST_F(PacketTest, SctpPortCannotBeRewrittenYet) {
  frontend("10.96.0.10:80", Protocol::kSctp).backends = {backend("10.1.1.11:8080")};
  frontend("10.96.0.10:81", Protocol::kSctp).backends = {backend("10.1.1.11:81")};
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(1, 80), kPodA), "sctp_port");
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(1, 81).payload("chunk"), kPodA),
               kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").sctp(1, 81).payload("chunk"));
}

TEST_F(PacketTest, FragmentsOfATranslatedDatagramGoToTheSameBackend) {
  frontend("10.96.0.10:53", Protocol::kUdp).backends = {backend("10.1.1.11:5353"), backend("10.1.1.12:5353")};
  realize();
  const auto first =
      send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).fragment(9, 0, true).payload("12345678"),
           kPodA);
  const auto view = net::parse_frame(first.frame).value();
  EXPECT_EQ(view.destination_port, 5353);
  const uint32_t pod = view.destination.str() == "10.1.1.11" ? kPodB : kPodC;
  EXPECT_FRAME(
      send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).fragment(9, 16, false).payload("rest"),
           kPodA),
      kRedirect,
      to_pod(pod).ip("10.1.1.10", view.destination.str()).udp(4000, 5353).fragment(9, 16, false).payload("rest"));
}

TEST_F(PacketTest, CostOfAService) {
  frontend("10.96.0.10:80", Protocol::kUdp).backends = {backend("10.1.1.11:8080")};
  realize();
  const auto packet = from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(40000, 80).payload("hi");
  send("from_pod", packet, kPodA);
  // TEST_RUN repeats on what the previous run left, so this is the price of a plain packet to the backend.
  std::printf("[          ] from_pod, service: %.0f ns a packet\n", nanoseconds("from_pod", packet, kPodA));
}

}  // namespace
}  // namespace carrick::packets
