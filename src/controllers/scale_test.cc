// Work in proportion: what a large cluster costs, counted in writes (time is printed, not judged: machines differ).
#include <gmock/gmock.h>

#include <ctime>
#include <deque>

#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

double cpu_seconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

TEST(Scale, AThousandPodsOnFiftyNodes) {
  World world(50);
  const double begin = cpu_seconds();
  const uint64_t before = world.cluster.revision();
  for (int i = 0; i < 20; ++i) {
    world.make(
        fmt::format(R"({{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"d{0}","namespace":"default"}},
      "spec":{{"replicas":50,"selector":{{"matchLabels":{{"app":"d{0}"}}}},"template":{{"metadata":{{"labels":{{"app":"d{0}","tier":"t"}}}},"spec":{{"containers":[{{"name":"c","image":"i","ports":[{{"name":"http","containerPort":80}}]}}]}}}}}}}})",
                    i));
    world.make(fmt::format(
        R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"s{0}","namespace":"default"}},"spec":{{"clusterIP":"10.96.5.{0}","clusterIPs":["10.96.5.{0}","2001:db8:96::5{0}"],"ipFamilies":["IPv4","IPv6"],"selector":{{"app":"d{0}"}},"ports":[{{"port":80,"targetPort":"http"}}]}}}})",
        i));
  }
  // One that selects all of them.
  world.make(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"all","namespace":"default"},"spec":{"clusterIP":"10.96.6.1","ipFamilies":["IPv4"],"selector":{"tier":"t"},"ports":[{"port":80,"targetPort":"http"}]}})");
  world.settle();
  size_t available = 0;
  for (const auto& deployment : world.all<k8s::Deployment>()) available += deployment.status.availableReplicas;
  EXPECT_EQ(available, 1000u);
  const uint64_t writes = world.cluster.revision() - before;
  std::map<std::string, int> per_node;
  for (const auto& pod : world.all<k8s::Pod>()) ++per_node[pod.spec.nodeName];
  for (const auto& [node, count] : per_node) EXPECT_EQ(count, 20) << node;
  // A pod: create, bind, PodScheduled, Ready and two Events; the rest is a small multiple of the Services and
  // Deployments.
  EXPECT_LE(writes, 1000u * 6 + 600);
  fmt::print("1,000 pods on 50 nodes: {} writes, {:.2f} s of CPU\n", writes, cpu_seconds() - begin);
}

TEST(Scale, PodsThatComeOneByOneDoNotWriteTheirServiceEachTime) {
  std::deque<std::function<void()>> strand;
  std::multimap<Time, std::function<void()>> timers;
  Time clock = *parse_timestamp("2026-01-01T00:00:00Z");
  Options options = World::quiet_options();
  options.record_events = false;
  options.now = [&] { return clock; };
  options.post = [&](std::function<void()> work) { strand.push_back(std::move(work)); };
  options.after = [&](std::chrono::milliseconds wait, std::function<void()> work) {
    timers.emplace(clock + wait, std::move(work));
  };
  MemoryCluster cluster;
  Controllers controllers(cluster, options);
  auto run = [&] {
    for (;;) {
      if (!strand.empty()) {
        auto work = std::move(strand.front());
        strand.pop_front();
        work();
      } else if (!timers.empty() && timers.begin()->first <= clock) {
        auto work = std::move(timers.begin()->second);
        timers.erase(timers.begin());
        work();
      } else {
        return;
      }
    }
  };
  ASSERT_TRUE(controllers.start());
  run();
  (void)cluster.create(k8s::resource<k8s::Node>(), new_document(k8s::resource<k8s::Node>(), "", "n"));
  auto make = [&](std::string_view text) {
    json::object document = json::parse(text).as_object();
    ASSERT_TRUE(
        cluster.create(*k8s::find_by_kind(text_at(document, {"apiVersion"}), text_at(document, {"kind"})), document));
  };
  make(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"all","namespace":"default"},"spec":{"clusterIP":"10.96.6.1","ipFamilies":["IPv4"],"selector":{"app":"d"},"ports":[{"port":80}]}})");
  make(
      R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs","namespace":"default"},"spec":{"replicas":1000,"selector":{"matchLabels":{"app":"d"}},"template":{"metadata":{"labels":{"app":"d"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})");
  run();
  size_t service_writes = 0;
  cluster.subscribe([&](const ObjectEvent& event) {
    service_writes += event.resource->kind == "EndpointSlice" || event.resource->kind == "Endpoints";
  });
  const double begin = cpu_seconds();
  int number = 0;
  for (const auto& pod : cluster.list(k8s::resource<k8s::Pod>())) {  // one status a millisecond
    json::object status = *object_at(*pod, {"status"});
    status["podIPs"] = json::array{{{"ip", fmt::format("10.1.{}.{}", number / 250, number % 250 + 2)}}};
    json::array conditions = *array_at(status, {"conditions"});
    set_condition(conditions, "Ready", true, "", "", clock);
    status["conditions"] = conditions;
    ASSERT_TRUE(write_status(cluster, k8s::resource<k8s::Pod>(), pod, status));
    ++number;
    clock += std::chrono::milliseconds(1);
    run();
  }
  fmt::print("1,000 pods one by one: {} writes of the Service, {:.2f} s of CPU\n", service_writes,
             cpu_seconds() - begin);
  EXPECT_LE(service_writes, 200u);
  clock += std::chrono::milliseconds(250);  // no later than that
  run();
  size_t ready = 0;
  for (const auto& document : cluster.list(k8s::resource<k8s::EndpointSlice>(), "default"))
    ready += k8s::decode<k8s::EndpointSlice>(*document)->endpoints.size();
  EXPECT_EQ(ready, 1000u);
}

}  // namespace
}  // namespace carrick::controllers
