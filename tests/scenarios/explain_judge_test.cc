#include <gtest/gtest.h>

#include "tests/support/scenario_world.h"

// The first judge: explain. After every step the incremental compiler of each node must equal the full one.
namespace carrick::testing {
namespace {

class Runner {
 public:
  explicit Runner(const Scenario& scenario) : scenario_(scenario), world_(scenario) {}

  void run() {
    for (const auto& step : scenario_.steps) {
      if (step.kind == Step::Kind::kApply) {
        auto now = needs_world(step) ? world_.plan() : explain::World();
        ASSERT_TRUE(now) << now.error().message;
        auto applied = world_.apply(step, *now);
        ASSERT_TRUE(applied) << applied.error().message;
      }
      if (step.kind == Step::Kind::kDelete) {
        auto removed = world_.remove(step);
        ASSERT_TRUE(removed) << removed.error().message;
      }
      if (step.kind == Step::Kind::kExpect) expect(step);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void expect(const Step& step) {
    if (!step.mark.asks(Judge::kExplain)) return count_expectations(Judge::kExplain, 0, step.expectations.size());
    count_expectations(Judge::kExplain, step.expectations.size(), 0);
    auto world = world_.plan();
    ASSERT_TRUE(world) << world.error().message;
    compare_compilers(*world);
    for (const auto& one : step.expectations) {
      auto asked = understand(*world, scenario_, step, one);
      ASSERT_TRUE(asked) << asked.error().message;
      auto answer = explain::explain(*world, asked->question);
      std::string text = to_text(answer, world->locate);
      std::string wrong = disagreement(*world, scenario_, step, one, *asked, seen_in(*world, *asked, answer, text));
      EXPECT_TRUE(wrong.empty()) << wrong;
      EXPECT_TRUE(one.owner.empty() || text.find(one.owner) != std::string::npos)
          << scenario_.file << ":" << one.line << ": \"" << one.owner << "\" does not decide\n"
          << text;
    }
  }

  void compare_compilers(const explain::World& world) {
    k8s::Snapshot snapshot = *world.snapshot;
    snapshot.revision = ++revision_;
    k8s::ChangeSet changes;
    changes.everything = true;
    for (const auto& [name, view] : world.views) {
      auto full = world.tables.at(name);
      full.revision = revision_;
      EXPECT_EQ(compilers_[name].apply(snapshot, changes, view), full) << name;
    }
  }

  static Seen seen_in(const explain::World& world, const Asked& asked, const explain::Answer& answer,
                      const std::string& text) {
    Seen out;
    out.story = text;
    if (answer.paths.empty()) out.verdicts.insert(std::string(verdict_word(answer.verdict)));
    for (const auto& path : answer.paths) {
      out.verdicts.insert(std::string(verdict_word(path.verdict)));
      if (path.verdict != explain::Verdict::kAllow) continue;
      out.reached.insert(who_has(world, path.target.address, {path.target.port, asked.question.protocol}));
      out.clients.insert(path.seen_as.str());
    }
    return out;
  }

  const Scenario& scenario_;
  ScenarioWorld world_;
  std::map<std::string, desired::Compiler> compilers_;
  uint64_t revision_ = 0;
};

class Explain : public ::testing::TestWithParam<std::string> {};

TEST_P(Explain, Judge) {
  auto scenario = load_scenario(GetParam());
  ASSERT_TRUE(scenario.has_value()) << scenario.error().message;
  Runner(*scenario).run();
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Explain, ::testing::ValuesIn(scenario_files()),
                         [](const auto& info) { return test_name(info.param); });

TEST(ScenarioParser, SaysWhatIsWrongAndWhere) {
  const auto says = [](const char* text) { return parse_scenario(text, "f").error().message; };
  EXPECT_EQ(says("# t\n## expect\na b 80 perhaps\n").substr(0, 4), "f:3:");
  EXPECT_EQ(says("# t\n## dance\n").substr(0, 4), "f:2:");
  EXPECT_EQ(says("# t\nstray\n").substr(0, 4), "f:2:");
  EXPECT_EQ(says("# t\n## apply\n## nodes 3\n").substr(0, 4), "f:3:");
  EXPECT_EQ(says("# t\n## expect (not everybody: because)\n").substr(0, 4), "f:2:");
  EXPECT_EQ(says("# t\n## expect (not lab)\n").substr(0, 4), "f:2:");
  EXPECT_EQ(says("# t\n## expect\na b 80 deny reaching c\n").substr(0, 4), "f:3:");
}

TEST(ScenarioParser, ReadsTheBlocksOfAGuide) {
  EXPECT_EQ(
      scenario_in_guide(
          "# Title\n## Part\ntext\n```yaml\na: b\n```\n```expect (not lab: x)\na b 80 deny\n```\n```sh\n$ x\n```"),
      "\n\n\n## apply\na: b\n\n## expect (not lab: x)\na b 80 deny\n\n\n\n\n");
}

TEST(ScenarioParser, ReadsHeadersMarksAndWhatIsReached) {
  auto read = parse_scenario(
      "# t\n## nodes 3\n## route 198.51.100.1 node2\n## expect ipv6 (not packets, lab: no way)\n"
      "a b 80 mixed reaching y,x as client by Service b\n",
      "f");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->nodes, 3);
  EXPECT_EQ(read->routes.at("198.51.100.1"), "node2");
  const Step& step = read->steps.at(0);
  EXPECT_EQ(step.family, "ipv6");
  EXPECT_TRUE(step.mark.asks(Judge::kExplain));
  EXPECT_FALSE(step.mark.asks(Judge::kPackets));
  EXPECT_FALSE(step.mark.asks(Judge::kLab));
  EXPECT_EQ(step.expectations.at(0).reaching, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(step.expectations.at(0).seen_as, "client");
  EXPECT_EQ(step.expectations.at(0).owner, "Service b");
}

}  // namespace
}  // namespace carrick::testing
