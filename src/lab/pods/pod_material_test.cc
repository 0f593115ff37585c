#include "lab/pods/pod_material.h"

#include <gtest/gtest.h>

namespace carrick::lab {
namespace {

namespace json = boost::json;

json::object document(const char* text) { return json::parse(text).as_object(); }

const json::object kPod = document(R"json({
  "metadata":{"name":"p","namespace":"n","uid":"u","labels":{"b":"2","app":"web"},"annotations":{"note":"a\"b"}},
  "spec":{"serviceAccountName":"robot","securityContext":{"runAsUser":1000,"fsGroup":5,"supplementalGroups":[6]},
    "containers":[{"name":"c","resources":{"limits":{"cpu":"1500m","memory":"64Mi"}},
      "envFrom":[{"prefix":"P_","configMapRef":{"name":"map"}}],
      "env":[{"name":"PLAIN","value":"x$(P_one)$$(P_one)$(NONE)"
},
             {"name":"POD","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}},
             {"name":"APP","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
             {"name":"HOST","valueFrom":{"fieldRef":{"fieldPath":"status.hostIP"}}},
             {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
             {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
             {"name":"PASS","valueFrom":{"secretKeyRef":{"name":"secret","key":"pass"}}},
             {"name":"MAYBE","valueFrom":{"configMapKeyRef":{"name":"none","key":"k","optional":true}}}]
}],
    "volumes":[{"name":"map","configMap":{"name":"map","items":[{"key":"one","path":"deep/one","mode":256}]}},
               {"name":"all","projected":{"sources":[{"secret":{"name":"secret"}},
                 {"downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}},
                 {"serviceAccountToken":{"path":"token","expirationSeconds":600}}]}}]
}
})json");

const json::object& container() { return kPod.at("spec").at("containers").at(0).as_object(); }
json::object volume(size_t index) { return kPod.at("spec").at("volumes").at(index).as_object(); }

Material material() {
  return {.objects = {{{false, "map"}, {{"one", "1"}, {"two", "2"}}}, {{true, "secret"}, {{"pass", "word"}}}},
          .tokens = {{{"", 600}, "jwt"}},
          .service_env = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}},
          .node_name = "node1",
          .host_ips = {"192.0.2.11"},
          .pod_ips = {"10.1.1.2", "2001:db8::2"}};
}

TEST(PodMaterial, EnvironmentsComeFromWhereTheManifestSays) {
  auto env = container_env(kPod, container(), material());
  ASSERT_TRUE(env) << env.error().message;
  EXPECT_EQ(*env, (Environment{{"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                               {"P_one", "1"},
                               {"P_two", "2"},
                               {"PLAIN", "x1$(P_one)$(NONE)"},
                               {"POD", "p"},
                               {"APP", "web"},
                               {"HOST", "192.0.2.11"},
                               {"CPU", "2"},
                               {"MEM", "64"},
                               {"PASS", "word"}}));
}

TEST(PodMaterial, WhatIsMissingIsSaidAsTheKubeletDoes) {
  Material less = material();
  less.objects.erase({true, "secret"});
  auto env = container_env(kPod, container(), less);
  ASSERT_FALSE(env);
  EXPECT_EQ(env.error().message, "secret \"secret\" not found");
  less = material();
  less.objects[{true, "secret"}] = {};
  EXPECT_EQ(container_env(kPod, container(), less).error().message, "couldn't find key pass in Secret n/secret");
  less.objects.erase({false, "map"});
  EXPECT_EQ(volume_of(volume(0), kPod, less).error().message, "configmap \"map\" not found");
  less.tokens.clear();
  EXPECT_EQ(volume_of(volume(1), kPod, less).error().message, "no token of service account \"robot\" was given");
  EXPECT_EQ(volume_of(document(R"json({"name":"h","hostPath":{"path":"/"}})json"), kPod, less).error().kind,
            ErrorKind::kUnsupported);
}

TEST(PodMaterial, NeedsAreAllThatIsReferredTo) {
  const MaterialNeeds needs = needs_of(kPod);
  EXPECT_EQ(needs.objects, (std::set<MaterialRef>{{false, "map"}, {false, "none"}, {true, "secret"}}));
  EXPECT_EQ(needs.tokens, (std::set<TokenRef>{{"", 600}}));
  EXPECT_TRUE(needs_of({}).objects.empty());
}

TEST(PodMaterial, VolumesHoldTheirFiles) {
  auto map = volume_of(volume(0), kPod, material());
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(map->files, (std::vector<VolumeFile>{{"deep/one", "1", 0400}}));
  auto all = volume_of(volume(1), kPod, material());
  ASSERT_TRUE(all) << all.error().message;
  EXPECT_EQ(all->files, (std::vector<VolumeFile>{
                            {"pass", "word", 0644}, {"labels", "app=\"web\"\nb=\"2\"", 0644}, {"token", "jwt", 0644}}));
  auto limited = volume_of(document(R"json({"name":"e","emptyDir":{"sizeLimit":"1Mi"}})json"), kPod, {});
  ASSERT_TRUE(limited);
  EXPECT_TRUE(limited->is_empty_dir);
  EXPECT_EQ(limited->size_limit, 1048576u);
}

TEST(PodMaterial, NoPathLeavesItsVolume) {
  for (const char* path : {"../x", "/x", "a/../b", "a//b", ""}) {
    auto bad = document(R"json({"name":"v","configMap":{"name":"map","items":[{"key":"one","path":""}]}})json");
    bad["configMap"].as_object()["items"].as_array()[0].as_object()["path"] = path;
    EXPECT_FALSE(volume_of(bad, kPod, material())) << path;
  }
  auto mounts = document(R"json({"volumeMounts":[{"name":"v","mountPath":"/data","subPath":"../../etc"}]})json");
  EXPECT_FALSE(container_spec(kPod, mounts, {}, "/volumes"));
}

TEST(PodMaterial, RightsAreThoseAskedForButForTheMachines) {
  auto asks = document(R"json({"workingDir":"/srv","securityContext":{"runAsGroup":7,"readOnlyRootFilesystem":true,
    "privileged":true,"capabilities":{"drop":["ALL"],"add":["NET_ADMIN","SYS_ADMIN"]}},
    "volumeMounts":[{"name":"v","mountPath":"/data/","subPathExpr":"$(A)","readOnly":true}]
})json");
  auto spec = container_spec(kPod, asks, {{"A", "b"}}, "/volumes");
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->capabilities, std::vector<std::string>{"NET_ADMIN"});
  EXPECT_EQ(spec->uid, 1000u);
  EXPECT_EQ(spec->gid, 7u);
  EXPECT_EQ(spec->groups, (std::vector<uint32_t>{5, 6}));
  EXPECT_TRUE(spec->read_only_root);
  EXPECT_EQ(spec->env, std::vector<std::string>{"A=b"});
  EXPECT_EQ(spec->mounts, (std::vector<ContainerMount>{{"/volumes/v", "b", "/data", true}}));
  const auto root = document(R"json({"securityContext":{"runAsUser":0,"runAsNonRoot":true}})json");
  EXPECT_EQ(container_spec(kPod, root, {}, "/v").error().message,
            "container has runAsNonRoot and image will run as root");
}

TEST(PodMaterial, QuantitiesAreRoundedUp) {
  EXPECT_EQ(quantity_in("1500m", "1"), 2);
  EXPECT_EQ(quantity_in("1500m", "1m"), 1500);
  EXPECT_EQ(quantity_in("1Gi", "1Mi"), 1024);
  EXPECT_EQ(quantity_in("0.1", "1m"), 100);
  for (const char* bad : {"", "x", "1x", "nan", "-1"}) EXPECT_FALSE(quantity_in(bad, "1")) << bad;
  EXPECT_FALSE(quantity_in("1", "0"));
}

TEST(PodMaterial, SecretsAreDecoded) {
  auto values = values_of(document(R"json({"data":{"a":"aGk=","b":""},"stringData":{"c":"x"}})json"), true);
  ASSERT_TRUE(values);
  EXPECT_EQ(*values, (std::map<std::string, std::string>{{"a", "hi"}, {"b", ""}}));
  EXPECT_FALSE(values_of(document(R"json({"data":{"a":"!"}})json"), true));
  EXPECT_EQ(values_of(document(R"json({"data":{"a":"hi"},"binaryData":{"b":"aGk="}})json"), false)->at("b"), "hi");
}

}  // namespace
}  // namespace carrick::lab
