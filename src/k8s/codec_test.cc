#include "k8s/codec.h"

#include <gtest/gtest.h>

#include "k8s/resources.h"
#include "k8s/snapshot.h"

namespace carrick::k8s {
namespace {

TEST(Codec, ReadsWhatIsThereAndLeavesTheRest) {
  const auto service = decode<Service>(json::parse(R"({
    "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}, "uid": null},
    "spec": {"type": "NodePort", "ports": [{"port": 80, "targetPort": "http"}, {"port": 443, "targetPort": 8443}],
             "unknown": {"x": 1}}})"));
  ASSERT_TRUE(service) << service.error().message;
  EXPECT_EQ(service->metadata.namespace_, "shop");
  EXPECT_EQ(service->metadata.labels.at("app"), "web");
  ASSERT_EQ(service->spec.ports.size(), 2u);
  EXPECT_EQ(service->spec.ports[0].targetPort, IntOrString("http"));
  EXPECT_EQ(service->spec.ports[1].targetPort, IntOrString(8443));
  EXPECT_FALSE(service->spec.internalTrafficPolicy);
}

TEST(Codec, NilAndEmptyPeersDiffer) {
  const auto policy = decode<NetworkPolicy>(json::parse(R"({"spec": {"podSelector": {},
    "ingress": [{"from": [{"namespaceSelector": {}}]}, {}]}})"));
  ASSERT_TRUE(policy);
  ASSERT_EQ(policy->spec.ingress.size(), 2u);
  EXPECT_TRUE(policy->spec.ingress[0].from[0].namespaceSelector);
  EXPECT_FALSE(policy->spec.ingress[0].from[0].podSelector);
  const json::object again = encode(*policy);
  EXPECT_EQ(json::serialize(again.at("spec")),
            R"({"podSelector":{},"ingress":[{"from":[{"namespaceSelector":{}}]},{}]})");
}

TEST(Codec, WrongTypesNameTheField) {
  struct Case {
    const char* document;
    const char* message;
  };
  for (const Case& c : {
           Case{R"({"spec":{"ports":[{"port":80},{"port":"x"}]}})",
                R"(spec.ports[1].port: must be an integer, not a string "x")"},
           Case{R"({"spec":{"selector":{"app":true}}})", "spec.selector.app: must be a string, not a boolean true"},
           Case{R"({"spec":{"ports":{}}})", "spec.ports: must be a list, not an object"},
           Case{R"({"spec":{"ports":[{"port":5000000000}]}})",
                "spec.ports[0].port: must be an integer of 32 bits, not a number 5000000000"},
           Case{R"({"spec":{"ports":[{"port":1.5}]}})", "spec.ports[0].port: must be an integer, not a number 1.5E0"},
           Case{R"({"spec":{"ports":[{"targetPort":[]}]}})",
                "spec.ports[0].targetPort: must be an integer or a string, not a list"},
           Case{R"([])", "document: must be an object, not a list"},
       }) {
    const auto service = decode<Service>(json::parse(c.document));
    ASSERT_FALSE(service) << c.document;
    EXPECT_EQ(service.error().message, c.message);
    EXPECT_EQ(service.error().kind, ErrorKind::kInvalid);
  }
}

TEST(Codec, RoundTrip) {
  Deployment deployment;
  deployment.metadata.name = "web";
  deployment.metadata.ownerReferences.push_back({"v1", "Node", "n", "u", true, {}});
  deployment.spec.replicas = 0;
  deployment.spec.selector.matchExpressions.push_back({"tier", "In", {"a", "b"}});
  deployment.spec.template_.spec.containers.push_back({.name = "c", .image = "i"});
  deployment.spec.strategy.rollingUpdate =
      RollingUpdateDeployment{.maxUnavailable = IntOrString("25%"), .maxSurge = IntOrString(1)};
  const json::object document = encode(deployment);
  EXPECT_EQ(document.at("apiVersion"), "apps/v1");
  EXPECT_EQ(document.at("kind"), "Deployment");
  EXPECT_EQ(document.at("spec").at("replicas"), 0);  // present: nil would mean 1
  EXPECT_TRUE(document.at("spec").as_object().contains("template"));
  EXPECT_EQ(document.at("spec").at("selector").at("matchExpressions").at(0).at("operator"), "In");
  const auto again = decode<Deployment>(document);
  ASSERT_TRUE(again);
  EXPECT_EQ(*again, deployment);
}

TEST(Codec, EmptyEndpointSliceKeepsItsLists) {
  EndpointSlice slice;
  slice.addressType = "IPv4";
  EXPECT_EQ(
      json::serialize(encode(slice)),
      R"({"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{},"addressType":"IPv4","endpoints":[],"ports":[]})");
}

TEST(Selectors, Operators) {
  const StringMap labels{{"app", "web"}, {"tier", "front"}};
  const auto selects = [&](const char* op, const char* key, std::vector<std::string> values) {
    return matches(LabelSelector{{}, {{key, op, std::move(values)}}}, labels);
  };
  EXPECT_TRUE(matches(LabelSelector{}, labels));
  EXPECT_TRUE(matches(LabelSelector{}, StringMap{}));
  EXPECT_TRUE(matches(StringMap{{"app", "web"}}, labels));
  EXPECT_FALSE(matches(StringMap{{"app", "db"}}, labels));
  EXPECT_FALSE(matches(StringMap{{"none", ""}}, labels));
  EXPECT_TRUE(selects("In", "app", {"db", "web"}));
  EXPECT_FALSE(selects("In", "none", {"", "web"}));
  EXPECT_FALSE(selects("NotIn", "app", {"web"}));
  EXPECT_TRUE(selects("NotIn", "none", {"web"}));
  EXPECT_TRUE(selects("Exists", "tier", {}));
  EXPECT_FALSE(selects("Exists", "none", {}));
  EXPECT_TRUE(selects("DoesNotExist", "none", {}));
  EXPECT_FALSE(selects("DoesNotExist", "tier", {}));
  EXPECT_FALSE(selects("Gt", "tier", {"1"}));
  EXPECT_FALSE(matches(LabelSelector{{{"app", "web"}}, {{"tier", "In", {"back"}}}}, labels));
}

TEST(Resources, Lookup) {
  EXPECT_EQ(resource<Pod>().plural, "pods");
  EXPECT_EQ(resource<Pod>().apiVersion(), "v1");
  EXPECT_EQ(resource<NetworkPolicy>().apiVersion(), "networking.k8s.io/v1");
  EXPECT_EQ(find_by_kind("apps/v1", "Deployment"), &resource<Deployment>());
  EXPECT_EQ(find_by_kind("v1", "Deployment"), nullptr);
  EXPECT_EQ(find_by_kind("apps/v1x", "Deployment"), nullptr);
  EXPECT_EQ(find_by_plural("", "v1", "services"), &resource<Service>());
  EXPECT_NE(find_by_kind("v1", "Event"), find_by_kind("events.k8s.io/v1", "Event"));
  for (const ResourceType& type : resource_types()) {
    EXPECT_EQ(find_by_kind(type.apiVersion(), type.kind), &type);
    EXPECT_EQ(find_by_plural(type.group, type.version, type.plural), &type);
  }
}

TEST(Snapshot, DigestTellsVersionsApart) {
  const auto with = [](const char* name, const char* version) {
    Snapshot out;
    Pod pod;
    pod.metadata.namespace_ = "shop";
    pod.metadata.name = name;
    pod.metadata.resourceVersion = version;
    out.pods.insert_or_assign(pod.metadata.key(), std::make_shared<const Pod>(pod));
    return out;
  };
  EXPECT_EQ(digest(with("a", "7")), digest(with("a", "7")));
  EXPECT_NE(digest(with("a", "7")), digest(with("a", "8")));
  EXPECT_NE(digest(with("a", "7")), digest(with("b", "7")));
  EXPECT_NE(digest(with("a", "7")), digest(Snapshot()));
}

TEST(ChangeSet, Merge) {
  ChangeSet changes;
  EXPECT_TRUE(changes.empty());
  ChangeSet later;
  later.pods.insert({"a", "b"});
  changes.merge(later);
  EXPECT_FALSE(changes.empty());
  EXPECT_FALSE(changes.everything);
  EXPECT_TRUE(changes.pods.contains({"a", "b"}));
}

}  // namespace
}  // namespace carrick::k8s
