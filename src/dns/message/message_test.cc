#include "dns/message/message.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace carrick::dns {
namespace {

Name name(const char* text) { return Name::parse(text).value(); }
net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }

Message sample() {
  Message m;
  m.id = 0x1234;
  m.is_response = m.authoritative = m.recursion_desired = true;
  m.question = Question{name("WeB.test"), kA};
  m.answer = {{name("WeB.test"), kCname, 5, name_data(name("b.test"))},
              address_record(name("b.test"), ip("10.0.0.1"), 5)};
  m.authority = {{name("test"), kSoa, 30, soa_data(name("ns.test"), name("h.test"), 1, 2, 3, 4, 5)}};
  m.additional = {address_record(name("b.test"), ip("2001:db8::1"), 5),
                  {name("s.test"), kSrv, 5, srv_data(1, 2, 443, name("b.test"))},
                  {name("t.test"), kTxt, 5, txt_data(std::string(600, 'x'))}};
  m.edns = Edns{1232, 0, true, "node1"};
  return m;
}

TEST(Message, ComesBackAsItWasSent) {
  Message m = sample();
  auto back = decode_response(encode(m));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, m);
  EXPECT_EQ(back->question->name.text(), "WeB.test");  // case is kept
  EXPECT_EQ(back->answer[0].owner.text(), "WeB.test");
}

TEST(Message, AUsedBufferLeavesNoTrace) {
  std::vector<uint8_t> buffer(65535, 0xff);
  size_t size = encode(sample(), buffer, buffer.size());
  EXPECT_EQ(std::vector<uint8_t>(buffer.begin(), buffer.begin() + static_cast<long>(size)), encode(sample()));
}

TEST(Message, NamesAreCompressed) {
  Message m;
  m.is_response = true;
  m.question = Question{name("a-rather-long-name.default.svc.cluster.local"), kA};
  for (uint32_t i = 0; i < 10; ++i) m.answer.push_back(address_record(m.question->name, net::IpAddress::v4(i), 5));
  EXPECT_EQ(encode(m).size(), 12 + m.question->name.wire().size() + 4 + 10 * 16);
}

TEST(Message, TruncatesAtRecordsAndKeepsOpt) {
  Message m = sample();
  m.answer.clear();
  for (uint32_t i = 0; i < 100; ++i) m.answer.push_back(address_record(m.question->name, net::IpAddress::v4(i), 5));
  for (size_t limit : {512, 513, 600, 1232}) {
    auto wire = encode(m, limit);
    EXPECT_LE(wire.size(), limit);
    auto back = decode_response(wire);
    ASSERT_TRUE(back);
    EXPECT_TRUE(back->truncated);
    EXPECT_GE(back->answer.size(), (limit - 85) / 22) << "as many as fit";
    EXPECT_EQ(back->edns, m.edns);
  }
}

TEST(Message, AdditionalIsLeftOffSilently) {
  Message m = sample();
  m.edns.reset();
  auto back = decode_response(encode(m, 512));  // the TXT of 600 bytes does not fit
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->truncated);
  EXPECT_EQ(back->answer, m.answer);
  EXPECT_EQ(back->additional.size(), 2u);
}

TEST(Message, ExtendedRcodesNeedOpt) {
  Message m = sample();
  m.rcode = kBadVers;
  EXPECT_EQ(decode_response(encode(m))->rcode, kBadVers);
  EXPECT_EQ(rcode_text(kBadVers), "BADVERS");
}

std::vector<uint8_t> raw_query(uint16_t flags, uint16_t questions) {
  Message m;
  m.id = 7;
  m.question = Question{name("a.test"), kA};
  auto wire = encode(m);
  wire[2] = static_cast<uint8_t>(flags >> 8);
  wire[3] = static_cast<uint8_t>(flags);
  wire[5] = static_cast<uint8_t>(questions);
  return wire;
}

TEST(Query, WhatCannotBeAnswered) {
  EXPECT_TRUE(decode_query({}).error().silent);
  EXPECT_TRUE(decode_query(std::vector<uint8_t>(11)).error().silent);
  EXPECT_TRUE(decode_query(raw_query(0x8000, 1)).error().silent) << "a response must never be answered";
  EXPECT_EQ(decode_query(raw_query(0x2800, 1)).error().rcode, kNotImp) << "UPDATE";
  EXPECT_EQ(decode_query(raw_query(0x1000, 1)).error().rcode, kNotImp) << "STATUS";
  EXPECT_EQ(decode_query(raw_query(0, 0)).error().rcode, kFormErr);
  EXPECT_EQ(decode_query(raw_query(0, 2)).error().rcode, kFormErr);
  auto cut = raw_query(0, 1);
  cut.pop_back();
  EXPECT_EQ(decode_query(cut).error().rcode, kFormErr);
  EXPECT_EQ(decode_query(cut).error().id, 7);
  auto trailing = raw_query(0, 1);
  trailing.push_back(0);
  EXPECT_FALSE(decode_query(trailing));
  auto pointer = raw_query(0, 1);
  pointer[12] = 0xc0;  // a question that points to itself
  pointer[13] = 12;
  EXPECT_FALSE(decode_query(pointer));
  EXPECT_TRUE(decode_query(raw_query(0x0100, 1)));
}

TEST(Query, TwoOptRecordsAreMalformed) {
  Message m;
  m.question = Question{name("a.test"), kA};
  m.edns = Edns{};
  auto wire = encode(m);
  std::vector<uint8_t> opt(wire.end() - 11, wire.end());
  wire.insert(wire.end(), opt.begin(), opt.end());
  wire[11] = 2;
  EXPECT_FALSE(decode_query(wire));
}

TEST(Names, ParseAndPrint) {
  EXPECT_EQ(name("a.B.c.").text(), "a.B.c");
  EXPECT_EQ(name("a\\.b.c").labels()[0], "a.b");
  EXPECT_EQ(name("a\\.b.c").text(), "a\\.b.c");
  EXPECT_EQ(name("\\000x").text(), "\\000x");
  EXPECT_EQ(name("A.test"), name("a.TEST"));
  for (const char* bad : {"", "..", ".a", "a..b", "a\\", "a\\1", "a\\999"}) EXPECT_FALSE(Name::parse(bad)) << bad;
  EXPECT_FALSE(Name::parse(std::string(64, 'a')));
  EXPECT_TRUE(Name::parse(std::string(63, 'a')));
  std::string long_name;
  for (int i = 0; i < 127; ++i) long_name += "a.";
  EXPECT_TRUE(Name::parse(long_name));
  EXPECT_FALSE(Name::parse(long_name + "b"));
}

TEST(Names, BelowAndRelative) {
  Name zone = name("cluster.local");
  EXPECT_EQ(name("Web.Default.svc.CLUSTER.local").relative_to(zone), "web.default.svc");
  EXPECT_EQ(name("cluster.local").relative_to(zone), "");
  EXPECT_FALSE(name("xcluster.local").relative_to(zone));
  EXPECT_FALSE(name("local").relative_to(zone));
  EXPECT_FALSE(name("x\\007cluster.local").is_below(zone)) << "the bytes of the zone inside a label";
  EXPECT_EQ(name("a.b.c").suffix(2), name("b.c"));
  EXPECT_EQ(name("a.b.c").suffix(9), name("a.b.c"));
}

TEST(Types, Text) {
  EXPECT_EQ(type_text(kAaaa), "AAAA");
  EXPECT_EQ(type_text(65280), "TYPE65280");
  EXPECT_EQ(parse_type("TYPE65").value(), 65);
  EXPECT_FALSE(parse_type("NOPE"));
  EXPECT_EQ(record_text(address_record(name("a.test"), ip("10.0.0.1"), 5)), "a.test. 5 IN A 10.0.0.1");
}

}  // namespace
}  // namespace carrick::dns
