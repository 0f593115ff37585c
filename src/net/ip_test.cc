#include "net/ip.h"

#include <gtest/gtest.h>

namespace carrick::net {
namespace {

TEST(IpAddress, BothFamiliesRoundTrip) {
  for (const char* text : {"10.1.0.7", "0.0.0.0", "255.255.255.255", "2001:db8::1", "::1", "::"})
    EXPECT_EQ(IpAddress::parse(text)->str(), text);
}

TEST(IpAddress, RejectsWhatTheApiRejects) {
  for (const char* text : {"", "10.1.0", "10.1.0.07", "10.1.0.256", "10.1.0.7 ", "fe80::1%eth0", "2001:db8:::1", "x"})
    EXPECT_FALSE(IpAddress::parse(text)) << text;
  EXPECT_FALSE(IpAddress::parse(std::string_view("10.1.0.7\0x", 10)));
}

TEST(IpAddress, PlusCrossesByteBorders) {
  EXPECT_EQ(IpAddress::parse("10.1.0.255")->plus(1).str(), "10.1.1.0");
  EXPECT_EQ(IpAddress::parse("2001:db8::ffff")->plus(1).str(), "2001:db8::1:0");
}

TEST(Prefix, MasksHostBitsAndContains) {
  Prefix block = *Prefix::parse("10.1.2.3/16");
  EXPECT_EQ(block.str(), "10.1.0.0/16");
  EXPECT_TRUE(block.contains(*IpAddress::parse("10.1.255.255")));
  EXPECT_FALSE(block.contains(*IpAddress::parse("10.2.0.0")));
  EXPECT_TRUE(Prefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("1.2.3.4")));
  EXPECT_FALSE(Prefix::parse("0.0.0.0/0")->contains(*IpAddress::parse("2001:db8::1")));
  EXPECT_FALSE(Prefix::parse("::/0")->contains(*IpAddress::parse("1.2.3.4")));
  EXPECT_TRUE(Prefix::parse("2001:db8::/32")->contains(*Prefix::parse("2001:db8:1::/48")));
}

TEST(Prefix, RejectsBadBlocks) {
  for (const char* text : {"10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "::/129", "a/8"})
    EXPECT_FALSE(Prefix::parse(text)) << text;
}

TEST(MacAddress, DerivedIsStableLocalUnicast) {
  MacAddress mac = MacAddress::derived_from("default/web");
  EXPECT_EQ(mac, MacAddress::derived_from("default/web"));
  EXPECT_EQ(mac.bytes[0] & 3, 2);
  EXPECT_EQ(*MacAddress::parse(mac.str()), mac);
}

}  // namespace
}  // namespace carrick::net
