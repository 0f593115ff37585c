#include "controllers/controllers.h"

#include <gmock/gmock.h>

#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr const char* kDeployment =
    R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","namespace":"default"},
  "spec":{"replicas":4,"selector":{"matchLabels":{"app":"web"}},
    "template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"web:1","ports":[{"name":"http","containerPort":8080}]}],
      "volumes":[{"name":"v","emptyDir":{}}]}}}})";

std::string revision(const k8s::ObjectMeta& metadata) {
  const auto at = metadata.annotations.find("deployment.kubernetes.io/revision");
  return at == metadata.annotations.end() ? "" : at->second;
}

std::string condition(const json::object& status, std::string_view type) {
  const auto* conditions = array_at(status, {"conditions"});
  const auto* found = conditions ? find_condition(*conditions, type) : nullptr;
  return found ? fmt::format("{}/{}", text_at(*found, {"status"}), text_at(*found, {"reason"})) : "none";
}

TEST(Namespaces, SystemNamespacesAreMadeAndComeBack) {
  World world(0);
  std::vector<std::string> names;
  for (const auto& space : world.all<k8s::Namespace>()) names.push_back(space.metadata.name);
  EXPECT_THAT(names, testing::ElementsAre("default", "kube-node-lease", "kube-public", "kube-system"));
}

TEST(Namespaces, EveryOneHasItsAccountAndTheClusterCa) {
  Options options = World::quiet_options();
  options.ca_pem = "-----BEGIN CERTIFICATE-----";
  World world(0, options);
  world.make(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}})");
  world.settle();
  EXPECT_NE(world.cluster.get(*k8s::find_by_kind("v1", "ServiceAccount"), {"shop", "default"}), nullptr);
  EXPECT_EQ(world.get<k8s::ConfigMap>({"shop", "kube-root-ca.crt"})->data.at("ca.crt"), options.ca_pem);
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::ConfigMap>(), {"shop", "kube-root-ca.crt"}));
  world.settle();
  EXPECT_TRUE(world.get<k8s::ConfigMap>({"shop", "kube-root-ca.crt"}));
}

TEST(Namespaces, DeletionTakesEverythingThatIsInIt) {
  World world;
  world.make(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"shop"}})");
  json::object deployment = json::parse(kDeployment).as_object();
  deployment["metadata"].as_object()["namespace"] = "shop";
  world.make(deployment);
  world.make(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"shop"}})");
  world.settle();
  ASSERT_THAT(world.all<k8s::Pod>("shop"), SizeIs(4));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Namespace>(), {"", "shop"}));
  EXPECT_EQ(world.get<k8s::Namespace>({"", "shop"})->status.phase, "Terminating");
  world.settle();
  EXPECT_FALSE(world.get<k8s::Namespace>({"", "shop"}));
  for (const auto& type : k8s::resource_types()) EXPECT_THAT(world.cluster.list(type, "shop"), IsEmpty()) << type.kind;
}

TEST(Deployment, MakesPodsWithAllThatItsTemplateSays) {
  World world;
  world.make(kDeployment);
  world.settle();
  const auto sets = world.all<k8s::ReplicaSet>("default");
  ASSERT_THAT(sets, SizeIs(1));
  EXPECT_EQ(revision(sets[0].metadata), "1");
  const auto hash = sets[0].metadata.labels.at("pod-template-hash");
  EXPECT_EQ(sets[0].metadata.name, "web-" + hash);
  const auto pods = world.all<k8s::Pod>("default");
  ASSERT_THAT(pods, SizeIs(4));
  for (const auto& pod : pods) {
    EXPECT_EQ(pod.metadata.labels, (k8s::StringMap{{"app", "web"}, {"pod-template-hash", hash}}));
    EXPECT_TRUE(pod.metadata.name.starts_with(sets[0].metadata.name + "-"));
  }
  const auto pod = world.cluster.list(k8s::resource<k8s::Pod>(), "default").front();
  EXPECT_NE(array_at(*pod, {"spec", "volumes"}), nullptr) << "what the structs do not know must not be lost";
  const auto deployment = world.get<k8s::Deployment>({"default", "web"});
  EXPECT_EQ(revision(deployment->metadata), "1");
  EXPECT_EQ(deployment->status.availableReplicas, 4);
  EXPECT_EQ(deployment->status.observedGeneration, deployment->metadata.generation);
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Available"), "True/MinimumReplicasAvailable");
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Progressing"), "True/NewReplicaSetAvailable");
}

TEST(Deployment, RollingUpdateKeepsItsPromises) {
  World world;
  world.make(kDeployment);
  world.settle();
  world.set_image<k8s::Deployment>({"default", "web"}, "web:2");
  // 25 % of 4: at most 5 pods, at least 3 available, at every moment.
  while (world.step()) {
    int available = 0, living = 0;
    for (const auto& pod : world.all<k8s::Pod>("default")) {
      if (pod.metadata.deletionTimestamp) continue;
      ++living;
      for (const auto& c : pod.status.conditions) available += c.type == "Ready" && c.status == "True";
    }
    ASSERT_LE(living, 5);
    ASSERT_GE(available, 3);
  }
  for (const auto& pod : world.all<k8s::Pod>("default")) EXPECT_EQ(pod.spec.containers[0].image, "web:2");
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(4));
  EXPECT_EQ(revision(world.get<k8s::Deployment>({"default", "web"})->metadata), "2");
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Progressing"), "True/NewReplicaSetAvailable");
  // Back again: the old ReplicaSet becomes revision 3, no third one is made.
  world.set_image<k8s::Deployment>({"default", "web"}, "web:1");
  world.settle();
  EXPECT_THAT(world.all<k8s::ReplicaSet>("default"), SizeIs(2));
  EXPECT_EQ(revision(world.get<k8s::Deployment>({"default", "web"})->metadata), "3");
}

TEST(Deployment, ABrokenTemplateLeavesTheOldPodsAndSaysSoAfterItsDeadline) {
  World world;
  world.make(kDeployment);
  world.settle();
  std::set<std::string> old;
  for (const auto& pod : world.all<k8s::Pod>("default")) old.insert(pod.metadata.name);
  world.kubelet.ready = [&](const std::string& pod) { return old.contains(pod); };
  world.set_image<k8s::Deployment>({"default", "web"}, "web:broken");
  world.settle();
  EXPECT_EQ(world.get<k8s::Deployment>({"default", "web"})->status.availableReplicas, 3);
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Progressing"), "True/ReplicaSetUpdated");
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Available"), "True/MinimumReplicasAvailable");
  world.advance(std::chrono::seconds(601));
  EXPECT_EQ(condition(world.status<k8s::Deployment>({"default", "web"}), "Progressing"),
            "False/ProgressDeadlineExceeded");
}

TEST(Deployment, RecreateStartsNothingBeforeTheLastOldPodHasEnded) {
  World world;
  json::object deployment = json::parse(kDeployment).as_object();
  deployment["spec"].as_object()["strategy"] = json::object{{"type", "Recreate"}};
  world.make(deployment);
  world.settle();
  world.set_image<k8s::Deployment>({"default", "web"}, "web:2");
  while (world.step()) {
    std::set<std::string> images;
    for (const auto& pod : world.all<k8s::Pod>("default")) images.insert(pod.spec.containers[0].image);
    ASSERT_LE(images.size(), 1u);
  }
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(4));
  EXPECT_EQ(world.all<k8s::Pod>("default")[0].spec.containers[0].image, "web:2");
}

TEST(Deployment, ScalePauseAndHistory) {
  World world;
  world.make(kDeployment);
  world.settle();
  world.edit<k8s::Deployment>({"default", "web"}, [](json::object& d) { d["spec"].as_object()["replicas"] = 7; });
  world.settle();
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(7));
  world.edit<k8s::Deployment>({"default", "web"}, [](json::object& d) {
    d["spec"].as_object()["paused"] = true;
    d["spec"].as_object()["replicas"] = 2;
    d["spec"].as_object()["revisionHistoryLimit"] = 1;
  });
  world.set_image<k8s::Deployment>({"default", "web"}, "web:2");
  world.settle();
  ASSERT_THAT(world.all<k8s::Pod>("default"), SizeIs(2));
  EXPECT_EQ(world.all<k8s::Pod>("default")[0].spec.containers[0].image, "web:1") << "paused";
  world.edit<k8s::Deployment>({"default", "web"}, [](json::object& d) { d["spec"].as_object()["paused"] = false; });
  world.settle();
  EXPECT_EQ(world.all<k8s::Pod>("default")[0].spec.containers[0].image, "web:2");
  world.set_image<k8s::Deployment>({"default", "web"}, "web:3");
  world.settle();
  world.set_image<k8s::Deployment>({"default", "web"}, "web:4");
  world.settle();
  EXPECT_THAT(world.all<k8s::ReplicaSet>("default"), SizeIs(2)) << "the current one and one of history";
}

TEST(Deployment, DeletionTakesReplicaSetsAndPodsWithIt) {
  for (const char* propagation : {"", "Foreground", "Orphan"}) {
    World world;
    world.make(kDeployment);
    world.settle();
    DeleteOptions options;
    options.propagation = propagation;
    ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Deployment>(), {"default", "web"}, options));
    world.settle();
    EXPECT_FALSE(world.get<k8s::Deployment>({"default", "web"})) << propagation;
    const size_t left = std::string_view(propagation) == "Orphan";
    ASSERT_THAT(world.all<k8s::ReplicaSet>("default"), SizeIs(left)) << propagation;
    EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(4 * left)) << propagation;
    if (left) {
      EXPECT_THAT(world.all<k8s::ReplicaSet>("default")[0].metadata.ownerReferences, IsEmpty());
      // A Deployment of the same selector and template takes it over.
      world.make(kDeployment);
      world.settle();
      ASSERT_THAT(world.all<k8s::ReplicaSet>("default"), SizeIs(1));
      EXPECT_THAT(world.all<k8s::ReplicaSet>("default")[0].metadata.ownerReferences, SizeIs(1));
    }
  }
}

constexpr const char* kReplicaSet =
    R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs","namespace":"default"},
  "spec":{"replicas":3,"selector":{"matchLabels":{"app":"rs"}},"template":{"metadata":{"labels":{"app":"rs"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

TEST(ReplicaSet, AdoptsMatchingPodsAndLetsOthersGo) {
  World world;
  world.make(
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"loner","namespace":"default","labels":{"app":"rs"}},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  world.make(kReplicaSet);
  world.settle();
  ASSERT_THAT(world.all<k8s::Pod>("default"), SizeIs(3));
  EXPECT_THAT(world.get<k8s::Pod>({"default", "loner"})->metadata.ownerReferences, SizeIs(1));
  world.edit<k8s::Pod>({"default", "loner"}, [](json::object& pod) {
    pod["metadata"].as_object()["labels"] = json::object{{"app", "other"}};
  });
  world.settle();
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(4));
  EXPECT_THAT(world.get<k8s::Pod>({"default", "loner"})->metadata.ownerReferences, IsEmpty());
}

TEST(ReplicaSet, ScalingDownTakesFirstWhatServesLeast) {
  World world;
  std::string unready;
  world.make(kReplicaSet);
  world.controllers->run_until_idle();
  unready = world.all<k8s::Pod>("default")[1].metadata.name;
  world.kubelet.ready = [&](const std::string& pod) { return pod != unready; };
  world.settle();
  EXPECT_EQ(world.get<k8s::ReplicaSet>({"default", "rs"})->status.readyReplicas, 2);
  world.edit<k8s::ReplicaSet>({"default", "rs"}, [](json::object& set) { set["spec"].as_object()["replicas"] = 2; });
  world.settle();
  for (const auto& pod : world.all<k8s::Pod>("default")) EXPECT_NE(pod.metadata.name, unready);
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(2));
}

TEST(ReplicaSet, AvailabilityWaitsForMinReadySeconds) {
  World world;
  json::object set = json::parse(kReplicaSet).as_object();
  set["spec"].as_object()["minReadySeconds"] = 10;
  world.make(set);
  world.settle();
  EXPECT_EQ(world.get<k8s::ReplicaSet>({"default", "rs"})->status.readyReplicas, 3);
  EXPECT_EQ(world.get<k8s::ReplicaSet>({"default", "rs"})->status.availableReplicas, 0);
  world.advance(std::chrono::seconds(10));
  EXPECT_EQ(world.get<k8s::ReplicaSet>({"default", "rs"})->status.availableReplicas, 3);
}

TEST(ReplicaSet, AFailureToMakePodsIsACondition) {
  World world(3, World::quiet_options(),
              [](const k8s::ResourceType& type, json::object&, const json::object*) -> Result<void> {
                if (type.kind == "Pod") return fail(ErrorKind::kForbidden, "pods are not welcome here");
                return {};
              });
  world.make(kReplicaSet);
  world.settle();
  EXPECT_EQ(condition(world.status<k8s::ReplicaSet>({"default", "rs"}), "ReplicaFailure"), "True/FailedCreate");
  EXPECT_THAT(world.controllers->failures(), SizeIs(1));
  EXPECT_TRUE(world.controllers->next_due());
}

TEST(Events, GoAnHourAfterTheyWereLastSaid) {
  World world;
  world.make(kReplicaSet);
  world.settle();
  const auto& events = *k8s::find_by_kind("v1", "Event");
  ASSERT_THAT(world.cluster.list(events), SizeIs(6)) << "three made, three placed";
  world.advance(std::chrono::minutes(30));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Pod>(), world.all<k8s::Pod>("default")[0].metadata.key()));
  world.settle();
  EXPECT_THAT(world.cluster.list(events), SizeIs(8));
  world.advance(std::chrono::minutes(30));
  EXPECT_THAT(world.cluster.list(events), SizeIs(2)) << "those of half an hour ago";
  world.advance(std::chrono::minutes(30));
  EXPECT_THAT(world.cluster.list(events), IsEmpty());
}

TEST(GarbageCollector, ForegroundWaitsForTheLastDependent) {
  World world;
  world.make(kDeployment);
  world.settle();
  DeleteOptions options;
  options.propagation = "Foreground";
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Deployment>(), {"default", "web"}, options));
  world.controllers->run_until_idle();  // the nodes have not ended the pods yet
  ASSERT_TRUE(world.get<k8s::Deployment>({"default", "web"}));
  EXPECT_TRUE(world.get<k8s::Deployment>({"default", "web"})->metadata.deletionTimestamp);
  EXPECT_THAT(world.all<k8s::ReplicaSet>("default"), SizeIs(1));
  EXPECT_THAT(world.all<k8s::Pod>("default"), SizeIs(4));
  world.settle();
  EXPECT_FALSE(world.get<k8s::Deployment>({"default", "web"}));
  EXPECT_THAT(world.all<k8s::Pod>("default"), IsEmpty());
}

TEST(GarbageCollector, AnObjectWhoseOwnerNeverWasGoes) {
  World world;
  world.make(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"m","namespace":"default",
    "ownerReferences":[{"apiVersion":"v1","kind":"Pod","name":"p","uid":"gone"}]}})");
  world.make(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"foreign","namespace":"default",
    "ownerReferences":[{"apiVersion":"example.com/v1","kind":"Thing","name":"p","uid":"unknown"}]}})");
  world.settle();
  EXPECT_FALSE(world.get<k8s::ConfigMap>({"default", "m"}));
  EXPECT_TRUE(world.get<k8s::ConfigMap>({"default", "foreign"})) << "an owner of a kind nobody serves cannot be judged";
}

TEST(GarbageCollector, OneOfTwoOwnersLeft) {
  World world;
  const auto a = world.make(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"default"}})");
  const auto b = world.make(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b","namespace":"default"}})");
  json::object child_document = new_document(k8s::resource<k8s::ConfigMap>(), "default", "child");
  json::array owners;
  for (const auto& owner : {a, b}) {
    owners.push_back(json::object{{"apiVersion", "v1"},
                                  {"kind", "ConfigMap"},
                                  {"name", text_at(*owner, {"metadata", "name"})},
                                  {"uid", text_at(*owner, {"metadata", "uid"})}});
  }
  child_document["metadata"].as_object()["ownerReferences"] = owners;
  world.make(child_document);
  world.settle();
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::ConfigMap>(), {"default", "a"}));
  world.settle();
  ASSERT_TRUE(world.get<k8s::ConfigMap>({"default", "child"}));
  EXPECT_THAT(world.get<k8s::ConfigMap>({"default", "child"})->metadata.ownerReferences, SizeIs(1));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::ConfigMap>(), {"default", "b"}));
  world.settle();
  EXPECT_FALSE(world.get<k8s::ConfigMap>({"default", "child"}));
}

}  // namespace
}  // namespace carrick::controllers
