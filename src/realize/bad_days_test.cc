#include <gtest/gtest.h>

#include <random>
#include <set>

#include "desired/test_cluster.h"
#include "realize/encode.h"
#include "realize/lists.h"

// Services on days when maps are full and the agent dies between any two writes: no frontend ever names a list that is
// not whole, and in the end the maps hold the plan.
namespace carrick::realize {
namespace {

using net::IpAddress;
using std::chrono::milliseconds;

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
const reconcile::Time kStart{};
const NodeConfig kNode{.uplink_ifindex = 2, .addresses = {ip("192.0.2.11")}};

std::map<std::string, std::map<std::string, std::string, std::less<>>> contents(kernel::FakePrograms& programs) {
  std::map<std::string, std::map<std::string, std::string, std::less<>>> all;
  for (const auto& map : programs.maps)
    if (map->shape().name != "config") all[map->shape().name] = map->rows;
  return all;
}

desired::FrontendKey key_of(int service) {
  return {IpAddress::v4(0x0a600000u + static_cast<uint32_t>(service)), 80, net::Protocol::kTcp};
}

// A Service of so many endpoints, the first of them `first`.
void set_service(desired::Tables& tables, int service, int endpoints, int first = 0, bool consistent = false,
                 int sources = 0) {
  desired::FrontendRow row;
  row.service_id = static_cast<uint64_t>(service) + 1;
  row.owner = {.kind = "Service", .namespace_ = "x", .name = fmt::format("s{}", service)};
  row.consistent = consistent;
  for (int i = 0; i < endpoints; ++i)
    row.backends.push_back({.address = IpAddress::v4(0x0a010000u + static_cast<uint32_t>(first + i)), .port = 8080});
  for (int i = 0; i < sources; ++i)
    row.source_ranges.push_back(net::Prefix::host(IpAddress::v4(0xcb007100u + static_cast<uint32_t>(first + i))));
  tables.frontends.insert_or_assign(key_of(service), row);
}

desired::Tables empty_tables() {
  desired::Tables tables;
  tables.revision = 1;
  tables.prune = true;
  return tables;
}

// Every frontend in the maps with lists that are not whole: what a packet would fall into.
std::vector<std::string> holes(kernel::FakePrograms& programs) {
  std::vector<std::string> out;
  std::map<uint64_t, size_t> backends, members, chunks, sources;
  for (const auto& [key, value] : programs.fake_map("backends").rows) ++backends[list_of(ListMap::kBackends, key)];
  for (const auto& [key, value] : programs.fake_map("members").rows) ++members[list_of(ListMap::kMembers, key)];
  for (const auto& [key, value] : programs.fake_map("choices").rows) ++chunks[list_of(ListMap::kChoices, key)];
  for (const auto& [key, value] : programs.fake_map("sources").rows) ++sources[list_of(ListMap::kSources, key)];
  for (const auto& [key, bytes] : programs.fake_map("frontends").rows) {
    frontend_value value;
    std::memcpy(&value, bytes.data(), sizeof value);
    const size_t due = value.count <= FEW_BACKENDS ? 0 : value.count;  // shorter lists are looked through
    if (value.count != backends[value.set] || due != members[value.set])
      out.push_back(
          fmt::format("{} backends, {} rows, {} members", value.count, backends[value.set], members[value.set]));
    if (value.table && chunks[value.table] == 0) out.push_back("no table");
    if (value.sources && sources[value.sources] == 0) out.push_back("no clients");
  }
  return out;
}

std::optional<size_t> backends_of(kernel::FakePrograms& programs, int service) {
  desired::FrontendTable table;
  table[key_of(service)];
  const auto row = programs.fake_map("frontends").rows.find(encode_services(table).frontends.at(0).key);
  if (row == programs.fake_map("frontends").rows.end()) return {};
  frontend_value value;
  std::memcpy(&value, row->second.data(), sizeof value);
  return value.count;
}

std::set<std::string> owners(const Status& status) {
  std::set<std::string> out;
  for (const auto& failure : status.failures) out.insert(failure.owner);
  return out;
}

// One bad row of a plan: the map that is too small.
struct Small {
  const char* name;
  kernel::MapSizes sizes;
};

class FullMap : public testing::TestWithParam<Small> {};

// The endpoints of one Service multiply until they do not fit: it keeps those it had, says so, the others change as
// they like, and when room is made it has what it wants.
TEST_P(FullMap, RefusesTheChangeThatDoesNotFitAndHeals) {
  kernel::FakePrograms programs(GetParam().sizes);
  auto realizer = Realizer::create(programs).value();
  auto tables = empty_tables();
  for (int i = 0; i < 4; ++i) set_service(tables, i, 2, 10 * i);
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart)->settled);
  set_service(tables, 1, 200, 1000);
  set_service(tables, 2, 1, 20);
  tables.revision = 2;
  auto status = realizer->apply(tables, kNode, kStart).value();
  EXPECT_FALSE(status.settled);
  EXPECT_EQ(owners(status), (std::set<std::string>{"Service x/s1"}));
  EXPECT_NE(status.failures[0].error.message.find("has room for"), std::string::npos)
      << status.failures[0].error.message;
  EXPECT_LE(status.failures.size(), 2u) << "one sentence, not one for each endpoint";
  EXPECT_EQ(backends_of(programs, 1), 2u) << "what it had before";
  EXPECT_EQ(backends_of(programs, 2), 1u);
  EXPECT_EQ(holes(programs), std::vector<std::string>());
  // Others go on.
  set_service(tables, 7, 3, 500);
  tables.frontends.erase(key_of(0));
  status = realizer->apply(tables, kNode, kStart + milliseconds(50)).value();
  EXPECT_EQ(backends_of(programs, 7), 3u);
  EXPECT_EQ(backends_of(programs, 0), std::nullopt);
  EXPECT_EQ(holes(programs), std::vector<std::string>());
  // It wishes for less, and there is room at once.
  set_service(tables, 1, 5, 1000);
  tables.revision = 3;
  status = realizer->apply(tables, kNode, kStart + milliseconds(60)).value();
  for (int i = 0; i < 10 && !status.settled; ++i) status = realizer->retry(kStart + std::chrono::hours(1 + i)).value();
  EXPECT_TRUE(status.settled);
  EXPECT_EQ(status.revision, 3u);
  EXPECT_EQ(backends_of(programs, 1), 5u);
  kernel::FakePrograms fresh;
  ASSERT_TRUE(Realizer::create(fresh).value()->apply(tables, kNode, kStart)->settled);
  EXPECT_EQ(contents(programs), contents(fresh));
}

kernel::MapSizes with(uint32_t kernel::MapSizes::* map, uint32_t rows) {
  kernel::MapSizes sizes;
  sizes.*map = rows;
  return sizes;
}

INSTANTIATE_TEST_SUITE_P(Maps, FullMap,
                         testing::Values(Small{"backends", with(&kernel::MapSizes::backends, 30)},
                                         Small{"members", with(&kernel::MapSizes::members, 30)}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(BadDays, ServicesThatDoNotFitWaitForTheirTurn) {
  kernel::FakePrograms programs(with(&kernel::MapSizes::backends, 20));
  auto realizer = Realizer::create(programs).value();
  auto tables = empty_tables();
  for (int i = 0; i < 10; ++i) set_service(tables, i, 3, 10 * i);
  auto status = realizer->apply(tables, kNode, kStart).value();
  size_t there = 0;
  for (int i = 0; i < 10; ++i) there += backends_of(programs, i).has_value();
  EXPECT_EQ(there, 6u) << "as many as there is room for, each of them whole";
  EXPECT_EQ(owners(status).size(), 4u);
  EXPECT_EQ(holes(programs), std::vector<std::string>());
  for (int i = 0; i < 10; i += 2) tables.frontends.erase(key_of(i));
  status = realizer->apply(tables, kNode, kStart).value();
  for (int i = 0; i < 10 && !status.settled; ++i) {
    ASSERT_TRUE(status.next_retry) << "it must come back by itself";
    status = realizer->retry(*status.next_retry).value();
  }
  EXPECT_TRUE(status.settled);
  for (int i = 1; i < 10; i += 2) EXPECT_EQ(backends_of(programs, i), 3u);
}

// Frontends themselves: as many as fit, the others are named, room heals (AFullMapFailsTheLastRowsAndSaysWhose says the
// rest). Sources and choices by the same rule as backends.
TEST(BadDays, ListsOfClientsAndChoicesThatDoNotFitAreRefusedToo) {
  for (auto map : {&kernel::MapSizes::sources, &kernel::MapSizes::choices}) {
    kernel::FakePrograms programs(with(map, 3));
    auto realizer = Realizer::create(programs).value();
    auto tables = empty_tables();
    set_service(tables, 1, 2, 0);
    ASSERT_TRUE(realizer->apply(tables, kNode, kStart)->settled);
    set_service(tables, 1, 2, 0, true, 5);
    set_service(tables, 2, 4, 50);
    auto status = realizer->apply(tables, kNode, kStart).value();
    EXPECT_EQ(owners(status), (std::set<std::string>{"Service x/s1"}));
    EXPECT_EQ(backends_of(programs, 1), 2u);
    EXPECT_EQ(backends_of(programs, 2), 4u);
    EXPECT_EQ(holes(programs), std::vector<std::string>());
    set_service(tables, 1, 2, 0);
    EXPECT_TRUE(realizer->apply(tables, kNode, kStart)->settled);
  }
}

// The agent is killed after each single write of a sequence of changes, and started again: at no moment does a
// frontend name a list that is not whole, and after the restart the maps are those of a fresh node.
TEST(BadDays, KilledBetweenAnyTwoWrites) {
  std::vector<desired::Tables> plan;
  auto tables = empty_tables();
  const auto step = [&] {
    ++tables.revision;
    plan.push_back(tables);
  };
  for (int i = 0; i < 3; ++i) set_service(tables, i, 2 + i, 10 * i, i == 1, i);
  step();
  set_service(tables, 0, 5, 3);
  tables.frontends.erase(key_of(1));
  step();
  set_service(tables, 1, 3, 30, true, 2);
  set_service(tables, 2, 0);
  step();
  set_service(tables, 2, 1, 40);
  set_service(tables, 1, 3, 31, true, 2);
  step();
  for (size_t after = 0;; ++after) {
    kernel::FakePrograms programs;
    size_t writes = 0;
    bool dead = false;
    for (const auto& map : programs.maps) {
      map->fault = [&]() -> std::optional<Error> {
        if (dead || writes >= after) {
          dead = true;
          return Error{ErrorKind::kTransient, "killed"};
        }
        return {};
      };
      map->on_write = [&](const std::string&, bool) {
        ++writes;
        EXPECT_EQ(holes(programs), std::vector<std::string>()) << "after write " << writes;
      };
    }
    size_t reached = 0;
    if (auto realizer = Realizer::create(programs))
      for (; reached < plan.size() && !dead; ++reached) (void)(*realizer)->apply(plan[reached], kNode, kStart);
    if (!dead) break;  // the whole sequence needs fewer writes
    for (const auto& map : programs.maps) map->fault = nullptr;
    // It comes up with the newest state, or with nothing known yet.
    auto again = Realizer::create(programs).value();
    if (after % 2) {
      desired::Tables nothing_yet;
      ASSERT_TRUE(again->apply(nothing_yet, kNode, kStart));
    }
    ASSERT_TRUE(again->apply(plan.back(), kNode, kStart)->settled) << "killed after " << after;
    kernel::FakePrograms fresh;
    ASSERT_TRUE(Realizer::create(fresh).value()->apply(plan.back(), kNode, kStart)->settled);
    ASSERT_EQ(contents(programs), contents(fresh)) << "killed after " << after;
    ASSERT_LT(after, 2000u);
  }
}

// Random changes under faults, in maps that are nearly full: whatever fails, no frontend names a list with a hole.
TEST(BadDays, NoHoleWhateverFails) {
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    kernel::MapSizes sizes;
    sizes.backends = 6 * 24 + 3;  // the lists of the end find room beside any others
    sizes.members = 100 + random() % 40;
    kernel::FakePrograms programs(sizes);
    programs.fail_one_in(8, random);
    auto realizer = Realizer::create(programs).value();
    auto tables = empty_tables();
    reconcile::Time now = kStart;
    for (int step = 0; step < 60; ++step) {
      const int service = static_cast<int>(random() % 6);
      if (random() % 5)
        set_service(tables, service, static_cast<int>(3 * (random() % 9)), static_cast<int>(random() % 4),
                    random() % 3 == 0, static_cast<int>(random() % 3));
      else
        tables.frontends.erase(key_of(service));
      if (step % 11 == 10) realizer = Realizer::create(programs).value();
      (void)realizer->apply(tables, kNode, now);
      ASSERT_EQ(holes(programs), std::vector<std::string>()) << "seed " << seed << ", step " << step;
      now += milliseconds(random() % 300);
    }
    for (int i = 0; i < 6; ++i) set_service(tables, i, 3, i);
    (void)realizer->apply(tables, kNode, now);
    for (int i = 0; i < 200 && !realizer->status().settled; ++i) (void)realizer->retry(now += milliseconds(30000));
    kernel::FakePrograms fresh;
    ASSERT_TRUE(Realizer::create(fresh).value()->apply(tables, kNode, kStart)->settled);
    EXPECT_EQ(contents(programs), contents(fresh)) << "seed " << seed;
  }
}

// A backend that comes and goes 100 times a second for ten seconds, seen at every change or at some: each costs a few
// rows whatever else there is, and the end is right.
TEST(BadDays, AFlappingBackendEndsInTheRightState) {
  using desired::testing::TestCluster;
  for (unsigned look_every : {1u, 3u}) {
    TestCluster cluster;
    cluster.add_namespace("x");
    for (int i = 0; i < 2; ++i) cluster.add_node(i);
    const auto slice = [&](int service, bool ready) {
      const std::string name = fmt::format("s{}", service);
      std::vector<k8s::Endpoint> endpoints;
      for (int i = 0; i < 4; ++i)
        endpoints.push_back({.addresses = {fmt::format("10.1.{}.{}", service, i + 1)},
                             .conditions = {i != 0 || ready, i != 0 || ready, false},
                             .nodeName = "node-1"});
      cluster.add_slice("x", name + "-1", name, {{"http", "TCP", std::nullopt, 8080}}, std::move(endpoints));
    };
    for (int i = 0; i < 50; ++i) {
      cluster.add_service("x", fmt::format("s{}", i), {fmt::format("10.96.1.{}", i)}, {{"http", "TCP", {}, 80, 0}});
      slice(i, true);
    }
    cluster.snapshot.synced = true;
    kernel::FakePrograms programs;
    auto realizer = Realizer::create(programs).value();
    desired::Compiler compiler;
    uint64_t most = 0;
    const auto look = [&] {
      uint64_t before = 0, after = 0;
      for (const auto& map : programs.maps) before += map->writes;
      ++cluster.snapshot.revision;
      ASSERT_TRUE(realizer->apply(compiler.apply(cluster.snapshot, cluster.changes, cluster.view(0)), kNode, kStart));
      cluster.publish();
      for (const auto& map : programs.maps) after += map->writes;
      if (cluster.snapshot.revision > 5) most = std::max(most, after - before);
    };
    look();
    std::mt19937 random(look_every);
    for (int flip = 0; flip < 1000; ++flip) {
      slice(7, flip % 2 != 0);
      if (random() % look_every == 0) look();
    }
    slice(7, false);
    look();
    // Two lists of at most 4 backends and members, a frontend, the epoch.
    EXPECT_LE(most, 18u);
    EXPECT_TRUE(realizer->status().settled);
    kernel::FakePrograms fresh;
    auto all = Realizer::create(fresh).value();
    ASSERT_TRUE(all->apply(desired::compile(cluster.snapshot, cluster.view(0)), kNode, kStart)->settled);
    EXPECT_EQ(contents(programs), contents(fresh));
  }
}

}  // namespace
}  // namespace carrick::realize
