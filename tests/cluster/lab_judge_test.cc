#include <unistd.h>

#include "tests/cluster/judge_probes.h"
#include "tests/cluster/lab_fixture.h"

// The third judge: real connections in a lab. One lab for all scenarios of a shape.
namespace carrick::cluster_tests {
namespace {

using testing::Judge;
using testing::Scenario;
using testing::Step;

class Labs : public ::testing::Environment {
 public:
  void TearDown() override { by_shape.clear(); }
  Result<JudgeLab*> get(const Scenario& scenario) {
    auto& lab = by_shape[shape_of(scenario)];
    if (!lab) lab = TRY(JudgeLab::start(fmt::format("judge-{}-{}", ::getpid(), shape_of(scenario)), scenario));
    return lab.get();
  }
  void drop(const Scenario& scenario) { by_shape.erase(shape_of(scenario)); }
  static std::string shape_of(const Scenario& scenario) {
    return fmt::format("{}-{}-{}", scenario.nodes, scenario.routing, scenario.lb_mode);
  }
  std::map<std::string, std::unique_ptr<JudgeLab>> by_shape;
};
Labs* const labs = static_cast<Labs*>(::testing::AddGlobalTestEnvironment(new Labs));

class Runner {
 public:
  Runner(const Scenario& scenario, JudgeLab& lab) : scenario_(scenario), lab_(lab), objects_(scenario) {}

  Result<void> run() {
    for (const auto& [address, node] : scenario_.routes)
      TRY_VOID(lab_.route(TRY(net::IpAddress::parse(address)), node));
    for (const auto& step : scenario_.steps) {
      if (step.kind == Step::Kind::kApply) TRY_VOID(apply(step));
      if (step.kind == Step::Kind::kDelete) TRY_VOID(lab_.remove(TRY(objects_.remove(step))));
      if (step.kind == Step::Kind::kExpect) TRY_VOID(expect(step));
    }
    return {};
  }

 private:
  Result<void> apply(const Step& step) {
    explain::World world;
    if (testing::needs_world(step)) {
      TRY_VOID(lab_.settle(TRY(objects_.plan())));
      world = TRY(lab_.world());
    }
    return lab_.apply(TRY(objects_.apply(step, world)));
  }

  Result<void> expect(const Step& step) {
    if (!step.mark.asks(Judge::kLab)) {
      testing::count_expectations(Judge::kLab, 0, step.expectations.size());
      return {};
    }
    testing::count_expectations(Judge::kLab, step.expectations.size(), 0);
    auto plan = TRY(objects_.plan());
    TRY_VOID(lab_.settle(plan));
    auto world = TRY(lab_.world());
    auto probed = TRY(probe_step(lab_, world, scenario_, step));
    for (size_t i = 0; i < probed.size(); ++i) {
      std::string wrong =
          testing::disagreement(world, scenario_, step, step.expectations[i], probed[i].asked, probed[i].seen);
      EXPECT_TRUE(wrong.empty()) << wrong;
    }
    return {};
  }

  const Scenario& scenario_;
  JudgeLab& lab_;
  testing::ScenarioWorld objects_;
};

class Lab : public ::testing::TestWithParam<std::string> {};

TEST_P(Lab, Judge) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: starts labs";
  auto scenario = testing::load_scenario(GetParam());
  ASSERT_TRUE(scenario) << scenario.error().message;
  auto lab = labs->get(*scenario);
  ASSERT_TRUE(lab) << lab.error().message;
  auto judged = Runner(*scenario, **lab).run();
  EXPECT_TRUE(judged) << judged.error().message;
  // The next scenario finds an empty cluster.
  Scenario nothing;
  nothing.nodes = scenario->nodes;
  auto empty = testing::ScenarioWorld(nothing).plan();
  ASSERT_TRUE(empty);
  auto cleaned = (*lab)->clean();
  if (cleaned) cleaned = (*lab)->settle(*empty);
  EXPECT_TRUE(cleaned) << cleaned.error().message;
  if (!cleaned) labs->drop(*scenario);
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Lab, ::testing::ValuesIn(testing::scenario_files()),
                         [](const auto& info) { return testing::test_name(info.param); });

}  // namespace
}  // namespace carrick::cluster_tests
