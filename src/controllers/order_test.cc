// Properties of all controllers together: the order of events, repetition and restarts do not change where they end.
#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <random>

#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

std::string deployment(int i, int replicas, const std::string& image) {
  return fmt::format(R"({{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"d{0}","namespace":"default"}},
    "spec":{{"replicas":{1},"selector":{{"matchLabels":{{"app":"d{0}"}}}},"template":{{"metadata":{{"labels":{{"app":"d{0}"}}}},"spec":{{"containers":[{{"name":"c","image":"{2}","ports":[{{"name":"http","containerPort":80}}]}}]}}}}}}}})",
                     i, replicas, image);
}

std::string service(int i) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s{0}","namespace":"default"}},"spec":{{"clusterIP":"10.96.5.{0}","ipFamilies":["IPv4"],"selector":{{"app":"d{0}"}},"ports":[{{"port":80,"targetPort":"http"}}]}}}})",
      i);
}

// What users can tell apart: names with random endings, addresses and times left out.
std::string end_state(const World& world) {
  std::string out;
  for (const auto& d : world.all<k8s::Deployment>("default")) {
    out += fmt::format("{} {}/{}/{}\n", d.metadata.name, d.status.replicas, d.status.updatedReplicas,
                       d.status.availableReplicas);
  }
  std::map<std::string, int> pods;
  for (const auto& pod : world.all<k8s::Pod>("default")) {
    const auto app = pod.metadata.labels.find("app");
    ++pods[fmt::format("{} {} {}", app == pod.metadata.labels.end() ? "-" : app->second,
                       pod.spec.containers.at(0).image, pod.spec.nodeName.empty() ? "nowhere" : "placed")];
  }
  for (const auto& [what, count] : pods) out += fmt::format("{} x{}\n", what, count);
  std::map<std::string, size_t> endpoints;
  for (const auto& slice : world.all<k8s::EndpointSlice>("default")) {
    auto& count = endpoints[slice.metadata.labels.at("kubernetes.io/service-name")];
    for (const auto& endpoint : slice.endpoints) count += endpoint.conditions.ready.value_or(false);
  }
  for (const auto& [name, count] : endpoints) out += fmt::format("{} {} endpoints\n", name, count);
  for (const auto& node : world.all<k8s::Node>()) out += fmt::format("{} {}\n", node.metadata.name, node.spec.podCIDR);
  return out;
}

// Every endpoint is a living pod and every pod that a Service selects is an endpoint: an independent count.
void expect_consistent(const World& world) {
  for (const auto& service : world.all<k8s::Service>("default")) {
    std::set<std::string> wanted, have;
    for (const auto& pod : world.all<k8s::Pod>("default")) {
      if (k8s::matches(service.spec.selector, pod.metadata.labels) && !pod.status.podIPs.empty())
        wanted.insert(pod.status.podIPs[0].ip);
    }
    for (const auto& slice : world.all<k8s::EndpointSlice>("default")) {
      if (slice.metadata.labels.at("kubernetes.io/service-name") != service.metadata.name) continue;
      for (const auto& endpoint : slice.endpoints) EXPECT_TRUE(have.insert(endpoint.addresses.at(0)).second) << "twice";
    }
    EXPECT_EQ(wanted, have) << service.metadata.name;
  }
  for (const auto& set : world.all<k8s::ReplicaSet>("default")) {
    EXPECT_EQ(set.status.replicas, set.spec.replicas.value_or(1)) << set.metadata.name;
  }
}

struct Action {
  std::string what;
  std::function<void(World&)> act;
};

std::vector<Action> actions() {
  std::vector<Action> list;
  for (int i = 1; i <= 4; ++i) {
    list.push_back({"deployment", [i](World& w) { w.make(deployment(i, i + 1, "v1")); }});
    list.push_back({"service", [i](World& w) { w.make(service(i)); }});
    list.push_back({"node", [i](World& w) { w.add_node(fmt::format("node-{}", i)); }});
  }
  return list;
}

class Order : public testing::TestWithParam<int> {};

TEST_P(Order, OfCreationDoesNotMatter) {
  World plain(0);
  for (const auto& action : actions()) action.act(plain);
  plain.settle();

  std::mt19937 random(GetParam());
  World shuffled(0);
  auto list = actions();
  std::ranges::shuffle(list, random);
  for (const auto& action : list) {
    action.act(shuffled);
    switch (random() % 4) {
      case 0:
        shuffled.settle();
        break;
      case 1:
        shuffled.controllers->run_until_idle(random() % 5);
        break;
      case 2:
        shuffled.kubelet.run();
        break;
      default:
        break;
    }
  }
  shuffled.settle();
  EXPECT_EQ(end_state(shuffled), end_state(plain));
  expect_consistent(shuffled);
}

TEST_P(Order, ChaosEndsWhereAFreshStartWouldEnd) {
  std::mt19937 random(GetParam());
  World world(3);
  std::map<int, std::pair<int, std::string>> wanted;
  for (int step = 0; step < 120; ++step) {
    const int i = 1 + static_cast<int>(random() % 4);
    const bool there = wanted.contains(i);
    switch (random() % 8) {
      case 0:
        if (there) break;
        wanted[i] = {static_cast<int>(random() % 6), "v1"};
        world.make(deployment(i, wanted[i].first, "v1"));
        break;
      case 1:
        if (!there) break;
        wanted.erase(i);
        EXPECT_TRUE(world.cluster.remove(k8s::resource<k8s::Deployment>(), {"default", fmt::format("d{}", i)}));
        break;
      case 2:
      case 3:
        if (!there) break;
        wanted[i] = {static_cast<int>(random() % 6), fmt::format("v{}", random() % 3)};
        world.edit<k8s::Deployment>({"default", fmt::format("d{}", i)}, [&](json::object& d) {
          d["spec"].as_object()["replicas"] = wanted[i].first;
          d["spec"]
              .as_object()["template"]
              .as_object()["spec"]
              .as_object()["containers"]
              .as_array()[0]
              .as_object()["image"] = wanted[i].second;
        });
        break;
      case 4:
        if (!world.cluster.get(k8s::resource<k8s::Service>(), {"default", fmt::format("s{}", i)}))
          world.make(service(i));
        break;
      case 5: {
        const auto pods = world.all<k8s::Pod>("default");
        if (!pods.empty())
          (void)world.cluster.remove(k8s::resource<k8s::Pod>(), pods[random() % pods.size()].metadata.key());
        break;
      }
      case 6: {  // a restart of the controllers: everything they knew is gone
        Options options = World::quiet_options();
        options.now = [&world] { return world.clock; };
        world.controllers = std::make_unique<Controllers>(world.cluster, std::move(options));
        ASSERT_TRUE(world.controllers->start());
        break;
      }
      default:
        world.kubelet.run();
        break;
    }
    if (random() % 3 == 0) world.controllers->run_until_idle(random() % 40);
  }
  world.settle();
  world.advance(std::chrono::seconds(120));
  EXPECT_THAT(world.controllers->failures(), testing::IsEmpty());
  expect_consistent(world);
  std::map<std::string, int> pods, expected;
  for (const auto& pod : world.all<k8s::Pod>("default"))
    ++pods[pod.metadata.labels.at("app") + " " + pod.spec.containers.at(0).image];
  for (const auto& [i, want] : wanted) {
    if (want.first) expected[fmt::format("d{} {}", i, want.second)] = want.first;
  }
  EXPECT_EQ(pods, expected);

  // Nothing moves any more: not by another look, not by a restart.
  const uint64_t revision = world.cluster.revision();
  Options options = World::quiet_options();
  options.now = [&world] { return world.clock; };
  world.controllers = std::make_unique<Controllers>(world.cluster, std::move(options));
  ASSERT_TRUE(world.controllers->start());
  world.settle();
  EXPECT_EQ(world.cluster.revision(), revision);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Order, testing::Range(1, 13));

TEST(Conflict, IsTriedAgainAfterAWhile) {
  // Somebody else's write between the controller's look and its own.
  int refusals = 3;
  World world(1, World::quiet_options(),
              [&](const k8s::ResourceType& type, json::object& document, const json::object* old) -> Result<void> {
                if (type.kind == "Pod" && old && !text_at(document, {"spec", "nodeName"}).empty() &&
                    text_at(*old, {"spec", "nodeName"}).empty() && refusals-- > 0) {
                  return fail(ErrorKind::kConflict, "the object has been modified");
                }
                return {};
              });
  world.make(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p","namespace":"default"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  world.settle();
  EXPECT_EQ(world.get<k8s::Pod>({"default", "p"})->spec.nodeName, "") << "no busy loop: it waits for its time";
  ASSERT_TRUE(world.controllers->next_due());
  for (int i = 0; i < 3; ++i) world.advance(std::chrono::seconds(1));
  EXPECT_EQ(world.get<k8s::Pod>({"default", "p"})->spec.nodeName, "node-1");
  EXPECT_THAT(world.controllers->failures(), testing::IsEmpty());
}

TEST(Executor, WorkIsPostedInSlicesAndTimersWakeIt) {
  std::deque<std::function<void()>> strand;
  std::vector<std::function<void()>> timers;
  MemoryCluster cluster;
  PretendKubelet kubelet(cluster);
  Time clock = *parse_timestamp("2026-01-01T00:00:00Z");
  Options options = World::quiet_options();
  options.now = [&] { return clock; };
  options.post = [&](std::function<void()> work) { strand.push_back(std::move(work)); };
  options.after = [&](std::chrono::milliseconds, std::function<void()> work) { timers.push_back(std::move(work)); };
  auto run = [&] {
    do {
      while (!strand.empty()) {
        auto work = std::move(strand.front());
        strand.pop_front();
        work();
      }
    } while (kubelet.run() > 0);
  };
  auto controllers = std::make_unique<Controllers>(cluster, options);
  ASSERT_TRUE(controllers->start());
  run();
  ASSERT_TRUE(cluster.create(k8s::resource<k8s::Node>(), new_document(k8s::resource<k8s::Node>(), "", "node-1")));
  json::object set = json::parse(deployment(1, 200, "v1")).as_object();
  set["spec"].as_object()["minReadySeconds"] = 5;
  ASSERT_TRUE(cluster.create(k8s::resource<k8s::Deployment>(), set));
  EXPECT_EQ(strand.size(), 1u) << "one post for any number of changes";
  run();
  EXPECT_EQ(cluster.list(k8s::resource<k8s::Pod>()).size(), 200u);
  auto available = [&] {
    return number_at(*cluster.get(k8s::resource<k8s::Deployment>(), {"default", "d1"}), {"status", "availableReplicas"})
        .value_or(0);
  };
  EXPECT_EQ(available(), 0);
  clock += std::chrono::seconds(5);
  ASSERT_FALSE(timers.empty());
  for (auto& timer : std::exchange(timers, {})) timer();
  run();
  EXPECT_EQ(available(), 200);
  // What is still posted when the controllers go must not touch them.
  ASSERT_TRUE(cluster.create(k8s::resource<k8s::Node>(), new_document(k8s::resource<k8s::Node>(), "", "node-2")));
  controllers.reset();
  run();
  for (auto& timer : timers) timer();
}

}  // namespace
}  // namespace carrick::controllers
