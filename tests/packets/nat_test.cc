#include "tests/packets/packet_fixture.h"
#include "wire/flows.h"

namespace carrick::packets {
namespace {

using net::kAck;
using net::kSyn;

TEST_F(PacketTest, PodReachesTheWorldUnderTheNodesAddress) {
  for (const bool v4 : {true, false}) {
    const char* pod = v4 ? "10.1.1.10" : "2001:db8:1:1::a";
    const char* world = v4 ? "203.0.113.9" : "2001:db8:203::9";
    const char* own = v4 ? "192.0.2.11" : "2001:db8:2::11";
    const auto out = send("from_pod", from(kPodA).ip(pod, world).tcp(40000, 443).payload("hi"), kPodA);
    const uint16_t port = net::parse_frame(out.frame).value().source_port;
    EXPECT_GE(port, 61000);
    EXPECT_FRAME(out, kRedirect, from(kPodA).ttl(63).ip(own, world).tcp(port, 443).payload("hi"));
    EXPECT_FRAME(send("from_netdev", eth().ip(world, own).tcp(443, port, kSyn | kAck), kUplink, kUplink), kRedirect,
                 to_pod(kPodA).ip(world, pod).tcp(443, 40000, kSyn | kAck));
    EXPECT_EQ(net::parse_frame(send("from_pod", from(kPodA).ip(pod, world).tcp(40000, 443, kAck), kPodA).frame)
                  .value()
                  .source_port,
              port);
  }
}

TEST_F(PacketTest, EchoIdentifiersAreTranslated) {
  for (const bool v4 : {true, false}) {
    const char* pod = v4 ? "10.1.1.10" : "2001:db8:1:1::a";
    const char* world = v4 ? "203.0.113.9" : "2001:db8:203::9";
    const char* own = v4 ? "192.0.2.11" : "2001:db8:2::11";
    const auto out = send("from_pod", from(kPodA).ip(pod, world).echo(7, 3).payload("ping"), kPodA);
    const uint16_t id = net::parse_frame(out.frame).value().icmp_id;
    EXPECT_FRAME(out, kRedirect, from(kPodA).ttl(63).ip(own, world).echo(id, 3).payload("ping"));
    EXPECT_FRAME(send("from_netdev", eth().ip(world, own).echo(id, 3, true).payload("ping"), kUplink, kUplink),
                 kRedirect, to_pod(kPodA).ip(world, pod).echo(7, 3, true).payload("ping"));
  }
}

TEST_F(PacketTest, NodesArePeersWithoutMasquerade) {
  EXPECT_FRAME(send("from_pod", from(kPodA).ip("10.1.1.10", "192.0.2.12").tcp(40000, 6443), kPodA), kRedirect,
               from(kPodA).ttl(63).ip("10.1.1.10", "192.0.2.12").tcp(40000, 6443));
}

TEST_F(PacketTest, FragmentsAreMasqueraded) {
  const auto first =
      send("from_pod",
           from(kPodA).ip("10.1.1.10", "203.0.113.9").udp(4000, 53).fragment(9, 0, true).payload("12345678"), kPodA);
  EXPECT_EQ(net::parse_frame(first.frame).value().source.str(), "192.0.2.11");
  EXPECT_FRAME(
      send("from_pod", from(kPodA).ip("10.1.1.10", "203.0.113.9").udp(4000, 53).fragment(9, 16, false).payload("rest"),
           kPodA),
      kRedirect,
      from(kPodA).ttl(63).ip("192.0.2.11", "203.0.113.9").udp(4000, 53).fragment(9, 16, false).payload("rest"));
}

TEST_F(PacketTest, TwoPodsNeverShareATuple) {
  node.nat_first = 61000;
  node.nat_last = 61001;
  realize();
  const auto port = [&](uint32_t pod, const char* address) {
    return net::parse_frame(send("from_pod", from(pod).ip(address, "203.0.113.9").udp(4000, 53), pod).frame)
        .value()
        .source_port;
  };
  const uint16_t a = port(kPodA, "10.1.1.10"), b = port(kPodB, "10.1.1.11");
  EXPECT_NE(a, b);
  EXPECT_DROP(send("from_pod", from(kPodC).ip("10.1.1.12", "203.0.113.9").udp(4000, 53), kPodC), "nat_exhausted");
  // Another destination has ports of its own.
  EXPECT_EQ(send("from_pod", from(kPodC).ip("10.1.1.12", "203.0.113.10").udp(4000, 53), kPodC).verdict,
            Verdict::kRedirect);
  // And the port of a connection that is long silent is free again.
  age_flows(10000);
  EXPECT_EQ(send("from_pod", from(kPodC).ip("10.1.1.12", "203.0.113.9").udp(4000, 53), kPodC).verdict,
            Verdict::kRedirect);
}

TEST_F(PacketTest, WithoutAnAddressOfTheFamilyNothingIsMasqueraded) {
  node.addresses = {address("192.0.2.11")};
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:203::9").tcp(1, 2), kPodA),
              "no_node_address");
}

TEST_F(PacketTest, WithoutAnUplinkNothingLeaves) {
  node.uplink_ifindex = 0;
  realize();
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "203.0.113.9").tcp(1, 2), kPodA), "no_route");
}

TEST_F(PacketTest, PathMtuErrorReachesThePodBehindTheNodesAddress) {
  const auto out = send("from_pod", from(kPodA).ip("10.1.1.10", "203.0.113.9").tcp(40000, 443), kPodA);
  const uint16_t port = net::parse_frame(out.frame).value().source_port;
  // A router says: fragmentation needed, MTU 1400, about what the node had sent.
  const auto quoted = eth().ttl(63).ip("192.0.2.11", "203.0.113.9").tcp(port, 443).quoted(28);
  const auto got =
      send("from_netdev", eth().ip("192.0.2.1", "192.0.2.11").icmp(3, 4, 1400).payload(quoted), kUplink, kUplink);
  const auto view = net::parse_frame(got.frame).value();
  EXPECT_EQ(got.verdict, Verdict::kRedirect);
  EXPECT_TRUE(view.checksums_right) << view.str();
  EXPECT_EQ(view.source.str() + " " + view.destination.str(), "192.0.2.1 10.1.1.10");
  // As the pod had sent it; its TCP checksum is beyond the 28 bytes.
  EXPECT_EQ(view.payload, eth().ttl(63).ip("10.1.1.10", "203.0.113.9").tcp(40000, 443).quoted(28));
}

TEST_F(PacketTest, PacketTooBigReachesThePodInIpv6) {
  const auto out = send("from_pod", from(kPodA).ip("2001:db8:1:1::a", "2001:db8:203::9").tcp(40000, 443), kPodA);
  const uint16_t port = net::parse_frame(out.frame).value().source_port;
  const auto quoted = eth().ttl(63).ip("2001:db8:2::11", "2001:db8:203::9").tcp(port, 443).quoted(48);
  EXPECT_FRAME(send("from_netdev", eth().ip("2001:db8:2::1", "2001:db8:2::11").icmp(2, 0, 1400).payload(quoted),
                    kUplink, kUplink),
               kRedirect,
               to_pod(kPodA)
                   .ip("2001:db8:2::1", "2001:db8:1:1::a")
                   .icmp(2, 0, 1400)
                   .payload(eth().ttl(63).ip("2001:db8:1:1::a", "2001:db8:203::9").tcp(40000, 443).quoted(48)));
}

TEST_F(PacketTest, PortUnreachableOfABackendSpeaksForTheService) {
  frontend("10.96.0.10:53", net::Protocol::kUdp).backends = {backend("10.1.1.11:5353")};
  realize();
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").udp(4000, 53).payload("x"), kPodA);
  const auto seen = eth().ttl(63).ip("10.1.1.10", "10.1.1.11").udp(4000, 5353).payload("x").quoted(28);
  const auto got = send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").icmp(3, 3).payload(seen), kPodB);
  const auto view = net::parse_frame(got.frame).value();
  EXPECT_EQ(got.verdict, Verdict::kRedirect);
  EXPECT_TRUE(view.checksums_right) << view.str();
  EXPECT_EQ(view.source.str() + " " + view.destination.str(), "10.96.0.10 10.1.1.10");
  const auto said = net::parse_frame(std::string(12, '\0') + std::string("\x08\x00", 2) + std::string(view.payload));
  EXPECT_EQ(view.payload.substr(12, 8), std::string("\x0a\x01\x01\x0a\x0a\x60\x00\x0a", 8));  // addresses
  EXPECT_EQ(view.payload.substr(20, 4), std::string("\x0f\xa0\x00\x35", 4));                  // ports 4000, 53
}

TEST_F(PacketTest, IcmpErrorAboutNothingIsDropped) {
  const auto quoted = eth().ip("10.1.1.11", "10.1.1.10").tcp(1, 2).quoted(28);
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").icmp(3, 3).payload(quoted), kPodA),
              "icmp_unrelated");
  EXPECT_DROP(send("from_netdev", eth().ip("203.0.113.1", "10.1.1.10").icmp(3, 3).payload(quoted), kUplink, kUplink),
              "icmp_unrelated");
  const auto mine = eth()
                        .ip("203.0.113.1", "192.0.2.11")
                        .icmp(3, 3)
                        .payload(eth().ip("192.0.2.11", "203.0.113.1").tcp(1, 2).quoted(28));
  EXPECT_FRAME(send("from_netdev", mine, kUplink, kUplink), kPass, mine);
}

TEST_F(PacketTest, ErrorsPassAnIsolatedPodsPolicy) {
  isolate(kPodA, true, false);
  realize();
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.2.10").udp(4000, 9).payload("x"), kPodA);
  const auto quoted = eth().ttl(62).ip("10.1.1.10", "10.1.2.10").udp(4000, 9).payload("x").quoted(28);
  EXPECT_FRAME(send("from_netdev", eth().ip("10.1.2.10", "10.1.1.10").icmp(3, 3).payload(quoted), kUplink, kUplink),
               kRedirect, to_pod(kPodA).ip("10.1.2.10", "10.1.1.10").icmp(3, 3).payload(quoted));
}

}  // namespace
}  // namespace carrick::packets
