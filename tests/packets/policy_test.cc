#include "tests/packets/packet_fixture.h"

namespace carrick::packets {
namespace {

using desired::Direction;
using desired::PolicyPeerKind;
using net::kAck;
using net::kSyn;
using net::Protocol;

const auto kPortTcp80 = [](uint32_t subject, PolicyPeerKind kind, uint32_t peer,
                           Direction direction = Direction::kIngress) {
  return desired::PolicyKey{subject, direction, kind, peer, Protocol::kTcp, 80, 16};
};

TEST_F(PacketTest, IsolatedPodAcceptsOnlyWhatARuleNames) {
  isolate(kPodB, true, false);
  allow(kPortTcp80(kIdentityB, PolicyPeerKind::kIdentity, kIdentityA));
  realize();
  const auto try_port = [&](uint16_t port) {
    return send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, port), kPodA);
  };
  EXPECT_EQ(try_port(80).verdict, Verdict::kRedirect);
  EXPECT_DROP(try_port(81), "ingress_denied");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").udp(40000, 80), kPodA), "ingress_denied");
  EXPECT_DROP(send("from_pod", from(kPodC).ip("10.1.1.12", "10.1.1.11").tcp(40000, 80), kPodC), "ingress_denied");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").echo(1), kPodA), "ingress_denied");
  EXPECT_DROP(send("from_netdev", eth().ip("203.0.113.9", "10.1.1.11").tcp(40000, 80), kUplink, kUplink),
              "ingress_denied");
  // NP-9: what the isolated pod starts itself is answered.
  EXPECT_EQ(send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.12").tcp(5, 6), kPodB).verdict, Verdict::kRedirect);
  EXPECT_EQ(send("from_pod", from(kPodC).ip("10.1.1.12", "10.1.1.11").tcp(6, 5, kSyn | kAck), kPodC).verdict,
            Verdict::kRedirect);
  // But not by a connection of the other's own on that tuple.
  EXPECT_DROP(send("from_pod", from(kPodC).ip("10.1.1.12", "10.1.1.11").tcp(6, 5, kSyn), kPodC), "ingress_denied");
}

// The row of 0.0.0.0/0 is also the guard that is always there: what was narrower leaves nothing behind.
TEST_F(PacketTest, ABlockOfEverythingAfterANarrowOne) {
  const auto asked = [&](uint16_t port) {
    return send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(port, 80), kPodA);
  };
  const auto allow_class = [&](uint32_t cidr_class) {
    allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kCidrClass, cidr_class, Protocol::kAny, 0, 0});
  };
  for (uint16_t round = 0; round < 3; ++round) {
    isolate(kPodB, true, false);
    tables.policy.cidrs = {{prefix("0.0.0.0/31"), 1}};
    allow_class(1);
    realize();
    EXPECT_DROP(asked(static_cast<uint16_t>(40000 + round)), "ingress_denied");
    isolate(kPodB, false, false);
    tables.policy = {};
    realize();
    EXPECT_EQ(asked(static_cast<uint16_t>(41000 + round)).verdict, Verdict::kRedirect);
    isolate(kPodB, true, false);
    tables.policy.cidrs = {{prefix("0.0.0.0/0"), 2}};
    allow_class(2);
    realize();
    EXPECT_EQ(asked(static_cast<uint16_t>(42000 + round)).verdict, Verdict::kRedirect);
    tables.policy = {};
    realize();
    EXPECT_DROP(asked(static_cast<uint16_t>(43000 + round)), "ingress_denied");
  }
}

TEST_F(PacketTest, EgressIsJudgedAtTheSender) {
  isolate(kPodA, false, true);
  allow(kPortTcp80(kIdentityA, PolicyPeerKind::kIdentity, kIdentityRemote, Direction::kEgress));
  allow({kIdentityA, Direction::kEgress, PolicyPeerKind::kIdentity, desired::kNodeDnsIdentity, Protocol::kUdp, 53, 16});
  realize();
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.2.10").tcp(40000, 80), kPodA).verdict,
            Verdict::kRedirect);
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.2.10").tcp(40000, 81), kPodA), "egress_denied");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, 80), kPodA), "egress_denied");
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "203.0.113.9").tcp(40000, 80), kPodA), "egress_denied");
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "169.254.20.10").udp(40000, 53), kPodA).verdict,
            Verdict::kPass);
  EXPECT_DROP(send("from_pod", from(kPodA).ip("10.1.1.10", "169.254.20.10").tcp(40000, 53), kPodA), "egress_denied");
}

TEST_F(PacketTest, PortBlocksAndProtocols) {
  isolate(kPodB, true, false);
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kIdentity, kIdentityA, Protocol::kTcp, 0x1f40,
         13});  // 8000-8007
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kIdentity, kIdentityC, Protocol::kAny, 0, 0});
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kAny, 0, Protocol::kUdp, 0, 0});
  realize();
  const auto reaches = [&](uint32_t pod, const net::Frame& frame) {
    return send("from_pod", frame, pod).verdict == Verdict::kRedirect;
  };
  EXPECT_FALSE(reaches(kPodA, from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(1, 7999)));
  EXPECT_TRUE(reaches(kPodA, from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(1, 8000)));
  EXPECT_TRUE(reaches(kPodA, from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(1, 8007)));
  EXPECT_FALSE(reaches(kPodA, from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(1, 8008)));
  EXPECT_TRUE(reaches(kPodA, from(kPodA).ip("10.1.1.10", "10.1.1.11").udp(1, 8008)));
  EXPECT_TRUE(reaches(kPodC, from(kPodC).ip("10.1.1.12", "10.1.1.11").tcp(1, 8008)));
  EXPECT_TRUE(reaches(kPodC, from(kPodC).ip("10.1.1.12", "10.1.1.11").echo(9)));
  EXPECT_TRUE(reaches(kPodC, from(kPodC).ip("2001:db8:1:1::c", "2001:db8:1:1::b").sctp(1, 2)));
}

TEST_F(PacketTest, IpBlocksByTheMostSpecificPrefix) {
  isolate(kPodB, true, false);
  // 203.0.113.0/24 except 203.0.113.128/25, and ::/0 which must not speak for IPv4.
  tables.policy.cidrs = {{prefix("203.0.113.0/24"), 5}, {prefix("203.0.113.128/25"), 0}, {prefix("::/0"), 6}};
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kCidrClass, 5, Protocol::kTcp, 80, 16});
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kCidrClass, 6, Protocol::kTcp, 80, 16});
  realize();
  const auto from_outside = [&](const char* source, const char* pod = "10.1.1.11") {
    return send("from_netdev", eth().ip(source, pod).tcp(40000, 80), kUplink, kUplink);
  };
  EXPECT_EQ(from_outside("203.0.113.9").verdict, Verdict::kRedirect);
  EXPECT_DROP(from_outside("203.0.113.129"), "ingress_denied");
  EXPECT_DROP(from_outside("198.51.100.1"), "ingress_denied");
  EXPECT_EQ(from_outside("2001:db8:203::5", "2001:db8:1:1::b").verdict, Verdict::kRedirect);
  // NP-7: an ipBlock matches pods too.
  tables.policy.cidrs[prefix("10.1.1.10/32")] = 5;
  realize();
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(7, 80), kPodA).verdict, Verdict::kRedirect);
}

TEST_F(PacketTest, CNP_3_TiersAreAskedInOrder) {
  using desired::PolicyAction;
  const auto rule = [](uint32_t order, PolicyAction action) {
    return desired::TierRule{
        order, action, {.kind = "ClusterNetworkPolicy", .namespace_ = {}, .name = "c", .clause = "spec.ingress[0]"}};
  };
  const auto row = [&](PolicyPeerKind kind, uint32_t peer) -> desired::PolicyRow& {
    return tables.policy.rows[{kIdentityB, Direction::kIngress, kind, peer, Protocol::kTcp, 80, 16}];
  };
  uint16_t source = 40000;
  const auto reaches = [&](uint32_t pod, const char* address) {
    realize();
    return send("from_pod", from(pod).ip(address, "10.1.1.11").tcp(++source, 80), pod).verdict == Verdict::kRedirect;
  };
  const auto a = [&] { return reaches(kPodA, "10.1.1.10"); };
  const auto c = [&] { return reaches(kPodC, "10.1.1.12"); };
  tables.pods[kPodB].ingress_tiered = true;
  EXPECT_TRUE(a()) << "no rule matches and nothing isolates it";
  // Of the rows that a packet finds the first in order decides, whatever it is keyed by.
  row(PolicyPeerKind::kAnyPod, 0).admin = rule(5 << 20, PolicyAction::kDeny);
  EXPECT_FALSE(a());
  row(PolicyPeerKind::kIdentity, kIdentityA).admin = rule(4 << 20, PolicyAction::kAccept);
  EXPECT_TRUE(a());
  EXPECT_FALSE(c());
  // Pass leaves the rest of the tier out; then NetworkPolicy, final where it selects the pod.
  row(PolicyPeerKind::kAny, 0).admin = rule(3 << 20, PolicyAction::kPass);
  row(PolicyPeerKind::kAny, 0).baseline = rule(0, PolicyAction::kDeny);
  EXPECT_FALSE(a()) << "tier Baseline";
  isolate(kPodB, true, false);
  allow({kIdentityB, Direction::kIngress, PolicyPeerKind::kIdentity, kIdentityA, Protocol::kTcp, 80, 16});
  EXPECT_TRUE(a());
  EXPECT_FALSE(c()) << "isolated, and no rule allows it";
  row(PolicyPeerKind::kAny, 0).admin.reset();
  EXPECT_FALSE(c());
  tables.pods[kPodB].ingress_tiered = false;
  EXPECT_TRUE(a());
  EXPECT_FALSE(c()) << "a row without a rule of a NetworkPolicy allows nothing";
}

TEST_F(PacketTest, OwnAddressFromOutsideHasNoRights) {
  isolate(kPodB, true, false);
  realize();
  EXPECT_DROP(send("from_netdev", eth().ip("192.0.2.11", "10.1.1.11").tcp(40000, 80), kUplink, kUplink),
              "ingress_denied");
}

TEST_F(PacketTest, NP_16_RevokedConnectionIsCutAtItsNextPacket) {
  isolate(kPodB, true, false);
  allow(kPortTcp80(kIdentityB, PolicyPeerKind::kIdentity, kIdentityA));
  realize();
  const auto data = from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, 80, kAck).payload("more");
  send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, 80), kPodA);
  send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(80, 40000, kSyn | kAck), kPodB);
  EXPECT_EQ(send("from_pod", data, kPodA).verdict, Verdict::kRedirect);
  // A change that leaves it allowed does not disturb it.
  isolate(kPodC, true, true);
  realize();
  EXPECT_EQ(send("from_pod", data, kPodA).verdict, Verdict::kRedirect);
  tables.policy.rows.clear();
  realize();
  EXPECT_DROP(send("from_pod", data, kPodA), "revoked");
  EXPECT_EQ(rows("flows"), 0u) << "the entry of the replies goes too";
  EXPECT_DROP(send("from_pod", data, kPodA), "ingress_denied");
}

TEST_F(PacketTest, NewlyAllowedIsAllowedAtOnce) {
  isolate(kPodB, true, false);
  realize();
  const auto open = from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, 80);
  EXPECT_DROP(send("from_pod", open, kPodA), "ingress_denied");
  isolate(kPodB, false, false);
  realize();
  EXPECT_EQ(send("from_pod", open, kPodA).verdict, Verdict::kRedirect);
}

}  // namespace
}  // namespace carrick::packets
