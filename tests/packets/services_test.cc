#include "wire/services.h"

#include <map>
#include <set>

#include "tests/packets/packet_fixture.h"

namespace carrick::packets {
namespace {

using net::kAck;
using net::kFin;
using net::kRst;
using net::kSyn;
using net::Protocol;

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
TEST_F(PacketTest, HitsCountConnectionsNotPackets) {
  clear("hits");
  auto& row = frontend("10.96.0.1:80");
  row.service_id = 4711;
  row.backends = {backend("10.1.1.11:8080")};
  realize();
  for (uint16_t port : {40000, 40001, 40002})
    for (int repeated = 0; repeated < 2; ++repeated)
      send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.1").tcp(port, 80), kPodA);
  const auto all = programs().map("hits")->read_all().value();
  ASSERT_EQ(all.size(), 1u);
  hit_key key;
  uint64_t count;
  std::memcpy(&key, all[0].key.data(), sizeof key);
  std::memcpy(&count, all[0].value.data(), sizeof count);
  EXPECT_EQ(key.service_id, 4711u);
  EXPECT_EQ(count, 3u);
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

TEST_F(PacketTest, SVC_D15_AffinityEndsAfterItsTimeAndStartsAnewWithEachConnection) {  // SVC-D15
  auto& row = frontend("10.96.0.10:80");
  for (int i = 1; i < 40; ++i) row.backends.push_back(backend(fmt::format("10.1.2.{}:8080", i), false));
  row.affinity_seconds = 100;
  realize();
  uint16_t port = 1000;
  const auto chosen = [&] {
    return destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(++port, 80), kPodA));
  };
  const std::string first = chosen();
  age_affinity(90);
  EXPECT_EQ(chosen(), first) << "and the time starts anew";
  age_affinity(90);
  EXPECT_EQ(chosen(), first);
  std::set<std::string> later;
  for (int i = 0; i < 4; ++i) {
    age_affinity(102);
    later.insert(chosen());
  }
  EXPECT_GT(later.size(), 1u);
}

TEST_F(PacketTest, SVC_D15_AffinityIsSwitchedInFlight) {  // SVC-D15
  auto& row = frontend("10.96.0.10:80");
  for (int i = 1; i < 40; ++i) row.backends.push_back(backend(fmt::format("10.1.2.{}:8080", i), false));
  uint16_t port = 1000;
  const auto seen = [&](uint32_t seconds) {
    row.affinity_seconds = seconds;
    realize();
    std::set<std::string> out;
    for (int i = 0; i < 15; ++i)
      out.insert(destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(++port, 80), kPodA)));
    return out.size();
  };
  EXPECT_GT(seen(0), 3u);
  EXPECT_EQ(seen(10800), 1u);
  EXPECT_GT(seen(0), 3u);
  EXPECT_EQ(seen(10), 1u);
  // Clients and ports of a Service are apart.
  row.affinity_seconds = 10800;
  frontend("10.96.0.10:81") = row;
  frontend("10.96.0.10:81").service_id = 81;
  realize();
  std::set<std::string> out;
  for (const auto& [pod, address] :
       {std::pair(kPodA, "10.1.1.10"), std::pair(kPodB, "10.1.1.11"), std::pair(kPodC, "10.1.1.12")})
    for (uint16_t to : {80, 81})
      out.insert(destination(send("from_pod", from(pod).ip(address, "10.96.0.10").tcp(++port, to), pod)));
  EXPECT_GT(out.size(), 2u);
}

TEST_F(PacketTest, SVC_D16_UdpWhoseServiceHadNobodyIsNoBlackHole) {  // SVC-D16
  auto& row = frontend("10.96.0.10:53", Protocol::kUdp);
  auto& node_port = frontend("192.0.2.11:30053", Protocol::kUdp);
  realize();
  const auto ask = [&](const char* where, uint16_t port) {
    return send("from_pod", from(kPodA).ip("10.1.1.10", where).udp(4000, port).payload("?"), kPodA);
  };
  EXPECT_EQ(ask("10.96.0.10", 53).drop, "no_backend");
  EXPECT_EQ(ask("192.0.2.11", 30053).drop, "no_backend");
  row.backends = node_port.backends = {backend("10.1.1.11:5353")};
  realize();
  EXPECT_EQ(destination(ask("10.96.0.10", 53)), "10.1.1.11:5353") << "the same client port, at once";
  EXPECT_EQ(destination(ask("192.0.2.11", 30053)), "10.1.1.11:5353");
  // Another endpoint joins: who has one keeps it. It goes: the flow goes elsewhere with its next datagram.
  row.backends.push_back(backend("10.1.1.12:5353"));
  realize();
  EXPECT_EQ(destination(ask("10.96.0.10", 53)), "10.1.1.11:5353");
  row.backends.erase(row.backends.begin());
  realize();
  EXPECT_EQ(destination(ask("10.96.0.10", 53)), "10.1.1.12:5353");
  EXPECT_FRAME(send("from_pod", from(kPodC).ip("10.1.1.12", "10.1.1.10").udp(5353, 4000).payload("!"), kPodC),
               kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").udp(53, 4000).payload("!"));
  // A service that did not exist when the first datagram was sent.
  EXPECT_EQ(ask("10.96.0.20", 53).drop, "no_such_service");
  frontend("10.96.0.20:53", Protocol::kUdp).backends = {backend("10.1.1.11:5353")};
  realize();
  EXPECT_EQ(destination(ask("10.96.0.20", 53)), "10.1.1.11:5353");
}

TEST_F(PacketTest, SVC_D18_EstablishedTcpOutlivesItsEndpointUdpFollowsTheService) {
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

TEST_F(PacketTest, SVC_D17_NoPacketOfATranslatedConnectionLeaksUntranslated) {  // SVC-D17
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080"), backend("10.1.1.12:8080")};
  realize();
  const auto to_service = [&](uint8_t flags) {
    return send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80, flags), kPodA);
  };
  const std::string chosen = destination(to_service(kSyn));
  const uint32_t pod = chosen == "10.1.1.11:8080" ? kPodB : kPodC;
  const auto answer = [&](uint8_t flags, uint32_t sequence) {
    const char* own = pod == kPodB ? "10.1.1.11" : "10.1.1.12";
    return send("from_pod", from(pod).ip(own, "10.1.1.10").tcp(8080, 40000, flags, sequence), pod);
  };
  answer(kSyn | kAck, 1000);
  // Far out of the window: the client's stack will say so to the service, not to a stranger.
  EXPECT_FRAME(answer(kAck, 0x80000000), kRedirect,
               to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kAck, 0x80000000));
  clear("flows");
  EXPECT_DROP(answer(kSyn | kAck, 1000), "not_opened");
  EXPECT_DROP(answer(kRst, 1000), "not_opened");
  EXPECT_DROP(answer(kRst | kAck, 1000), "not_opened");
  // In the middle of the stream the client's next packet finds the same backend, and the answers their way back.
  EXPECT_EQ(destination(to_service(kAck)), chosen);
  EXPECT_FRAME(answer(kAck, 2000), kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kAck, 2000));
  // The same from another node, and towards the world.
  EXPECT_DROP(send("from_netdev", eth().ip("10.1.2.10", "10.1.1.10").tcp(8080, 40000, kSyn | kAck), kUplink, kUplink),
              "not_opened");
  EXPECT_DROP(send("from_pod", from(kPodB).ip("10.1.1.11", "203.0.113.9").tcp(8080, 40000, kRst), kPodB), "not_opened");
  EXPECT_EQ(
      send("from_netdev", eth().ip("203.0.113.9", "192.0.2.11").tcp(443, 40000, kSyn | kAck), kUplink, kUplink).verdict,
      Verdict::kPass)
      << "the node's own connections are its own affair";
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

TEST_F(PacketTest, ServiceAddressThatTheSocketHooksMissedDoesNotLeaveTheNode) {
  frontend("10.96.0.10:80").backends = {backend("10.1.1.11:8080")};
  frontend("10.96.0.11:80");
  realize();
  EXPECT_DROP(send("to_netdev", eth().ip("192.0.2.11", "10.96.0.10").tcp(40000, 80), kUplink), "not_translated");
  const auto refused = send("to_netdev", eth().ip("192.0.2.11", "10.96.0.11").tcp(40000, 80), kUplink);
  EXPECT_EQ(refused.drop, "no_backend");
  EXPECT_EQ(refused.verdict, Verdict::kRedirect);  // back into the node's stack
}

// Whole frames are compared, so the CRC-32c of each is right.
TEST_F(PacketTest, SVC_D19_SctpIsTranslatedThereAndBack) {  // SVC-D19
  frontend("10.96.0.10:80", Protocol::kSctp).backends = {backend("10.1.1.11:8080")};
  frontend("10.96.0.10:81", Protocol::kSctp).backends = {backend("10.1.1.11:81")};
  frontend("[2001:db8:96::10]:80", Protocol::kSctp).backends = {backend("[2001:db8:1:1::b]:38412")};
  realize();
  uint16_t port = 1000;
  for (size_t size : {4, 16, 17, 200, 1400}) {  // short ones are padded by Ethernet
    const std::string chunk(size, 'c');
    std::string frame = from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(++port, 80).payload(chunk).bytes();
    if (frame.size() < 60) frame.resize(60);
    std::string wanted = to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").sctp(port, 8080).payload(chunk).bytes();
    wanted.resize(frame.size());
    EXPECT_EQ(send("from_pod", frame, kPodA).frame, wanted) << size;
    EXPECT_FRAME(send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").sctp(8080, port).payload(chunk), kPodB),
                 kRedirect, to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").sctp(80, port).payload(chunk));
    EXPECT_FRAME(
        send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:96::10").sctp(port, 80).payload(chunk), kPodA),
        kRedirect, to_pod(kPodB).ip("2001:db8:1:1::a", "2001:db8:1:1::b").sctp(port, 38412).payload(chunk));
  }
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(1, 81).payload("chunk"), kPodA),
               kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").sctp(1, 81).payload("chunk"));
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(7, 80).fragment(9, 0, true), kPodA),
              "sctp_port");
}

TEST_F(PacketTest, SctpWhoseChecksumIsLeftToADeviceStaysSo) {
  frontend("10.96.0.10:80", Protocol::kSctp).backends = {backend("10.1.1.11:8080")};
  realize();
  std::string frame = from(kPodA).ip("10.1.1.10", "10.96.0.10").sctp(1, 80).payload("chunk").bytes();
  frame.replace(14 + 20 + 8, 4, 4, '\0');
  std::string wanted = to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").sctp(1, 8080).payload("chunk").bytes();
  wanted.replace(14 + 20 + 8, 4, 4, '\0');
  EXPECT_EQ(send("from_pod", frame, kPodA).frame, wanted);
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
