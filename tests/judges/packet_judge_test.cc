#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/judges/packet_client.h"

// The second judge: the tables of every node in the maps of a loaded object, and packets through its programs.
namespace carrick::testing {
namespace {

constexpr int kFewTries = 4, kManyTries = 64;

// Objects are loaded once, for the nodes of the largest scenario; each scenario writes its tables into them.
class Machine {
 public:
  static Machine& get() {
    static Machine* const machine = new Machine;
    return *machine;
  }
  static void end() {
    get().doors.clear();
    get().planes.clear();
  }
  Result<void> have(const explain::World& world) {
    if (planes.empty()) TRY_VOID(enter_namespace_of_our_own());
    uint32_t last = 1;
    for (const auto& [name, view] : world.views) {
      for (const auto& [id, pod] : view.pods) last = std::max(last, pod.ifindex);
      if (planes.contains(name)) continue;
      planes[name] = TRY(NodePlane::load());
      doors[name] = TRY(SocketDoor::open(*planes[name], name));
    }
    return make_links(last);
  }
  PacketWalk::Planes planes;
  PacketClient::Doors doors;
};

class Ending : public ::testing::Environment {
 public:
  void TearDown() override { Machine::end(); }
};
[[maybe_unused]] auto* const ending = ::testing::AddGlobalTestEnvironment(new Ending);

class Runner {
 public:
  explicit Runner(const Scenario& scenario) : scenario_(scenario), objects_(scenario) {}

  void run() {
    for (const auto& step : scenario_.steps) {
      if (step.kind == Step::Kind::kApply) {
        auto now = needs_world(step) ? objects_.plan() : explain::World();
        ASSERT_TRUE(now) << now.error().message;
        auto applied = objects_.apply(step, *now);
        ASSERT_TRUE(applied) << applied.error().message;
      }
      if (step.kind == Step::Kind::kDelete) {
        auto removed = objects_.remove(step);
        ASSERT_TRUE(removed) << removed.error().message;
      }
      if (step.kind == Step::Kind::kExpect) expect(step);
      if (::testing::Test::HasFatalFailure()) return;
    }
  }

 private:
  void expect(const Step& step) {
    if (!step.mark.asks(Judge::kPackets)) return count_expectations(Judge::kPackets, 0, step.expectations.size());
    count_expectations(Judge::kPackets, step.expectations.size(), 0);
    auto world = objects_.plan();
    ASSERT_TRUE(world) << world.error().message;
    auto ready = Machine::get().have(*world);
    ASSERT_TRUE(ready) << ready.error().message;
    std::map<net::IpAddress, std::string> routes;
    for (const auto& [address, node] : scenario_.routes) routes[net::IpAddress::parse(address).value()] = node;
    for (const auto& [name, tables] : world->tables) {
      auto realized = Machine::get().planes.at(name)->realize(tables, world->views.at(name).addresses);
      ASSERT_TRUE(realized) << name << ": " << realized.error().message;
    }
    PacketWalk walk(*world, Machine::get().planes, routes);
    PacketClient client(*world, walk, Machine::get().doors);
    for (const auto& one : step.expectations) {
      auto asked = understand(*world, scenario_, step, one);
      ASSERT_TRUE(asked) << asked.error().message;
      auto seen = client.ask(*asked, wants_many_tries(one) ? kManyTries : kFewTries);
      ASSERT_TRUE(seen) << scenario_.file << ":" << one.line << ": " << seen.error().message;
      std::string wrong = disagreement(*world, scenario_, step, one, *asked, *seen);
      EXPECT_TRUE(wrong.empty()) << wrong;
      check_reasons(one, *seen);
    }
  }

  // Of owners a packet knows no more than whether a policy or a Service ended it.
  void check_reasons(const Expectation& one, const Seen& seen) {
    if (one.verdict != "deny" || !one.owner.starts_with("NetworkPolicy ")) return;
    for (const auto& reason : seen.reasons)
      EXPECT_TRUE(reason == "egress_denied" || reason == "ingress_denied")
          << scenario_.file << ":" << one.line << ": " << reason << "\n"
          << seen.story;
  }

  const Scenario& scenario_;
  ScenarioWorld objects_;
};

class Packets : public ::testing::TestWithParam<std::string> {};

TEST_P(Packets, Judge) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: loads BPF programs";
  auto scenario = load_scenario(GetParam());
  ASSERT_TRUE(scenario) << scenario.error().message;
  Runner(*scenario).run();
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Packets, ::testing::ValuesIn(scenario_files()),
                         [](const auto& info) { return test_name(info.param); });

}  // namespace
}  // namespace carrick::testing
