#include <gmock/gmock.h>

#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kStatefulSet =
    R"({"apiVersion":"apps/v1","kind":"StatefulSet","metadata":{"name":"db","namespace":"default"},
  "spec":{"replicas":3,"serviceName":"db-peers","selector":{"matchLabels":{"app":"db"}},
    "template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[{"name":"c","image":"db:1","volumeMounts":[{"name":"data","mountPath":"/d"}]}]}},
    "volumeClaimTemplates":[{"metadata":{"name":"data"},"spec":{}}]}})";

std::vector<std::string> names(const World& world) {
  std::vector<std::string> out;
  for (const auto& pod : world.all<k8s::Pod>("default")) out.push_back(pod.metadata.name);
  return out;
}

std::map<std::string, std::string> images(const World& world) {
  std::map<std::string, std::string> out;
  for (const auto& pod : world.all<k8s::Pod>("default")) out[pod.metadata.name] = pod.spec.containers.at(0).image;
  return out;
}

TEST(StatefulSet, PodsComeInOrderWithStableNames) {
  World world;
  world.kubelet.ready = [](const std::string& name) { return name == "db-0"; };
  world.make(kStatefulSet);
  world.settle();
  EXPECT_THAT(names(world), ElementsAre("db-0", "db-1")) << "db-2 waits for db-1";
  world.kubelet.ready = [](const std::string&) { return true; };
  world.kubelet.look_again();
  world.settle();
  EXPECT_THAT(names(world), ElementsAre("db-0", "db-1", "db-2"));
  const auto pod = world.get<k8s::Pod>({"default", "db-1"});
  EXPECT_EQ(pod->spec.hostname, "db-1");
  EXPECT_EQ(pod->spec.subdomain, "db-peers");
  EXPECT_EQ(pod->metadata.labels.at("statefulset.kubernetes.io/pod-name"), "db-1");
  EXPECT_EQ(pod->metadata.labels.at("apps.kubernetes.io/pod-index"), "1");
  const auto document = world.cluster.get(k8s::resource<k8s::Pod>(), {"default", "db-1"});
  EXPECT_EQ(
      text_at(array_at(*document, {"spec", "volumes"})->at(0).as_object(), {"persistentVolumeClaim", "claimName"}),
      "data-db-1");
  const auto status = world.status<k8s::StatefulSet>({"default", "db"});
  EXPECT_EQ(number_at(status, {"readyReplicas"}), 3);
  EXPECT_EQ(number_at(status, {"updatedReplicas"}), 3);
  EXPECT_EQ(text_at(status, {"currentRevision"}), text_at(status, {"updateRevision"}));
}

TEST(StatefulSet, ParallelWaitsForNobody) {
  World world;
  world.kubelet.ready = [](const std::string&) { return false; };
  json::object set = json::parse(kStatefulSet).as_object();
  set["spec"].as_object()["podManagementPolicy"] = "Parallel";
  world.make(set);
  world.settle();
  EXPECT_THAT(names(world), SizeIs(3));
}

TEST(StatefulSet, ScalesDownFromTheTopOneAtATime) {
  World world;
  world.make(kStatefulSet);
  world.settle();
  world.edit<k8s::StatefulSet>({"default", "db"}, [](json::object& set) { set["spec"].as_object()["replicas"] = 1; });
  world.controllers->run_until_idle();
  EXPECT_TRUE(world.get<k8s::Pod>({"default", "db-2"})->metadata.deletionTimestamp);
  EXPECT_FALSE(world.get<k8s::Pod>({"default", "db-1"})->metadata.deletionTimestamp);
  world.settle();
  EXPECT_THAT(names(world), ElementsAre("db-0"));
}

TEST(StatefulSet, UpdatesFromTheTopDownToThePartition) {
  World world;
  world.make(kStatefulSet);
  world.settle();
  world.edit<k8s::StatefulSet>({"default", "db"}, [](json::object& set) {
    set["spec"].as_object()["updateStrategy"] =
        json::object{{"type", "RollingUpdate"}, {"rollingUpdate", {{"partition", 2}}}};
  });
  world.set_image<k8s::StatefulSet>({"default", "db"}, "db:2");
  world.settle();
  EXPECT_THAT(images(world),
              ElementsAre(std::pair("db-0", "db:1"), std::pair("db-1", "db:1"), std::pair("db-2", "db:2")));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Pod>(), {"default", "db-0"}));
  world.settle();
  EXPECT_EQ(images(world).at("db-0"), "db:1") << "below the partition a pod comes back as it was";
  world.edit<k8s::StatefulSet>({"default", "db"}, [](json::object& set) {
    set["spec"].as_object()["updateStrategy"].as_object()["rollingUpdate"].as_object()["partition"] = 0;
  });
  world.settle();
  EXPECT_THAT(images(world),
              ElementsAre(std::pair("db-0", "db:2"), std::pair("db-1", "db:2"), std::pair("db-2", "db:2")));
  const auto status = world.status<k8s::StatefulSet>({"default", "db"});
  EXPECT_EQ(text_at(status, {"currentRevision"}), text_at(status, {"updateRevision"}));
  const auto revisions = world.cluster.list(*k8s::find_by_kind("apps/v1", "ControllerRevision"));
  ASSERT_THAT(revisions, SizeIs(2));
  for (const auto& revision : revisions)
    EXPECT_EQ(text_at(*revision, {"metadata", "labels", "app"}), "db") << "kubectl finds them by the selector";
}

constexpr const char* kDaemonSet =
    R"({"apiVersion":"apps/v1","kind":"DaemonSet","metadata":{"name":"ds","namespace":"default"},
  "spec":{"selector":{"matchLabels":{"app":"ds"}},"template":{"metadata":{"labels":{"app":"ds"}},"spec":{"nodeSelector":{"role":"worker"},"containers":[{"name":"c","image":"ds:1"}]}}}})";

std::map<std::string, int> pods_per_node(const World& world) {
  std::map<std::string, int> out;
  for (const auto& pod : world.all<k8s::Pod>("default")) ++out[pod.spec.nodeName];
  return out;
}

TEST(DaemonSet, OnePodOnEveryNodeThatMayHaveOne) {
  World world(0);
  const char* worker = R"({"labels":{"role":"worker"}})";
  world.add_node("a", worker);
  world.add_node("b", worker);
  world.add_node(
      "cordoned", worker,
      R"({"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]})");
  world.add_node("tainted", worker, R"({"taints":[{"key":"x","effect":"NoSchedule"}]})");
  world.add_node("other");
  world.make(kDaemonSet);
  world.settle();
  EXPECT_THAT(pods_per_node(world), ElementsAre(std::pair("a", 1), std::pair("b", 1), std::pair("cordoned", 1)));
  const auto status = world.status<k8s::DaemonSet>({"default", "ds"});
  EXPECT_EQ(number_at(status, {"desiredNumberScheduled"}), 3);
  EXPECT_EQ(number_at(status, {"numberAvailable"}), 3);
  EXPECT_EQ(number_at(status, {"updatedNumberScheduled"}), 3);

  world.edit<k8s::Node>({"", "other"}, [](json::object& node) {
    node["metadata"].as_object()["labels"] = json::object{{"role", "worker"}};
  });
  world.edit<k8s::Node>({"", "a"}, [](json::object& node) { node["metadata"].as_object()["labels"] = json::object{}; });
  // NoSchedule leaves the pod that is there; NoExecute sends it away.
  world.edit<k8s::Node>({"", "b"}, [](json::object& node) {
    node["spec"].as_object()["taints"] = json::parse(R"([{"key":"x","effect":"NoSchedule"}])");
  });
  world.edit<k8s::Node>({"", "cordoned"}, [](json::object& node) {
    node["spec"].as_object()["taints"] = json::parse(R"([{"key":"x","effect":"NoExecute"}])");
  });
  world.settle();
  EXPECT_THAT(pods_per_node(world), ElementsAre(std::pair("b", 1), std::pair("other", 1)));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Node>(), {"", "other"}));
  world.settle();
  EXPECT_THAT(pods_per_node(world), ElementsAre(std::pair("b", 1)));
}

TEST(DaemonSet, UpdatesOneNodeAtATime) {
  World world(0);
  for (const char* node : {"a", "b", "c"}) world.add_node(node, R"({"labels":{"role":"worker"}})");
  world.make(kDaemonSet);
  world.settle();
  world.set_image<k8s::DaemonSet>({"default", "ds"}, "ds:2");
  while (world.step()) {
    int ready = 0;
    for (const auto& pod : world.all<k8s::Pod>("default")) {
      for (const auto& c : pod.status.conditions)
        ready += c.type == "Ready" && c.status == "True" && !pod.metadata.deletionTimestamp;
    }
    ASSERT_GE(ready, 2);
  }
  for (const auto& [name, image] : images(world)) EXPECT_EQ(image, "ds:2") << name;
  EXPECT_THAT(images(world), SizeIs(3));
}

json::object job(const std::string& spec) {
  return json::
      parse(R"({"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"j","namespace":"default"},"spec":{)" + spec +
            R"("template":{"metadata":{"labels":{"x":"y"}},"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})")
          .as_object();
}

std::string job_condition(const World& world) {
  const auto status = world.status<k8s::Job>({"default", "j"});
  const auto* conditions = array_at(status, {"conditions"});
  for (const char* type : {"Complete", "Failed", "Suspended"}) {
    const auto* found = conditions ? find_condition(*conditions, type) : nullptr;
    if (found && text_at(*found, {"status"}) == "True") return fmt::format("{}/{}", type, text_at(*found, {"reason"}));
  }
  return "";
}

TEST(Job, RunsAsManyAsAllowedUntilEnoughSucceeded) {
  World world;
  world.make(job(R"("completions":5,"parallelism":2,)"));
  world.settle();
  EXPECT_EQ(number_at(world.status<k8s::Job>({"default", "j"}), {"active"}), 2);
  EXPECT_THAT(names(world), SizeIs(2));
  EXPECT_EQ(world.all<k8s::Pod>("default")[0].metadata.labels.at("job-name"), "j");
  world.kubelet.phase = [](const std::string&) { return "Succeeded"; };
  world.kubelet.look_again();
  world.settle();
  EXPECT_EQ(job_condition(world), "Complete/CompletionsReached");
  EXPECT_EQ(number_at(world.status<k8s::Job>({"default", "j"}), {"succeeded"}), 5);
  EXPECT_THAT(names(world), SizeIs(5));
}

TEST(Job, GivesUpAfterBackoffLimit) {
  World world;
  world.kubelet.phase = [](const std::string&) { return "Failed"; };
  world.make(job(R"("backoffLimit":2,)"));
  world.settle();
  EXPECT_EQ(job_condition(world), "Failed/BackoffLimitExceeded");
  EXPECT_EQ(number_at(world.status<k8s::Job>({"default", "j"}), {"failed"}), 3);
}

TEST(Job, DeadlineSuspendAndTtl) {
  World world;
  world.make(job(R"("suspend":true,"activeDeadlineSeconds":60,"ttlSecondsAfterFinished":100,)"));
  world.settle();
  EXPECT_THAT(names(world), IsEmpty());
  EXPECT_EQ(job_condition(world), "Suspended/JobSuspended");
  world.edit<k8s::Job>({"default", "j"}, [](json::object& j) { j["spec"].as_object()["suspend"] = false; });
  world.settle();
  EXPECT_THAT(names(world), SizeIs(1));
  world.advance(std::chrono::seconds(60));
  EXPECT_EQ(job_condition(world), "Failed/DeadlineExceeded");
  EXPECT_THAT(names(world), IsEmpty());
  world.advance(std::chrono::seconds(100));
  EXPECT_FALSE(world.get<k8s::Job>({"default", "j"}));
}

TEST(Job, IndexedPodsHaveTheirNumbers) {
  World world;
  world.kubelet.phase = [](const std::string& name) { return name.starts_with("j-1-") ? "Running" : "Succeeded"; };
  world.make(job(R"("completionMode":"Indexed","completions":4,"parallelism":3,)"));
  world.settle();
  EXPECT_EQ(text_at(world.status<k8s::Job>({"default", "j"}), {"completedIndexes"}), "0,2,3");
  std::set<std::string> hostnames;
  for (const auto& pod : world.all<k8s::Pod>("default")) hostnames.insert(pod.spec.hostname);
  EXPECT_THAT(hostnames, ElementsAre("j-0", "j-1", "j-2", "j-3"));
}

}  // namespace
}  // namespace carrick::controllers
