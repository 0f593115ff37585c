#include "lab/prober/prober.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace carrick::lab {
namespace {

struct Table {
  Table() {
    report.matrix.sources = {{{"shop", "a"}, {}, {}, "node1"}, {{"shop", "b"}, {}, {}, "node2"}};
    report.matrix.targets = {{"shop/svc/s", {}, "", {{"shop", "b"}, {"shop", "c"}}}};
    report.matrix.cells = {{.from = 0, .to = 0, .port = 80}};
    report.outcomes.resize(1);
  }
  bool agree(explain::Verdict expected, ProbeOutcome outcome, uint8_t possible = 0) {
    report.matrix.cells[0].expected = expected;
    report.matrix.cells[0].possible = possible;
    return agrees(report.matrix, report.matrix.cells[0], outcome);
  }
  ProbeReport report;
};

uint64_t id(const char* pod) { return net::stable_hash(pod); }

TEST(Prober, AVerdictAgreesWithItselfOnly) {
  Table table;
  EXPECT_TRUE(table.agree(explain::Verdict::kAllow, {Verdict::kAllow, 0, 1, id("shop/b")}));
  EXPECT_TRUE(table.agree(explain::Verdict::kDeny, {Verdict::kDeny}));
  EXPECT_TRUE(table.agree(explain::Verdict::kRefuse, {Verdict::kRefuse, ECONNREFUSED}));
  EXPECT_FALSE(table.agree(explain::Verdict::kDeny, {Verdict::kRefuse}));
  EXPECT_FALSE(table.agree(explain::Verdict::kAllow, {Verdict::kDeny}));
  EXPECT_FALSE(table.agree(explain::Verdict::kDeny, {Verdict::kAllow, 0, 1, id("shop/b")}));
  EXPECT_FALSE(table.agree(explain::Verdict::kDeny, {})) << "a cell that nobody probed agrees with nothing";
}

TEST(Prober, AnAnswerByTheWrongPodIsNoAgreement) {
  Table table;
  EXPECT_TRUE(table.agree(explain::Verdict::kAllow, {Verdict::kAllow, 0, 1, id("shop/c")}));
  EXPECT_FALSE(table.agree(explain::Verdict::kAllow, {Verdict::kAllow, 0, 1, id("shop/a")}));
}

TEST(Prober, WhereItDependsOnTheEndpointAnyOfTheVerdictsIsRight) {
  Table table;
  uint8_t allow_or_refuse =
      1 << static_cast<int>(explain::Verdict::kAllow) | 1 << static_cast<int>(explain::Verdict::kRefuse);
  EXPECT_TRUE(table.agree(explain::Verdict::kRefuse, {Verdict::kAllow, 0, 1, id("shop/b")}, allow_or_refuse));
  EXPECT_TRUE(table.agree(explain::Verdict::kRefuse, {Verdict::kRefuse}, allow_or_refuse));
  EXPECT_FALSE(table.agree(explain::Verdict::kRefuse, {Verdict::kDeny}, allow_or_refuse));
}

TEST(Prober, TheReportIsTheJsonOfTheIssue) {
  Table table;
  table.report.outcomes[0] = {Verdict::kDeny, 0, 300, 0};
  table.report.disagree = {0};
  std::string text;
  write_json(table.report, [&](std::string_view piece) { text += piece; });
  for (
      const char* part :
      {R"("probes":1,"agree":0)",
       R"({"from":"shop/a","to":"shop/svc/s","port":80,"protocol":"TCP","expected":"allow","observed":"deny","latency_us":300})"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
  EXPECT_EQ(describe_disagreements(table.report, 5),
            std::vector<std::string>{"shop/a -> shop/svc/s 80/TCP: expected allow, observed deny"});
}

}  // namespace
}  // namespace carrick::lab
