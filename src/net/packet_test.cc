#include "net/packet.h"

#include <gtest/gtest.h>

namespace carrick::net {
namespace {

TEST(Packet, BuiltFramesReadBackWithRightChecksums) {
  for (const bool v4 : {true, false}) {
    const auto base = [&] {
      return v4 ? eth().ip("10.1.0.9", "10.1.0.7") : eth().ip("2001:db8:1::9", "2001:db8:1::7");
    };
    for (const Frame& frame :
         {base().tcp(40000, 80, kSyn | kAck, 7, 9).payload("odd"), base().udp(53, 1053).payload("hi"),
          base().echo(77, 3).payload("x"), base().hop_by_hop().ip_options(2).tcp(1, 2)}) {
      const auto view = parse_frame(frame.bytes());
      ASSERT_TRUE(view) << view.error().message;
      EXPECT_TRUE(view->checksums_right) << view->str();
    }
    const std::string tcp = base().tcp(40000, 80, kSyn | kAck, 7, 9).payload("odd").bytes();
    const auto view = *parse_frame(tcp);
    EXPECT_EQ(view.source_port, 40000);
    EXPECT_EQ(view.destination_port, 80);
    EXPECT_EQ(view.tcp_flags, kSyn | kAck);
    EXPECT_EQ(view.sequence, 7u);
    EXPECT_EQ(view.acknowledged, 9u);
    EXPECT_EQ(view.payload, "odd");
    std::string broken = tcp;
    broken.back() ^= 1;
    EXPECT_FALSE(parse_frame(broken)->checksums_right);
  }
}

TEST(Packet, KnownChecksums) {
  // RFC 1071 style: computed by hand from a capture of `ping 192.0.2.10` (id 1, sequence 1, payload "abcd").
  const std::string frame = eth().ip("192.0.2.11", "192.0.2.10").echo(1, 1).payload("abcd").bytes();
  EXPECT_EQ(static_cast<uint8_t>(frame[36]) << 8 | static_cast<uint8_t>(frame[37]),
            0xffff - (0x0800 + 1 + 1 + 0x6162 + 0x6364));
}

TEST(Packet, FragmentsHaveNoPortsBehindTheFirst) {
  for (const bool v4 : {true, false}) {
    const auto base = [&] {
      return v4 ? eth().ip("10.1.0.9", "10.1.0.7") : eth().ip("2001:db8:1::9", "2001:db8:1::7");
    };
    const auto first = *parse_frame(base().udp(1000, 2000).fragment(5, 0, true).payload("12345678").bytes());
    EXPECT_TRUE(first.fragment && !first.later_fragment);
    EXPECT_EQ(first.source_port, 1000);
    const std::string bytes = base().udp(1000, 2000).fragment(5, 16, false).payload("rest").bytes();
    const auto later = *parse_frame(bytes);
    EXPECT_TRUE(later.later_fragment);
    EXPECT_EQ(later.source_port, 0);
    EXPECT_EQ(later.payload, "rest");
  }
}

TEST(Packet, EveryCutIsAnErrorOrAShorterPacketNeverACrash) {
  for (const bool v4 : {true, false}) {
    const std::string frame =
        (v4 ? eth().ip("10.1.0.9", "10.1.0.7").ip_options(3) : eth().ip("2001:db8:1::9", "2001:db8:1::7").hop_by_hop())
            .tcp(1, 2)
            .payload("payload")
            .bytes();
    for (size_t size = 0; size < frame.size(); ++size) EXPECT_FALSE(parse_frame(frame.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace carrick::net
