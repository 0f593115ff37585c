#include <gmock/gmock.h>

#include <fstream>

#include "apiserver/api_fixture.h"
#include "apiserver/apply/managers.h"
#include "k8s/test_documents.h"

namespace carrick::apiserver {
namespace {

using testing::ElementsAre;

const k8s::ResourceType& deployments() { return *k8s::find_by_kind("apps/v1", "Deployment"); }
json::object parse(std::string_view text) { return json::parse(std::string(text)).as_object(); }
FieldSet set_of(std::string_view text) { return FieldSet::parse(parse(text)); }
std::string text_of(const FieldSet& set) { return json::serialize(set.to_json()); }

TEST(FieldSet, ThereAndBack) {
  for (const char* text : {R"({})", R"({"f:a":{}})", R"({"f:a":{".":{},"f:b":{}}})",
                           R"({"f:l":{"k:{\"name\":\"x\"}":{".":{},"f:image":{}},"v:\"y\"":{}}})"})
    EXPECT_EQ(text_of(set_of(text)), text);
  EXPECT_EQ(text_of(set_of(R"({"f:a":1,"f:b":{"f:c":null}})")), R"({})");
}

TEST(FieldSet, Algebra) {
  FieldSet set = set_of(R"({"f:a":{".":{},"f:b":{}},"f:c":{}})");
  set.unite(set_of(R"({"f:a":{"f:d":{}}})"));
  EXPECT_EQ(text_of(set), R"({"f:a":{".":{},"f:b":{},"f:d":{}},"f:c":{}})");
  EXPECT_EQ(text_of(set.intersection(set_of(R"({"f:a":{"f:b":{},"f:x":{}}})"))), R"({"f:a":{"f:b":{}}})");
  set.subtract(set_of(R"({"f:a":{"f:b":{},"f:d":{}}})"));
  EXPECT_EQ(text_of(set), R"({"f:a":{},"f:c":{}})");
  EXPECT_THAT(
      set_of(R"({"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:image":{}}},"f:set":{"v:\"x\"":{}}}})").paths(),
      ElementsAre(".spec.containers[name=\"a\"].image", ".spec.set[=\"x\"]"));
}

using k8s::without_nulls;

std::string fields_of_deployment(std::string_view text) {
  return text_of(fields_in(MergeType::of(deployments()), parse(text)));
}

TEST(MergeType, KnowsWhatIsAtomic) {
  EXPECT_EQ(fields_of_deployment(R"({"spec":{"selector":{"matchLabels":{"a":"b"}},"replicas":1}})"),
            R"({"f:spec":{"f:replicas":{},"f:selector":{}}})");
  EXPECT_EQ(
      fields_of_deployment(
          R"({"spec":{"template":{"spec":{"nodeSelector":{"a":"b"},"containers":[{"name":"a","args":["x"],"ports":[{"containerPort":80}]}]}}}})"),
      R"({"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:args":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}},"f:nodeSelector":{}}}}})");
  EXPECT_EQ(
      fields_of_deployment(
          R"({"metadata":{"labels":{},"finalizers":["a","b"],"ownerReferences":[{"uid":"1","name":"x"}]}})"),
      R"({"f:metadata":{"f:finalizers":{"v:\"a\"":{},"v:\"b\"":{}},"f:labels":{},"f:ownerReferences":{"k:{\"uid\":\"1\"}":{}}}})");
}

TEST(MergeType, OfCustomResources) {
  const json::object schema = parse(
      R"({"type":"object","properties":{
            "atomic":{"type":"object","x-kubernetes-map-type":"atomic","properties":{"a":{"type":"string"}}},
            "rules":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
                     "items":{"type":"object","properties":{"name":{"type":"string"},"to":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"}}}}},
            "plain":{"type":"array","items":{"type":"string"}},
            "more":{"type":"object","additionalProperties":{"type":"object"}}}})");
  EXPECT_EQ(
      text_of(fields_in(
          MergeType::of_schema(schema),
          parse(
              R"({"atomic":{"a":"1"},"rules":[{"name":"x","to":["p"]}],"plain":["q"],"more":{"k":{"l":1}},"unknown":{"z":[1]}})"))),
      R"({"f:atomic":{},"f:more":{"f:k":{"f:l":{}}},"f:plain":{},"f:rules":{"k:{\"name\":\"x\"}":{".":{},"f:name":{},"f:to":{"v:\"p\"":{}}}},"f:unknown":{"f:z":{}}})");
}

// Steps of a configuration: what the upstream library made of it (tools/api_fields/apply_cases).
TEST(Apply, AgreesWithTheUpstreamLibrary) {
  std::ifstream in(CARRICK_SOURCE_DIR "/src/apiserver/testdata/apply.json");
  const json::array cases = json::parse(std::string(std::istreambuf_iterator<char>(in), {})).as_array();
  ASSERT_GT(cases.size(), 30u);
  const MergeType type = MergeType::of(deployments());
  int number = 0, checked = 0;
  for (const json::value& steps : cases) {
    json::object live = parse(R"({"apiVersion":"apps/v1","kind":"Deployment"})");
    ++number;
    for (const json::value& step : steps.as_array()) {
      const bool applies = step.at("operation") == "Apply";
      Writer writer{std::string(step.at("manager").as_string()), "apps/v1", ""};
      json::object next;
      std::vector<Manager> managers;
      std::vector<std::string> conflicts;
      if (applies) {
        // Nobody owned anything before the first step.
        const bool first = managers_of(live).empty();
        auto applied = apply(type, first ? nullptr : &live, step.at("object").as_object(), writer,
                             step.at("force").as_bool(), "now");
        if (applied) {
          next = std::move(applied->document);
          managers = std::move(applied->managers);
        } else {
          EXPECT_EQ(applied.error().invalid, "");
          for (const Conflict& conflict : applied.error().conflicts) conflicts.push_back(conflict.path);
        }
      } else {
        writer.name = "update-" + writer.name;
        next = step.at("object").as_object();
        managers = managers_after_update(type, live, next, writer, "now");
      }
      std::ranges::sort(conflicts);
      std::vector<std::string> wanted;
      if (const json::value* paths = step.as_object().if_contains("conflicts"))
        for (const json::value& path : paths->as_array()) wanted.emplace_back(path.as_string());
      ASSERT_EQ(conflicts, wanted) << "case " << number;
      if (!conflicts.empty()) continue;
      live = std::move(next);
      metadata_of(live)["managedFields"] = to_json(managers);
      json::object shown = live, fields;
      metadata_of(shown).erase("managedFields");
      ASSERT_TRUE(json::value(shown) == without_nulls(step.at("live"))) << "case " << number << "\n"
                                                                        << json::serialize(shown) << "\n"
                                                                        << json::serialize(step.at("live"));
      ++checked;
      for (const Manager& manager : managers) fields[manager.writer.name] = manager.fields.to_json();
      ASSERT_TRUE(json::value(fields) == step.at("managers")) << "case " << number << "\n"
                                                              << json::serialize(fields) << "\n"
                                                              << json::serialize(step.at("managers"));
      // From here on the library's null and our absence lead to different owners of what is filled again.
      if (without_nulls(step.at("live")) != step.at("live")) break;
    }
  }
  EXPECT_GT(checked, 80);
}

class ApplyTest : public ApiTest {
 protected:
  Response apply(const std::string& manager, const std::string& body, const std::string& query = "") {
    return call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=" + manager + query, body,
                "application/apply-patch+yaml");
  }
  static std::string web(int replicas, const std::string& image) {
    return fmt::format(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: {{app: web}}}}\nspec:\n  replicas: {}\n"
        "  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n"
        "    spec: {{containers: [{{name: web, image: \"{}\"}}]}}\n",
        replicas, image);
  }
  json::object stored() { return must(call("GET", "/apis/apps/v1/namespaces/default/deployments/web"), 200); }
};

TEST_F(ApplyTest, CreatesMergesAndRefusesConflicts) {
  must(apply("ann", web(1, "nginx:1")), 201);
  must(apply("ann", web(2, "nginx:1")), 200);
  EXPECT_EQ(number_at(stored(), "spec.replicas"), 2);
  // Another client changes the replicas: the next apply by the first is a conflict.
  must(call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web?fieldManager=scaler",
            R"({"spec":{"replicas":5}})", "application/merge-patch+json"),
       200);
  const json::object refused = must(apply("ann", web(2, "nginx:1")), 409);
  EXPECT_EQ(
      text_at(refused, "message"),
      "Apply failed with 1 conflict: conflict with \"scaler\" using apps/v1 at 2023-11-14T22:13:20Z: .spec.replicas");
  const json::object& cause = refused.at("details").as_object().at("causes").as_array().at(0).as_object();
  EXPECT_EQ(cause.at("reason"), "FieldManagerConflict");
  EXPECT_EQ(cause.at("field"), ".spec.replicas");
  must(apply("ann", web(2, "nginx:1"), "&force=true"), 200);
  EXPECT_EQ(number_at(stored(), "spec.replicas"), 2);
  // What nobody applies any more goes; what is the same for two is no conflict.
  must(apply("bob", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {app: web, tier: front}}\n"),
       200);
  must(apply("bob", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"), 200);
  EXPECT_EQ(text_at(stored(), "metadata.labels.app"), "web");
  EXPECT_EQ(text_at(stored(), "metadata.labels.tier"), "");
}

TEST_F(ApplyTest, TheSameAgainWritesNothing) {
  must(apply("ann", web(1, "nginx:1")), 201);
  const std::string revision(text_at(stored(), "metadata.resourceVersion"));
  now_ += 60;
  must(apply("ann", web(1, "nginx:1")), 200);
  EXPECT_EQ(text_at(stored(), "metadata.resourceVersion"), revision);
}

TEST_F(ApplyTest, AfterClientSideApplyItsFieldsAreKubectls) {
  must(
      call(
          "POST", "/api/v1/namespaces/default/configmaps",
          R"({"metadata":{"name":"a","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"v\"}}"}},"data":{"k":"v","other":"x"}})"),
      201);
  const auto map = [&](const std::string& data) {
    return call("PATCH", "/api/v1/namespaces/default/configmaps/a?fieldManager=ann",
                "apiVersion: v1\nkind: ConfigMap\ndata: " + data, "application/apply-patch+yaml");
  };
  EXPECT_THAT(text_at(must(map("{k: w}"), 409), "message"),
              testing::HasSubstr("\"kubectl-client-side-apply\" using v1"));
  EXPECT_THAT(text_at(must(map("{other: w}"), 409), "message"), testing::HasSubstr("\"before-first-apply\" using v1"));
  must(map("{k: v, more: z}"), 200);
}

TEST_F(ApplyTest, StatusIsAppliedApart) {
  must(apply("ann", web(1, "nginx:1") + "status: {replicas: 7}\n"), 201);
  EXPECT_EQ(number_at(stored(), "status.replicas"), 0);
  must(call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web/status?fieldManager=bob",
            "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 9}\nstatus: {replicas: 7}\n",
            "application/apply-patch+yaml"),
       200);
  EXPECT_EQ(number_at(stored(), "status.replicas"), 7);
  EXPECT_EQ(number_at(stored(), "spec.replicas"), 1);
  const json::object now = stored();
  const json::array& managers = *array_at(now, "metadata.managedFields");
  EXPECT_EQ(text_at(managers.back().as_object(), "subresource"), "status");
}

TEST_F(ApplyTest, BadConfigurations) {
  must(call("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", web(1, "a"), "application/apply-patch+yaml"),
       422);
  must(apply("ann", "kind: Deployment\n"), 400);
  must(apply("ann", "apiVersion: v1\nkind: Pod\n"), 400);
  must(apply("ann", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\n"), 400);
  must(apply("ann", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {managedFields: [{}]}\n"), 400);
  must(apply("ann", "apiVersion: apps/v1\nkind: Deployment\nspec: {foo: 1}\n", "&fieldValidation=Strict"), 400);
  must(apply("ann",
             "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{name: a}, {name: a}]}}}\n"),
       400);
  must(apply("ann", "apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{image: a}]}}}\n"),
       400);
  must(apply("ann", "not yaml: ["), 400);
  must(apply("ann", "apiVersion: apps/v1\nkind: Deployment\nspec: text\n"), 400);
  must(call("PATCH", "/apis/apps/v1/namespaces/default/deployments/none/status?fieldManager=a",
            "apiVersion: apps/v1\nkind: Deployment\n", "application/apply-patch+yaml"),
       404);
  must(apply("ann", web(-1, "a")), 422);
  must(call("GET", "/apis/apps/v1/namespaces/default/deployments/web"), 404);
  must(apply("ann", web(1, "a"), "&dryRun=All"), 201);
  must(call("GET", "/apis/apps/v1/namespaces/default/deployments/web"), 404);
}

TEST_F(ApplyTest, ClientsMayRewriteTheManagers) {
  must(apply("ann", web(1, "nginx:1")), 201);
  const std::string path = "/apis/apps/v1/namespaces/default/deployments/web";
  must(
      call(
          "PATCH", path,
          R"([{"op":"replace","path":"/metadata/managedFields","value":[{"manager":"new","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}]}])",
          "application/json-patch+json"),
      200);
  EXPECT_EQ(text_at(array_at(stored(), "metadata.managedFields")->front().as_object(), "manager"), "new");
  must(call("PATCH", path, R"({"metadata":{"managedFields":[]}})", "application/merge-patch+json"), 200);
  EXPECT_EQ(array_at(stored(), "metadata.managedFields"), nullptr);
}

}  // namespace
}  // namespace carrick::apiserver
