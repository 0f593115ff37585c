#include "dns/zone/zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "dns/zone/zone_rows.h"

namespace carrick::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

Question ask(const std::string& text) {
  auto words = split(text, ' ');
  return {Name::parse(words[0]).value(), parse_type(words[1]).value()};
}

std::vector<std::string> texts(const std::vector<Record>& records) {
  std::vector<std::string> out;
  for (const Record& record : records)
    out.push_back(fmt::format("{} {} {}", record.owner.text(), type_text(record.type), data_text(record)));
  return out;
}

TEST(Zone, AnswersTheTable) {
  auto table = std::make_shared<desired::NameTable>(test::cluster_table());
  Zone zone(table);
  ASSERT_GE(test::cluster_rows().size(), 120u);
  for (const test::Row& row : test::cluster_rows()) {
    SCOPED_TRACE(fmt::format("{}: {}", row.id, row.question));
    Answer answer = zone.resolve(ask(row.question));
    EXPECT_FALSE(answer.outside);
    EXPECT_EQ(rcode_text(answer.rcode), row.rcode);
    EXPECT_THAT(texts(answer.answer), UnorderedElementsAreArray(row.answer));
    EXPECT_THAT(texts(answer.additional), UnorderedElementsAreArray(row.additional));
    if (row.soa_of.empty()) {
      EXPECT_THAT(answer.authority, IsEmpty());
    } else {
      EXPECT_THAT(texts(answer.authority),
                  ElementsAre(row.soa_of + " SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"));
    }
    for (const auto& section : {answer.answer, answer.authority, answer.additional})
      for (const Record& record : section) EXPECT_EQ(record.ttl, 5u);
  }
}

TEST(Zone, KnowsWhatIsNotItsOwn) {
  Zone zone(std::make_shared<desired::NameTable>(test::cluster_table()));
  for (const char* question : {"example.com A", "local A", "notcluster.local A", "xcluster.local A", ". NS",
                               "1.113.0.203.in-addr.arpa PTR", "10.in-addr.arpa SOA", "in-addr.arpa NS", "ip6.arpa NS",
                               "1.2.1.10.in-addr.arpa PTR", "172.in-addr.arpa PTR", "1.0.24.172.in-addr.arpa PTR",
                               "8.b.d.0.1.0.0.2.ip6.arpa NS", "cluster\\.local A", "web.default.svc.cluster.example A"})
    EXPECT_TRUE(zone.resolve(ask(question)).outside) << question;
}

TEST(Zone, ExternalNameOutsideIsLeftToBeChased) {
  Zone zone(std::make_shared<desired::NameTable>(test::cluster_table()));
  Answer answer = zone.resolve(ask("outside.default.svc.cluster.local AAAA"));
  EXPECT_THAT(texts(answer.answer), ElementsAre("outside.default.svc.cluster.local CNAME www.example.com."));
  ASSERT_TRUE(answer.chase);
  EXPECT_EQ(answer.chase->text(), "www.example.com");
}

TEST(Zone, BeforeTheFirstSyncAbsenceIsNotKnown) {  // DNS-N6
  auto table = std::make_shared<desired::NameTable>(test::cluster_table());
  table->synced = false;
  Zone zone(table);
  for (const test::Row& row : test::cluster_rows()) {
    SCOPED_TRACE(row.question);
    Answer answer = zone.resolve(ask(row.question));
    EXPECT_NE(answer.rcode, kNxDomain);
    EXPECT_EQ(answer.rcode, row.rcode == "NOERROR" && row.soa_of.empty() ? kNoError : kServFail);
  }
}

TEST(Zone, PodRecordModes) {
  auto table = std::make_shared<desired::NameTable>(test::cluster_table());
  auto rcode = [&](PodRecords mode, const char* name) { return Zone(table, mode).resolve(ask(name)).rcode; };
  const char* live = "10-1-1-5.default.pod.cluster.local A";
  EXPECT_EQ(rcode(PodRecords::kVerified, live), kNoError);
  EXPECT_EQ(rcode(PodRecords::kVerified, "10-1-1-6.default.pod.cluster.local A"), kNxDomain);
  EXPECT_EQ(rcode(PodRecords::kVerified, "10-1-1-5.kube-system.pod.cluster.local A"), kNxDomain);
  EXPECT_EQ(rcode(PodRecords::kDisabled, live), kNxDomain);
  EXPECT_EQ(rcode(PodRecords::kDisabled, "default.pod.cluster.local A"), kNoError);
}

TEST(Zone, AnotherZoneAndABrokenOne) {
  auto table = test::cluster_table();
  table.zone = "k8s.example.org.";
  EXPECT_EQ(texts(resolve(table, ask("web.default.svc.k8s.example.org A")).answer),
            std::vector<std::string>{"web.default.svc.k8s.example.org A 10.96.0.7"});
  EXPECT_TRUE(resolve(table, ask("web.default.svc.cluster.local A")).outside);
  table.zone = ".";  // must not make us the authority for the world
  EXPECT_TRUE(resolve(table, ask("example.com A")).outside);
}

TEST(Zone, LongChainsOfExternalNamesEnd) {
  auto table = test::cluster_table();
  for (int i = 0; i < 20; ++i)
    table.names[fmt::format("c{}.default.svc", i)].cname = fmt::format("c{}.default.svc.cluster.local", i + 1);
  EXPECT_EQ(resolve(table, ask("c0.default.svc.cluster.local A")).answer.size(), 8u);
}

TEST(Shuffle, KeepsTheChainInFrontAndMovesAddresses) {
  std::vector<Record> records;
  Name a = Name::parse("a.test").value(), b = Name::parse("b.test").value();
  records.push_back({a, kCname, 1, name_data(b)});
  for (uint32_t i = 0; i < 8; ++i) records.push_back(address_record(b, net::IpAddress::v4(i), 1));
  std::set<std::string> firsts;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto mixed = records;
    shuffle_addresses(mixed, seed * 2654435761u);
    ASSERT_EQ(mixed.size(), records.size());
    ASSERT_EQ(mixed[0].type, kCname);
    ASSERT_TRUE(std::ranges::is_permutation(mixed, records));
    firsts.insert(mixed[1].data);
  }
  EXPECT_EQ(firsts.size(), 8u);
}

TEST(Reverse, NamesOfAddresses) {
  EXPECT_EQ(reverse_name(net::IpAddress::parse("10.96.0.7").value()).text(), "7.0.96.10.in-addr.arpa");
  for (const char* text : {"10.96.0.7", "0.0.0.0", "2001:db8:96::7", "::1", "fd00:ca22:1c::10"}) {
    auto address = net::IpAddress::parse(text).value();
    auto parsed = parse_reverse(reverse_name(address));
    ASSERT_TRUE(parsed && parsed->complete()) << text;
    EXPECT_EQ(parsed->prefix.address(), address);
  }
  EXPECT_EQ(reverse_labels(net::Prefix::parse("10.96.0.0/12").value()), 2u);
  EXPECT_EQ(reverse_labels(net::Prefix::parse("2001:db8::/33").value()), 9u);
}

}  // namespace
}  // namespace carrick::dns
