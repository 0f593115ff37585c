#include "watch/assembly.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "k8s/codec.h"

namespace carrick::watch {
namespace {

namespace json = boost::json;
using k8s::Pod;

json::object pod(const std::string& name, const std::string& node, int version) {
  Pod object;
  object.metadata.namespace_ = "x";
  object.metadata.name = name;
  object.metadata.resourceVersion = std::to_string(version);
  object.spec.nodeName = node;
  object.spec.containers = {{.name = "main", .args = {"long"}, .env = {{"A", "B"}}}};
  return k8s::encode(object);
}

std::string list(json::array items, int version, const std::string& next = "") {
  json::object metadata{{"resourceVersion", std::to_string(version)}};
  if (!next.empty()) metadata["continue"] = next;
  return json::serialize(json::object{{"metadata", std::move(metadata)}, {"items", std::move(items)}});
}

std::string event(const std::string& type, json::object object) {
  return json::serialize(json::object{{"type", type}, {"object", std::move(object)}});
}

template <class T>
void give(Assembly& assembly, const std::string& body) {
  const auto page = assembly.take_page<T>(body, true);
  ASSERT_TRUE(page);
  assembly.finish_list<T>(page->resource_version);
}

void give_the_others(Assembly& assembly) {
  give<k8s::Namespace>(assembly, list({}, 1));
  give<k8s::Node>(assembly, list({}, 1));
  give<k8s::Service>(assembly, list({}, 1));
  give<k8s::EndpointSlice>(assembly, list({}, 1));
  give<k8s::NetworkPolicy>(assembly, list({}, 1));
  give<k8s::ClusterNetworkPolicy>(assembly, list({}, 1));
}

TEST(Assembly, IsInSyncWhenEveryKindHasBeenListed) {
  Assembly assembly;
  give_the_others(assembly);
  EXPECT_FALSE(assembly.current().synced);
  auto first = assembly.take_page<Pod>(list({pod("a", "n1", 5)}, 9, "more"), true);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->next, "more");
  EXPECT_TRUE(assembly.current().pods.empty()) << "half a list is no state";
  auto second = assembly.take_page<Pod>(list({pod("b", "n2", 7)}, 9), false);
  ASSERT_TRUE(second);
  assembly.finish_list<Pod>(second->resource_version);
  EXPECT_TRUE(assembly.current().synced);
  EXPECT_EQ(assembly.resource_version<Pod>(), "9");
  k8s::ChangeSet changes;
  auto snapshot = assembly.publish(changes);
  EXPECT_TRUE(changes.everything);
  EXPECT_EQ(snapshot.revision, 1u);
  EXPECT_EQ(assembly.versions().pods, 9u);
  ASSERT_EQ(snapshot.pods.size(), 2u);
  const Pod& trimmed = *snapshot.pods.at({"x", "a"});
  EXPECT_EQ(trimmed.spec.nodeName, "n1");
  EXPECT_TRUE(trimmed.spec.containers.at(0).args.empty() && trimmed.spec.containers.at(0).env.empty());
}

TEST(Assembly, AKubeletKeepsWholePods) {
  Assembly assembly(Detail::kWholePods);
  give_the_others(assembly);
  give<Pod>(assembly, list({pod("a", "n1", 5)}, 9));
  k8s::ChangeSet changes;
  const k8s::Snapshot snapshot = assembly.publish(changes);
  const k8s::Container& container = snapshot.pods.at({"x", "a"})->spec.containers.at(0);
  EXPECT_TRUE(!container.args.empty() && !container.env.empty());
}

TEST(Assembly, EventsNameWhatTheyChangeAndPublishedSnapshotsStay) {
  Assembly assembly;
  give_the_others(assembly);
  give<Pod>(assembly, list({pod("a", "n1", 5), pod("b", "n1", 6)}, 9));
  k8s::ChangeSet changes;
  auto before = assembly.publish(changes);
  EXPECT_FALSE(assembly.changed());
  ASSERT_TRUE(assembly.take_event<Pod>(event("MODIFIED", pod("a", "n2", 11))));
  ASSERT_TRUE(assembly.take_event<Pod>(event("ADDED", pod("c", "n1", 12))));
  ASSERT_TRUE(assembly.take_event<Pod>(event("DELETED", pod("b", "n1", 13))));
  ASSERT_TRUE(assembly.take_event<Pod>(event("BOOKMARK", pod("", "", 20))));
  EXPECT_TRUE(assembly.changed());
  EXPECT_EQ(assembly.versions().pods, 9u) << "of what is published";
  auto after = assembly.publish(changes);
  EXPECT_FALSE(changes.everything);
  EXPECT_EQ(changes.pods, (std::set<k8s::NamespacedName>{{"x", "a"}, {"x", "b"}, {"x", "c"}}));
  EXPECT_EQ(after.revision, 2u);
  EXPECT_EQ(after.pods.at({"x", "a"})->spec.nodeName, "n2");
  EXPECT_FALSE(after.pods.contains({"x", "b"}));
  EXPECT_EQ(before.pods.at({"x", "a"})->spec.nodeName, "n1");
  EXPECT_EQ(before.pods.size(), 2u);
  EXPECT_EQ(assembly.versions().pods, 20u);
  EXPECT_EQ(assembly.versions().services, 1u);
  EXPECT_EQ(assembly.resource_version<Pod>(), "20");
}

TEST(Assembly, ForTablesWhatTheyDoNotLookAtIsNoChange) {
  Assembly assembly(Detail::kTables);
  give_the_others(assembly);
  give<Pod>(assembly, list({pod("a", "n1", 5)}, 9));
  k8s::ChangeSet changes;
  auto snapshot = assembly.publish(changes);
  EXPECT_TRUE(snapshot.pods.at({"x", "a"})->spec.containers.empty()) << "no port of it has a name";
  json::object probed = pod("a", "n1", 11);
  probed["status"] = {{"conditions", json::array{{{"type", "Ready"}, {"status", "True"}}}}};
  ASSERT_TRUE(assembly.take_event<Pod>(event("MODIFIED", probed)));
  EXPECT_FALSE(assembly.changed());
  EXPECT_EQ(assembly.versions().pods, 11u) << "nothing of it is missing in what is published";
  json::object sidecar = pod("a", "n1", 12);
  sidecar["spec"].as_object()["initContainers"] = json::array{
      {{"name", "proxy"}, {"restartPolicy", "Always"}, {"ports", {{{"name", "mesh"}, {"containerPort", 15000}}}}}};
  ASSERT_TRUE(assembly.take_event<Pod>(event("MODIFIED", sidecar)));
  EXPECT_TRUE(assembly.changed());
  snapshot = assembly.publish(changes);
  EXPECT_EQ(snapshot.pods.at({"x", "a"})->spec.initContainers.at(0).ports.at(0).name, "mesh");
}

TEST(Assembly, ANewListTellsWhatVanishedMeanwhile) {
  Assembly assembly;
  give_the_others(assembly);
  give<Pod>(assembly, list({pod("a", "n1", 5), pod("b", "n1", 6)}, 9));
  k8s::ChangeSet changes;
  assembly.publish(changes);
  give<Pod>(assembly, list({pod("b", "n1", 6), pod("c", "n1", 30)}, 40));
  auto after = assembly.publish(changes);
  EXPECT_EQ(changes.pods, (std::set<k8s::NamespacedName>{{"x", "a"}, {"x", "c"}})) << "b is as it was";
  EXPECT_EQ(after.pods.size(), 2u);
}

TEST(Assembly, AfterWhatIsNotUnderstoodTheStateIsUnknownUntilTheNextList) {
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string(R"({"type":"ADDED"})"), event("ERROR", {{"code", 410}})}) {
    Assembly assembly;
    give<Pod>(assembly, list({}, 9));
    EXPECT_FALSE(assembly.take_event<Pod>(bad)) << bad;
    EXPECT_EQ(assembly.resource_version<Pod>(), "");
    ASSERT_TRUE(assembly.take_event<Pod>(event("ADDED", pod("a", "n1", 12))));
    EXPECT_EQ(assembly.resource_version<Pod>(), "") << "what came in between is missing all the same";
    give<Pod>(assembly, list({pod("a", "n1", 12)}, 13));
    EXPECT_EQ(assembly.resource_version<Pod>(), "13");
  }
}

TEST(Assembly, OneObjectThatCannotBeDecodedCostsItselfOnly) {
  Assembly assembly;
  json::object broken = pod("broken", "n1", 5);
  broken["spec"] = "text";
  give<Pod>(assembly, list({pod("a", "n1", 5), broken}, 9));
  EXPECT_EQ(assembly.current().pods.size(), 1u);
  EXPECT_EQ(assembly.decode_failures, 1u);
}

}  // namespace
}  // namespace carrick::watch
