#include "agent/complaints.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace carrick::agent {
namespace {

namespace json = boost::json;
using std::chrono::seconds;

class Complaints : public testing::Test {
 protected:
  // An API server that knows Services a ... and stores Events.
  void ask(const watch::HttpRequest& request, const Complainer::Answer& answer) {
    asked.push_back(request.method + " " + request.target);
    if (down) return answer(fail(ErrorKind::kTransient, "no connection"));
    if (request.method == "GET") {
      if (request.target.ends_with("/gone")) return answer(fail(ErrorKind::kNotFound, "not found"));
      return answer(watch::HttpResponse{200, R"({"metadata":{"uid":"u-1"}})"});
    }
    const json::object event = json::parse(request.body).as_object();
    const std::string name(event.at("metadata").at("name").as_string());
    if (!events.emplace(name, event).second) return answer(fail(ErrorKind::kAlreadyExists, "already exists"));
    answer(watch::HttpResponse{201, "{}"});
  }
  Complainer make(const std::string& node) {
    return {node, [this](auto request, auto answer) { ask(request, answer); },
            [] { return Timestamp{1'700'000'000, 0}; }};
  }
  static Complaint about(const std::string& service, const std::string& field = "spec") {
    return {{"x", service}, "FieldLeadsNowhere", field, "it is wrong"};
  }
  std::vector<std::string> asked;
  std::map<std::string, json::object> events;
  bool down = false;
  const Complainer::Clock::time_point start{std::chrono::hours(1)};
};

TEST_F(Complaints, OneEventForAllNodesWithTheUidOfTheService) {
  auto one = make("n1"), two = make("n2");
  one.set({about("web")}, start);
  two.set({about("web")}, start);
  ASSERT_EQ(events.size(), 1u);
  const json::object& event = events.begin()->second;
  EXPECT_EQ(event.at("involvedObject").at("uid"), "u-1");
  EXPECT_EQ(event.at("involvedObject").at("kind"), "Service");
  EXPECT_EQ(event.at("type"), "Warning");
  EXPECT_EQ(event.at("reason"), "FieldLeadsNowhere");
  EXPECT_EQ(event.at("message"), "it is wrong");
  EXPECT_EQ(event.at("firstTimestamp"), "2023-11-14T22:13:20Z");
  EXPECT_EQ(event.at("source").at("host"), "n1");
  const size_t before = asked.size();
  one.set({about("web")}, start + seconds(60));
  two.set({about("web")}, start + seconds(60));
  EXPECT_EQ(asked.size(), before) << "it was said";
  one.set({about("web")}, start + seconds(4000));
  EXPECT_EQ(asked.size(), before + 2) << "and is said again while it lasts: Events expire";
}

TEST_F(Complaints, WhoIsGoneIsNotComplainedAbout) {
  auto one = make("n1");
  one.set({about("gone"), about("web")}, start);
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(Complaints, AnApiServerThatIsDownIsAskedAgain) {
  auto one = make("n1");
  down = true;
  one.set({about("web")}, start);
  EXPECT_TRUE(events.empty());
  down = false;
  one.set({about("web")}, start + seconds(10));
  EXPECT_EQ(events.size(), 1u);
}

TEST_F(Complaints, AThousandBadServicesCostTheApiServerLittle) {
  auto one = make("n1");
  std::vector<Complaint> many;
  for (int i = 0; i < 1000; ++i) many.push_back(about(fmt::format("s{}", i)));
  one.set(many, start);
  EXPECT_EQ(events.size(), Complainer::kBurst);
  for (int i = 0; i < 100; ++i) one.set(many, start);
  EXPECT_EQ(events.size(), Complainer::kBurst);
  EXPECT_TRUE(one.waits());
  one.set(many, start + Complainer::kPause * 3);
  EXPECT_EQ(events.size(), Complainer::kBurst + 3);
}

TEST_F(Complaints, ComeFromFindingsAndFromRowsThatFailed) {
  desired::FindingTable findings;
  findings[{"x", "web"}] = {{{"EndpointSlice", "x", "web-1", "ports[0]"}, "it has no number"}};
  realize::Status status;
  status.failures.push_back(
      {.table = "backends", .owner = "Service x/big spec.ports[0]", .error = {ErrorKind::kTransient, "map is full"}});
  status.failures.push_back({.table = "peers", .owner = "Pod x/p", .error = {ErrorKind::kTransient, "no"}});
  const auto all = complaints_of(findings, status, "n1");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].service.str(), "x/web");
  EXPECT_EQ(all[0].message, "EndpointSlice x/web-1 ports[0]: it has no number");
  EXPECT_EQ(all[1].service.str(), "x/big");
  EXPECT_EQ(all[1].reason, "NotRealized");
  EXPECT_EQ(all[1].message, "node n1: backends: map is full");
}

}  // namespace
}  // namespace carrick::agent
