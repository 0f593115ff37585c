#include "apiserver/registry.h"

#include <gmock/gmock.h>

#include "apiserver/cluster_door.h"
#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

const k8s::ResourceType& type(const char* api, const char* kind) { return *k8s::find_by_kind(api, kind); }

class RegistryTest : public testing::Test {
 protected:
  RegistryTest()
      : store_(*Store::open("")),
        registry_(*store_, {.service_ranges = {.cidrs = {*net::Prefix::parse("10.96.0.0/16"),
                                                         *net::Prefix::parse("2001:db8:96::/112")}},
                            .now = [this] { return now_; }}) {
    EXPECT_TRUE(registry_.create(namespaces(), "", object(R"({"metadata":{"name":"default"}})")));
  }
  static const k8s::ResourceType& namespaces() { return type("v1", "Namespace"); }
  static const k8s::ResourceType& pods() { return type("v1", "Pod"); }
  static json::object object(std::string_view text) { return json::parse(text).as_object(); }
  static json::object pod(std::string_view name) {
    return object(
        fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"containers":[{{"name":"c","image":"i"}}]}}}})", name));
  }
  Record created(const k8s::ResourceType& of, std::string_view text, std::string_view namespace_ = "default") {
    auto record = registry_.create(of, of.namespaced ? namespace_ : "", object(text));
    EXPECT_TRUE(record) << record.error().message;
    return record ? *record : nullptr;
  }
  Record make_pod(std::string_view name) {
    auto record = registry_.create(pods(), "default", pod(name));
    EXPECT_TRUE(record) << record.error().message;
    return record ? *record : nullptr;
  }
  static std::string at(const Record& record, std::string_view path) {
    const json::value* value = field(record->document, path);
    return value ? json::serialize(*value) : "absent";
  }
  Record current(const k8s::ResourceType& of, const char* name) {
    return store_->get(of, {of.namespaced ? "default" : "", name});
  }

  int64_t now_ = 1'700'000'000;  // 2023-11-14T22:13:20Z
  std::unique_ptr<Store> store_;
  Registry registry_;
};

TEST_F(RegistryTest, CreateFillsWhatTheServerGives) {
  const Record made = make_pod("a");
  EXPECT_EQ(at(made, "metadata.creationTimestamp"), R"("2023-11-14T22:13:20Z")");
  EXPECT_EQ(text_at(made->document, "metadata.uid").size(), 36u);
  EXPECT_EQ(text_at(made->document, "metadata.uid")[14], '4');
  EXPECT_EQ(at(made, "metadata.generation"), "1");
  EXPECT_EQ(at(made, "metadata.namespace"), R"("default")");
  EXPECT_EQ(at(made, "kind"), R"("Pod")");
  EXPECT_EQ(at(made, "status.phase"), R"("Pending")");
  EXPECT_EQ(at(made, "status.qosClass"), R"("BestEffort")");
  EXPECT_EQ(at(made, "spec.restartPolicy"), R"("Always")");
}

TEST_F(RegistryTest, NamesAreGivenAndChecked) {
  const Record made =
      created(pods(), R"({"metadata":{"generateName":"web-"},"spec":{"containers":[{"name":"c","image":"i"}]}})");
  EXPECT_THAT(std::string(text_at(made->document, "metadata.name")),
              testing::MatchesRegex("web-[bcdfghjklmnpqrstvwxz2456789]+"));
  EXPECT_EQ(text_at(made->document, "metadata.name").size(), 9u);
  const auto nameless = registry_.create(pods(), "default", object(R"({"spec":{}})"));
  EXPECT_EQ(nameless.error().code, 422);
  const auto bad = registry_.create(pods(), "default", pod("Bad_Name"));
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().reason, "Invalid");
  EXPECT_THAT(bad.error().message, testing::HasSubstr("Pod \"Bad_Name\" is invalid: metadata.name: Invalid value"));
  ASSERT_FALSE(bad.error().causes.empty());
  EXPECT_EQ(bad.error().causes[0].field, "metadata.name");
  EXPECT_EQ(bad.error().causes[0].reason, "FieldValueInvalid");
}

TEST_F(RegistryTest, RefusalsInTheWordsOfTheApi) {
  make_pod("a");
  const auto twice = registry_.create(pods(), "default", pod("a"));
  EXPECT_EQ(twice.error().code, 409);
  EXPECT_EQ(twice.error().message, "pods \"a\" already exists");
  const auto nowhere = registry_.create(pods(), "nowhere", pod("a"));
  EXPECT_EQ(nowhere.error().code, 404);
  EXPECT_EQ(nowhere.error().message, "namespaces \"nowhere\" not found");
  json::object other = pod("b");
  metadata_of(other)["namespace"] = "other";
  EXPECT_EQ(registry_.create(pods(), "default", other).error().code, 400);
  json::object old = pod("b");
  metadata_of(old)["resourceVersion"] = "7";
  EXPECT_EQ(registry_.create(pods(), "default", old).error().code, 400);
  EXPECT_EQ(registry_.create(pods(), "default", object(R"({"metadata":{"name":"t"},"spec":{"containers":"x"}})"))
                .error()
                .code,
            400);
  EXPECT_EQ(registry_.update(pods(), {"default", "zzz"}, pod("zzz"), Part::kMain).error().code, 404);
}

TEST_F(RegistryTest, OptimisticLock) {
  const Record first = make_pod("a");
  json::object changed = first->document;
  child_object(metadata_of(changed), "labels")["x"] = "1";
  const auto second = registry_.update(pods(), {"default", "a"}, changed, Part::kMain);
  ASSERT_TRUE(second) << second.error().message;
  const auto stale = registry_.update(pods(), {"default", "a"}, changed, Part::kMain);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().reason, "Conflict");
  EXPECT_EQ(stale.error().message,
            "Operation cannot be fulfilled on pods \"a\": the object has been modified; please apply your changes to "
            "the latest version and try again");
  metadata_of(changed).erase("resourceVersion");
  EXPECT_TRUE(registry_.update(pods(), {"default", "a"}, changed, Part::kMain));
  metadata_of(changed)["uid"] = "other";
  EXPECT_EQ(registry_.update(pods(), {"default", "a"}, changed, Part::kMain).error().code, 409);
}

constexpr const char* kDeployment =
    R"({"metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}})";

TEST_F(RegistryTest, GenerationCountsSpecsStatusIsApart) {
  const k8s::ResourceType& deployments = type("apps/v1", "Deployment");
  const Record made = created(deployments, kDeployment);
  json::object wish = made->document;
  child_object(metadata_of(wish), "labels")["x"] = "1";
  child_object(wish, "status")["replicas"] = 7;
  Record next = *registry_.update(deployments, {"default", "d"}, wish, Part::kMain);
  EXPECT_EQ(at(next, "metadata.generation"), "1");
  EXPECT_EQ(at(next, "status.replicas"), "absent");
  wish = next->document;
  child_object(wish, "spec")["replicas"] = 5;
  next = *registry_.update(deployments, {"default", "d"}, wish, Part::kMain);
  EXPECT_EQ(at(next, "metadata.generation"), "2");
  wish = next->document;
  child_object(wish, "spec")["replicas"] = 9;
  child_object(wish, "status")["replicas"] = 4;
  next = *registry_.update(deployments, {"default", "d"}, wish, Part::kStatus);
  EXPECT_EQ(at(next, "spec.replicas"), "5");
  EXPECT_EQ(at(next, "status.replicas"), "4");
  EXPECT_EQ(at(next, "metadata.generation"), "2");
}

TEST_F(RegistryTest, AnUpdateThatChangesNothingWritesNothing) {
  const Record made = make_pod("a");
  const uint64_t before = store_->revision();
  const auto same = registry_.update(pods(), {"default", "a"}, made->document, Part::kMain);
  ASSERT_TRUE(same);
  EXPECT_EQ((*same)->revision, made->revision);
  EXPECT_EQ(store_->revision(), before);
}

TEST_F(RegistryTest, DryRunStoresNothing) {
  const auto tried = registry_.create(pods(), "default", pod("a"), true);
  ASSERT_TRUE(tried);
  EXPECT_EQ(at(*tried, "status.phase"), R"("Pending")");
  EXPECT_FALSE(current(pods(), "a"));
  make_pod("a");
  EXPECT_TRUE(registry_.remove(pods(), {"default", "a"}, {}, true)->gone);
  EXPECT_TRUE(current(pods(), "a"));
}

TEST_F(RegistryTest, PodsWithoutANodeGoAtOnceOthersAfterTheirGrace) {
  make_pod("a");
  EXPECT_TRUE(registry_.remove(pods(), {"default", "a"}, {})->gone);
  EXPECT_FALSE(current(pods(), "a"));

  make_pod("b");
  ASSERT_TRUE(registry_.bind({"default", "b"}, object(R"({"target":{"kind":"Node","name":"n"}})")));
  EXPECT_EQ(at(current(pods(), "b"), "spec.nodeName"), R"("n")");
  EXPECT_EQ(registry_.bind({"default", "b"}, object(R"({"target":{"name":"m"}})")).error().code, 409);
  const auto begun = registry_.remove(pods(), {"default", "b"}, {});
  EXPECT_FALSE(begun->gone);
  EXPECT_EQ(at(begun->object, "metadata.deletionTimestamp"), R"("2023-11-14T22:13:50Z")");  // 30 s
  EXPECT_EQ(at(begun->object, "metadata.deletionGracePeriodSeconds"), "30");
  // A second deletion can only hurry it.
  EXPECT_EQ(at(registry_.remove(pods(), {"default", "b"}, {.grace_period_seconds = 60})->object,
               "metadata.deletionGracePeriodSeconds"),
            "30");
  EXPECT_EQ(at(registry_.remove(pods(), {"default", "b"}, {.grace_period_seconds = 5})->object,
               "metadata.deletionGracePeriodSeconds"),
            "5");
  EXPECT_TRUE(registry_.remove(pods(), {"default", "b"}, {.grace_period_seconds = 0})->gone);
}

TEST_F(RegistryTest, FinalizersHoldAnObjectUntilTheLastIsGone) {
  const k8s::ResourceType& maps = type("v1", "ConfigMap");
  created(maps, R"({"metadata":{"name":"m","finalizers":["example.com/x"]}})");
  const auto begun = registry_.remove(maps, {"default", "m"}, {});
  EXPECT_FALSE(begun->gone);
  EXPECT_TRUE(is_terminating(current(maps, "m")->document));
  json::object released = current(maps, "m")->document;
  metadata_of(released)["finalizers"] = json::array();
  ASSERT_TRUE(registry_.update(maps, {"default", "m"}, released, Part::kMain));
  EXPECT_FALSE(current(maps, "m"));
}

TEST_F(RegistryTest, PropagationPolicyBecomesAFinalizer) {
  const k8s::ResourceType& deployments = type("apps/v1", "Deployment");
  for (const auto& [policy, finalizer] : std::initializer_list<std::pair<const char*, const char*>>{
           {"Foreground", R"(["foregroundDeletion"])"}, {"Orphan", R"(["orphan"])"}}) {
    created(deployments, kDeployment);
    EXPECT_FALSE(registry_.remove(deployments, {"default", "d"}, {.propagation = policy})->gone);
    EXPECT_EQ(at(current(deployments, "d"), "metadata.finalizers"), finalizer);
    EXPECT_TRUE(registry_.remove(deployments, {"default", "d"}, {.propagation = "Background"})->gone);
  }
}

TEST_F(RegistryTest, DeletePreconditions) {
  const Record made = make_pod("a");
  EXPECT_EQ(registry_.remove(pods(), {"default", "a"}, {.uid = "other"}).error().code, 409);
  EXPECT_EQ(registry_.remove(pods(), {"default", "a"}, {.resource_version = "1"}).error().code, 409);
  EXPECT_TRUE(registry_.remove(pods(), {"default", "a"},
                               {.uid = std::string(text_at(made->document, "metadata.uid")),
                                .resource_version = std::to_string(made->revision)}));
}

TEST_F(RegistryTest, NamespaceLife) {
  const Record made = created(namespaces(), R"({"metadata":{"name":"n"}})");
  EXPECT_EQ(at(made, "metadata.labels"), R"({"kubernetes.io/metadata.name":"n"})");
  EXPECT_EQ(at(made, "spec.finalizers"), R"(["kubernetes"])");
  EXPECT_EQ(at(made, "status.phase"), R"("Active")");
  EXPECT_EQ(registry_.remove(namespaces(), {"", "default"}, {}).error().code, 403);
  EXPECT_FALSE(registry_.remove(namespaces(), {"", "n"}, {})->gone);
  const Record ending = current(namespaces(), "n");
  EXPECT_EQ(at(ending, "status.phase"), R"("Terminating")");
  const auto late = registry_.create(pods(), "n", pod("a"));
  EXPECT_EQ(late.error().code, 403);
  EXPECT_THAT(late.error().message, testing::HasSubstr("because it is being terminated"));
  // A user's replacement keeps the finalizer; the namespace controller's ends the namespace.
  json::object plain = ending->document;
  plain.erase("spec");
  ASSERT_TRUE(registry_.update(namespaces(), {"", "n"}, plain, Part::kMain));
  EXPECT_TRUE(current(namespaces(), "n"));
  ClusterDoor door(registry_);
  ASSERT_TRUE(door.update(namespaces(), plain));
  EXPECT_FALSE(current(namespaces(), "n"));
}

TEST_F(RegistryTest, ServicesGetAndGiveBackAddresses) {
  const k8s::ResourceType& services = type("v1", "Service");
  const Record made =
      created(services, R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})");
  EXPECT_EQ(at(made, "status"), R"({"loadBalancer":{}})");
  const auto taken =
      registry_.create(services, "default",
                       object(R"({"metadata":{"name":"t"},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, 422);
  EXPECT_THAT(taken.error().message, testing::HasSubstr("provided IP is already allocated"));
  ASSERT_TRUE(registry_.remove(services, {"default", "s"}, {}));
  EXPECT_TRUE(
      created(services, R"({"metadata":{"name":"t"},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})"));
}

TEST_F(RegistryTest, JobsAreSelectedByTheirUid) {
  const Record made = created(
      type("batch/v1", "Job"),
      R"({"metadata":{"name":"j"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}}}})");
  const std::string uid(text_at(made->document, "metadata.uid"));
  EXPECT_EQ(at(made, "spec.selector.matchLabels"),
            fmt::format(R"({{"batch.kubernetes.io/controller-uid":"{}"}})", uid));
  EXPECT_EQ(
      object_at(made->document, "spec.template.metadata.labels")->at("batch.kubernetes.io/controller-uid").as_string(),
      uid);
}

TEST_F(RegistryTest, Scale) {
  const k8s::ResourceType& deployments = type("apps/v1", "Deployment");
  const Record made = created(deployments, kDeployment);
  EXPECT_EQ(number_at(Registry::scale_of(made->document), "spec.replicas"), 1);
  EXPECT_EQ(text_at(Registry::scale_of(made->document), "status.selector"), "a=b");
  ASSERT_TRUE(registry_.set_scale(deployments, {"default", "d"}, object(R"({"spec":{"replicas":3}})")));
  EXPECT_EQ(at(current(deployments, "d"), "spec.replicas"), "3");
  EXPECT_EQ(registry_.set_scale(deployments, {"default", "d"}, object(R"({"spec":{"replicas":-1}})")).error().code,
            422);
  EXPECT_EQ(registry_
                .set_scale(deployments, {"default", "d"},
                           object(R"({"metadata":{"resourceVersion":"1"},"spec":{"replicas":4}})"))
                .error()
                .code,
            409);
}

TEST_F(RegistryTest, TheControllersDoorSeesTheSameWorld) {
  ClusterDoor door(registry_);
  std::vector<std::string> seen;
  door.subscribe([&](const controllers::ObjectEvent& event) {
    seen.push_back(fmt::format("{} {}", static_cast<int>(event.type), text_at(*event.object, "metadata.name")));
  });
  json::object document = pod("a");
  metadata_of(document)["namespace"] = "default";
  const auto made = door.create(pods(), document);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(door.create(pods(), document).error().kind, ErrorKind::kAlreadyExists);
  json::object status = **made;
  child_object(status, "status")["phase"] = "Running";
  metadata_of(status)["labels"] = json::object{{"stale", "1"}};
  const auto running = door.update_status(pods(), status);
  ASSERT_TRUE(running);
  EXPECT_EQ(text_at(**running, "status.phase"), "Running");
  EXPECT_EQ(field(**running, "metadata.labels"), nullptr);
  EXPECT_EQ(door.update_status(pods(), status).error().kind, ErrorKind::kConflict);
  ASSERT_TRUE(door.remove(pods(), {"default", "a"}, {}));
  EXPECT_EQ(door.remove(pods(), {"default", "a"}, {}).error().kind, ErrorKind::kNotFound);
  EXPECT_THAT(seen, testing::ElementsAre("0 a", "1 a", "2 a"));
}

}  // namespace
}  // namespace carrick::apiserver
