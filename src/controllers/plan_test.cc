#include "controllers/plan.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "controllers/documents.h"

namespace carrick::controllers {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Plan plan_of(std::string_view text, PlanOptions options = {}) {
  const auto objects = k8s::parse_manifest(text, "shop.yaml");
  EXPECT_TRUE(objects) << objects.error().message;
  if (!objects) return {};
  auto plan = make_plan(*objects, options);
  EXPECT_TRUE(plan) << plan.error().message;
  return plan ? std::move(*plan) : Plan{};
}

std::string refusal(std::string_view text) {
  const auto objects = k8s::parse_manifest(text, "shop.yaml");
  EXPECT_TRUE(objects) << objects.error().message;
  if (!objects) return "";
  const auto plan = make_plan(*objects);
  EXPECT_FALSE(plan);
  if (plan) return "";
  EXPECT_EQ(plan.error().kind, ErrorKind::kInvalid);
  return plan.error().message;
}

constexpr const char* kShop = R"(
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: asked, namespace: shop}
spec:
  clusterIP: 10.96.1.0
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: example.com/v1
kind: Widget
metadata: {name: w}
)";

TEST(Plan, ExpandsManifestsToWhatTheNetworkLooksAt) {
  const Plan plan = plan_of(kShop);
  EXPECT_TRUE(plan.snapshot.synced);
  EXPECT_THAT(plan.snapshot.nodes, SizeIs(3));
  EXPECT_THAT(plan.ignored, ElementsAre(std::pair("example.com/v1 Widget", 1)));
  EXPECT_THAT(plan.made_namespaces, ElementsAre("shop"));
  EXPECT_THAT(plan.problems, IsEmpty());
  EXPECT_EQ(plan.snapshot.namespaces.at({"", "shop"})->metadata.labels.at("kubernetes.io/metadata.name"), "shop");
  ASSERT_THAT(plan.snapshot.pods, SizeIs(2));
  std::set<std::string> ips;
  for (const auto& [key, pod] : plan.snapshot.pods) {
    ASSERT_THAT(pod->status.podIPs, SizeIs(2));
    ips.insert(pod->status.podIPs[0].ip + " " + pod->status.podIPs[1].ip);
  }
  EXPECT_EQ(ips, (std::set<std::string>{"10.1.1.2 2001:db8:1:1::2", "10.1.2.2 2001:db8:1:2::2"}));
  const auto& web = *plan.snapshot.services.at({"shop", "web"});
  EXPECT_THAT(web.spec.clusterIPs, ElementsAre("10.96.1.1", "2001:db8:96::100")) << "10.96.1.0 is asked for by another";
  EXPECT_EQ(web.spec.ports.at(0).nodePort, 30086);
  EXPECT_THAT(plan.snapshot.services.at({"shop", "asked"})->spec.clusterIPs, ElementsAre("10.96.1.0"));
  EXPECT_THAT(plan.snapshot.services.at({"kube-system", "kube-dns"})->spec.clusterIPs,
              ElementsAre("10.96.0.10", "2001:db8:96::a"));
  size_t endpoints = 0;
  for (const auto& [key, slice] : plan.snapshot.endpointslices) {
    if (slice->metadata.labels.at(k8s::kServiceNameLabel) == "web") endpoints += slice->endpoints.size();
  }
  EXPECT_EQ(endpoints, 4u);
  EXPECT_EQ(plan.sources.at({"Deployment", {"shop", "web"}}).line, 2);
}

TEST(Plan, TwiceTheSame) {
  const Plan a = plan_of(kShop), b = plan_of(kShop);
  ASSERT_EQ(a.snapshot.pods.size(), b.snapshot.pods.size());
  for (auto at = a.snapshot.pods.begin(), bt = b.snapshot.pods.begin(); at != a.snapshot.pods.end(); ++at, ++bt)
    EXPECT_EQ(*at->second, *bt->second);
}

TEST(Plan, OneFamily) {
  const auto shop = std::string(kShop).substr(
      0, std::string_view(kShop).find("---\napiVersion: v1\nkind: Service\nmetadata: {name: asked"));
  const Plan plan = plan_of(shop, {.nodes = 1, .ipv4 = false, .ipv6 = true});
  const auto& web = *plan.snapshot.services.at({"shop", "web"});
  EXPECT_THAT(web.spec.clusterIPs, ElementsAre("2001:db8:96::100"));
  EXPECT_THAT(web.spec.ipFamilies, ElementsAre("IPv6"));
  for (const auto& [key, pod] : plan.snapshot.pods) EXPECT_THAT(pod->status.podIPs, SizeIs(1));
  EXPECT_THAT(plan.snapshot.services.at({"default", "kubernetes"})->spec.clusterIPs, ElementsAre("2001:db8:96::1"));
  EXPECT_THAT(plan.snapshot.nodes.at({"", "node1"})->spec.podCIDRs, ElementsAre("2001:db8:1:1::/64"));
}

TEST(Plan, RefusesWhatTheApiServerWouldRefuseAndSaysWhere) {
  const auto message = refusal(
      "\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector: {a: b}\n  ports:\n  - port: 0\n");
  EXPECT_THAT(message, HasSubstr("shop.yaml:9: Service \"web\" is invalid: spec.ports[0].port"));
  const auto twice = refusal(R"(
apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.7.7, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {clusterIP: 10.96.7.7, ports: [{port: 80}]}
)");
  EXPECT_THAT(twice, HasSubstr("Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.7.7\"]: failed to "
                               "allocate IP 10.96.7.7: provided IP is already allocated"));
}

TEST(Plan, SaysWhatDoesNotComeUp) {
  const Plan plan = plan_of(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  nodeSelector: {disk: ssd}\n  containers: [{name: c, "
      "image: i}]\n");
  EXPECT_THAT(
      plan.problems,
      ElementsAre(
          "Pod default/p has no node: 0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."));
}

TEST(Plan, AManifestMayAddToWhatEveryClusterHas) {
  const Plan plan = plan_of("apiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {team: x}}\n");
  EXPECT_EQ(plan.snapshot.namespaces.at({"", "default"})->metadata.labels,
            (k8s::StringMap{{"kubernetes.io/metadata.name", "default"}, {"team", "x"}}));
}

TEST(Plan, RealApplicationsComeUp) {
  const std::filesystem::path corpora = std::filesystem::path(CARRICK_SOURCE_DIR) / "../shared/corpora";
  if (!std::filesystem::exists(corpora)) GTEST_SKIP() << "no corpora beside the source tree";
  for (const auto& [folder, workloads] :
       std::map<std::string, size_t>{{"online-boutique", 12}, {"sock-shop", 14}, {"bookinfo", 6}}) {
    const auto objects = k8s::load_manifests({(corpora / folder).string()});
    ASSERT_TRUE(objects) << objects.error().message;
    const auto plan = make_plan(*objects);
    ASSERT_TRUE(plan) << plan.error().message;
    EXPECT_THAT(plan->problems, IsEmpty()) << folder;
    EXPECT_GE(plan->snapshot.pods.size(), workloads) << folder;
    for (const auto& [key, pod] : plan->snapshot.pods) EXPECT_THAT(pod->status.podIPs, SizeIs(2)) << key.str();
  }
}

}  // namespace
}  // namespace carrick::controllers
