#include "dns/zone/search_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dns/zone/zone_rows.h"

namespace carrick::dns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

net::IpAddress ip(const char* text) { return *net::IpAddress::parse(text); }
Name name(const std::string& text) { return Name::parse(text).value(); }

class Search : public testing::Test {
 protected:
  Search() {
    table = test::cluster_table();
    table.pods[ip("10.1.1.5")] = "default";
    table.pods[ip("10.1.1.6")] = "default";
  }
  std::vector<std::string> next(const std::string& asked, const char* asker = "10.1.1.5") {
    std::vector<std::string> out;
    for (const auto& each : names_tried_next(table, node, name(asked), ip(asker))) out.push_back(each.text());
    return out;
  }
  desired::NameTable table;
  ResolvConf node{.searches = {"corp.example"}};
};

TEST_F(Search, FollowsThePodsResolvConf) {
  EXPECT_THAT(next("www.example.com.default.svc.cluster.local"),
              ElementsAre("www.example.com.svc.cluster.local", "www.example.com.cluster.local",
                          "www.example.com.corp.example", "www.example.com"));
  EXPECT_THAT(next("WWW.Example.com.Default.svc.cluster.local"), testing::SizeIs(4)) << "case means nothing";
  EXPECT_THAT(next("www.example.com.default.svc.cluster.local", "203.0.113.9"), IsEmpty()) << "nobody we know";
  EXPECT_THAT(next("www.example.com.empty.svc.cluster.local"), IsEmpty())
      << "another namespace's is no walk of its own";
  EXPECT_THAT(next("www.example.com.svc.cluster.local"), IsEmpty()) << "not the first of a walk";
  EXPECT_THAT(next("default.svc.cluster.local"), IsEmpty());
  EXPECT_THAT(next("a.b.c.d.e.f.default.svc.cluster.local"), IsEmpty()) << "five dots: as it is came first";
}

TEST_F(Search, APodMayHaveItsOwn) {
  auto& own = table.resolvers[ip("10.1.1.5")];
  own = {.policy = "ClusterFirst", .searches = {"team.example"}, .ndots = "2"};
  EXPECT_THAT(next("db.default.svc.cluster.local"),
              ElementsAre("db.svc.cluster.local", "db.cluster.local", "db.corp.example", "db.team.example", "db"));
  EXPECT_THAT(next("www.example.com.default.svc.cluster.local"), IsEmpty()) << "two dots are enough";
  EXPECT_THAT(next("www.example.com.default.svc.cluster.local", "10.1.1.6"), testing::SizeIs(4))
      << "others are as before";
  table.resolvers[ip("10.1.1.5")] = {
      .policy = "None", .nameservers = {"10.96.0.10"}, .searches = {"svc.cluster.local"}};
  EXPECT_THAT(next("db.default.svc.cluster.local"), IsEmpty());
  EXPECT_THAT(next("db.x.svc.cluster.local"), IsEmpty()) << "its ndots are 1";
  EXPECT_THAT(next("db.svc.cluster.local"), ElementsAre("db"));
  table.resolvers[ip("10.1.1.5")] = {.policy = "Default"};
  EXPECT_THAT(next("www.default.svc.cluster.local"), IsEmpty());
}

TEST_F(Search, TheFirstNameThatExistsIsTheAnswer) {
  Zone zone(std::make_shared<const desired::NameTable>(table));
  const Question asked{name("web.default.default.svc.cluster.local"), kA};
  SearchWalk walk(zone, asked, names_tried_next(table, node, asked.name, ip("10.1.1.5")));
  ASSERT_EQ(walk.advance(), SearchWalk::State::kFound);
  ASSERT_GE(walk.answer().answer.size(), 2u);
  EXPECT_EQ(walk.answer().answer[0].type, kCname);
  EXPECT_EQ(walk.answer().answer[0].owner.text(), "web.default.default.svc.cluster.local");
  EXPECT_EQ(data_text(walk.answer().answer[0]), "web.default.svc.cluster.local.");
  EXPECT_EQ(walk.answer().answer[1].owner.text(), "web.default.svc.cluster.local");
}

// What one upstream answers to the names of a walk, in order; the name that was found, or "".
std::string walked(const desired::NameTable& table, const ResolvConf& node, std::vector<uint16_t> rcodes) {
  Zone zone(std::make_shared<const desired::NameTable>(table));
  const Question asked{name("www.example.com.default.svc.cluster.local"), kAaaa};
  SearchWalk walk(zone, asked, names_tried_next(table, node, asked.name, ip("10.1.1.5")));
  for (uint16_t rcode : rcodes) {
    if (walk.advance() != SearchWalk::State::kAsk) return "asks no more";
    Message said;
    said.rcode = rcode;
    walk.told(said);
  }
  if (walk.advance() == SearchWalk::State::kAsk) return "asks for " + walk.asking().text();
  return walk.advance() == SearchWalk::State::kFound ? data_text(walk.answer().answer.at(0)) : "";
}

TEST_F(Search, OutsideNamesAreAsked) {
  EXPECT_EQ(walked(table, node, {}), "asks for www.example.com.corp.example");
  EXPECT_EQ(walked(table, node, {kNxDomain}), "asks for www.example.com");
  EXPECT_EQ(walked(table, node, {kNxDomain, kNoError}), "www.example.com.");
  EXPECT_EQ(walked(table, node, {kNoError}), "www.example.com.corp.example.");
  EXPECT_EQ(walked(table, node, {kNxDomain, kNxDomain}), "") << "none exists";
  EXPECT_EQ(walked(table, node, {kServFail}), "") << "nobody knows: the client goes on by itself";
}

}  // namespace
}  // namespace carrick::dns
