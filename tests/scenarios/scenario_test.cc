#include "tests/support/scenario.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "controllers/plan.h"
#include "desired/desired.h"
#include "explain/explain.h"

// Scenario files judged by explain; after every step the incremental compiler of each node must equal the full one.
namespace carrick::testing {
namespace {

std::vector<std::string> files() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(CARRICK_SOURCE_DIR) + "/tests/scenarios"))
    if (entry.path().extension() == ".scn") out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

class Runner {
 public:
  void run(const Scenario& scenario) {
    for (const auto& step : scenario.steps) {
      if (step.kind == Step::Kind::kApply) apply(scenario, step);
      if (step.kind == Step::Kind::kDelete)
        std::erase_if(objects_,
                      [&](const auto& o) { return o.kind == step.object_kind && o.key.str() == step.object; });
      if (step.kind == Step::Kind::kExpect) expect(scenario, step);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void apply(const Scenario& scenario, const Step& step) {
    auto parsed = k8s::parse_manifest(step.yaml, scenario.file);
    ASSERT_TRUE(parsed.has_value()) << parsed.error().message;
    for (auto& object : *parsed) {
      std::erase_if(objects_, [&](const auto& o) { return o.kind == object.kind && o.key == object.key; });
      objects_.push_back(std::move(object));
    }
  }

  void expect(const Scenario& scenario, const Step& step) {
    auto plan = controllers::make_plan(objects_);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    plan->snapshot.revision = ++revision_;
    explain::World world = explain::make_world(std::make_shared<k8s::Snapshot>(plan->snapshot));
    k8s::ChangeSet changes;
    changes.everything = true;
    for (const auto& [name, view] : world.views)
      EXPECT_EQ(compilers_[name].apply(plan->snapshot, changes, view), world.tables.at(name)) << name;
    for (const auto& one : step.expectations) {
      std::string where = fmt::format("{}:{}: {} {} {}", scenario.file, one.line, one.from, one.to, one.port);
      auto from = explain::parse_party(world, one.from, true);
      // A bare word with a dot or without a pod of that name is a DNS name to the pod that asks.
      auto to = explain::parse_party(world, one.to, false);
      if (!to && one.to.find('/') == std::string::npos)
        to = std::vector<explain::Party>{{explain::Party::Kind::kName, {}, one.to, {}}};
      auto port = explain::parse_port(one.port);
      ASSERT_TRUE(from && to && port) << where << ": "
                                      << (!from ? from.error()
                                          : !to ? to.error()
                                                : port.error())
                                             .message;
      auto answer = explain::explain(world, {from->front(), to->front(), port->port, port->protocol});
      EXPECT_EQ(answer.mixed ? "mixed" : std::string(verdict_word(answer.verdict)), one.verdict)
          << where << "\n"
          << to_text(answer, world.locate);
      if (!one.owner.empty())
        EXPECT_NE(to_text(answer, world.locate).find(one.owner), std::string::npos) << where << "\n"
                                                                                    << to_text(answer, world.locate);
    }
  }

  std::vector<k8s::ManifestObject> objects_;
  std::map<std::string, desired::Compiler> compilers_;
  uint64_t revision_ = 0;
};

class ScenarioFile : public ::testing::TestWithParam<std::string> {};

TEST_P(ScenarioFile, JudgedByExplain) {
  auto scenario = load_scenario(GetParam());
  ASSERT_TRUE(scenario.has_value()) << scenario.error().message;
  Runner().run(*scenario);
}

INSTANTIATE_TEST_SUITE_P(Files, ScenarioFile, ::testing::ValuesIn(files()),
                         [](const auto& info) { return std::filesystem::path(info.param).stem().string(); });

TEST(ScenarioParser, SaysWhatIsWrongAndWhere) {
  EXPECT_EQ(parse_scenario("# t\n## expect\na b 80 perhaps\n", "f").error().message.substr(0, 4), "f:3:");
  EXPECT_EQ(parse_scenario("# t\n## dance\n", "f").error().message.substr(0, 4), "f:2:");
  EXPECT_EQ(parse_scenario("# t\nstray\n", "f").error().message.substr(0, 4), "f:2:");
}

}  // namespace
}  // namespace carrick::testing
