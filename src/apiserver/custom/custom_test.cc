#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "apiserver/custom/json_path.h"

namespace carrick::apiserver {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

json::value parse(std::string_view text) { return json::parse(std::string(text)); }

std::string found(std::string_view path, std::string_view document) {
  const auto parsed = JsonPath::parse(path);
  if (!parsed) return "!" + parsed.error().message;
  const json::value whole = parse(document);
  const json::value* value = parsed->first(whole);
  return value ? json::serialize(*value) : "-";
}

TEST(JsonPath, Finds) {
  const char* document = R"({"a":{"b.c":1,"d":[{"t":"x","v":1},{"t":"y","v":2,"n":true}]},"e":[]})";
  EXPECT_EQ(found(".a.d[1].v", document), "2");
  EXPECT_EQ(found("{.a.d[-1].v}", document), "2");
  EXPECT_EQ(found(R"(.a.b\.c)", document), "1");
  EXPECT_EQ(found(".a['b.c']", document), "1");
  EXPECT_EQ(found(R"(.a.d[?(@.t=="y")].v)", document), "2");
  EXPECT_EQ(found(R"(.a.d[?(@.t!="x")].v)", document), "2");
  EXPECT_EQ(found(".a.d[?(@.v>1)].t", document), "\"y\"");
  EXPECT_EQ(found(".a.d[?(@.n)].t", document), "\"y\"");
  EXPECT_EQ(found(".a.d[*].t", document), "\"x\"");
  EXPECT_EQ(found(".e[0]", document), "-");
  EXPECT_EQ(found(".a.x.y", document), "-");
  for (const char* bad : {"a", ".", ".a[", ".a[?(@.x=1)]", "..a", ".a[1", ".a['x", "{.a", ".a[?(@.x==)]"})
    EXPECT_THAT(found(bad, document), testing::StartsWith("!")) << bad;
}

class CustomTest : public ApiTest {
 protected:
  static std::string definition(std::string_view more_spec = "", std::string_view scope = "Namespaced") {
    return fmt::format(
        R"({{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"boats.sea.example"}},
        "spec":{{"group":"sea.example","scope":"{}","names":{{"plural":"boats","kind":"Boat","shortNames":["bt"],"categories":["all"]}},
        "versions":[{{"name":"v1","served":true,"storage":true,"subresources":{{"status":{{}},"scale":{{"specReplicasPath":".spec.crew","statusReplicasPath":".status.crew"}}}},
          "selectableFields":[{{"jsonPath":".spec.harbour"}}],
          "additionalPrinterColumns":[{{"name":"Crew","type":"integer","jsonPath":".spec.crew"}},{{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}},{{"name":"Age","type":"date","jsonPath":".metadata.creationTimestamp"}}],
          "schema":{{"openAPIV3Schema":{{"type":"object","required":["spec"],"properties":{{
            "spec":{{"type":"object","description":"What the boat is.","required":["harbour"],"properties":{{
              "harbour":{{"type":"string","pattern":"^[a-z]+$","maxLength":10}},
              "crew":{{"type":"integer","minimum":1,"default":2}},
              "sails":{{"type":"array","maxItems":2,"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{{"type":"object","required":["name"],"properties":{{"name":{{"type":"string"}},"colour":{{"type":"string","enum":["red","white"],"default":"white"}}}}}}}},
              "free":{{"type":"object","x-kubernetes-preserve-unknown-fields":true}},
              "port":{{"x-kubernetes-int-or-string":true}}}},
              "x-kubernetes-validations":[{{"rule":"self.crew < 100"}}]}},
            "status":{{"type":"object","properties":{{"crew":{{"type":"integer"}},"conditions":{{"type":"array","items":{{"type":"object","properties":{{"type":{{"type":"string"}},"status":{{"type":"string"}}}}}}}}}}}}}}}}}}}},
          {{"name":"v1alpha1","served":true,"storage":false,"deprecated":true,"schema":{{"openAPIV3Schema":{{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}}}}]{}}}}})",
        scope, more_spec);
  }
  void define() { must(call("POST", kDefinitions, definition()), 201); }
  static std::string boat(std::string_view spec, std::string_view name = "ann") {
    return fmt::format(R"({{"apiVersion":"sea.example/v1","kind":"Boat","metadata":{{"name":"{}"}},"spec":{}}})", name,
                       spec);
  }
  static constexpr const char* kDefinitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  static constexpr const char* kBoats = "/apis/sea.example/v1/namespaces/default/boats";
};

TEST_F(CustomTest, AKindIsThereAtOnce) {
  must(call("GET", kBoats), 404);
  define();
  const json::object stored = must(call("GET", std::string(kDefinitions) + "/boats.sea.example"), 200);
  EXPECT_EQ(text_at(stored, "spec.names.listKind"), "BoatList");
  EXPECT_EQ(text_at(stored, "status.acceptedNames.singular"), "boat");
  EXPECT_EQ(stored.at("status").at("storedVersions"), (json::array{"v1"}));
  EXPECT_EQ(stored.at("status").at("conditions").as_array().at(1).at("type"), "Established");
  const json::object resources = must(call("GET", "/apis/sea.example/v1"), 200);
  EXPECT_EQ(resources.at("resources").as_array().at(0).at("shortNames"), (json::array{"bt"}));
  EXPECT_EQ(resources.at("resources").as_array().at(1).at("name"), "boats/status");
  const json::object group = must(call("GET", "/apis/sea.example"), 200);
  EXPECT_EQ(text_at(group, "preferredVersion.version"), "v1");
  EXPECT_EQ(group.at("versions").as_array().size(), 2u);
  const json::object schema = must(call("GET", "/openapi/v3/apis/sea.example/v1"), 200);
  const json::object& shown = object_at(schema, "components.schemas")->at("example.sea.v1.Boat").as_object();
  EXPECT_EQ(shown.at("properties").at("spec").at("description"), "What the boat is.");
  EXPECT_TRUE(shown.at("properties").at("spec").as_object().contains("x-kubernetes-validations"));
}

TEST_F(CustomTest, ObjectsArePrunedFilledAndValidated) {
  define();
  const json::object made =
      must(call("POST", kBoats,
                boat(R"({"harbour":"kiel","wings":2,"sails":[{"name":"a"}],"free":{"x":{"y":1}},"port":"http"})")),
           201);
  EXPECT_EQ(
      json::serialize(made.at("spec")),
      R"({"harbour":"kiel","sails":[{"name":"a","colour":"white"}],"free":{"x":{"y":1}},"port":"http","crew":2})");
  EXPECT_EQ(number_at(made, "metadata.generation"), 1);
  const auto refusal = [&](std::string_view spec) {
    const json::object status = must(call("POST", kBoats, boat(spec, "bad")), 422);
    return std::string(text_at(status, "message"));
  };
  EXPECT_EQ(refusal("{}"), "Boat.sea.example \"bad\" is invalid: spec.harbour: Required value");
  EXPECT_THAT(refusal(R"({"harbour":"KIEL"})"),
              HasSubstr("spec.harbour: Invalid value: \"KIEL\": spec.harbour in body should match '^[a-z]+$'"));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","crew":0})"),
              HasSubstr("spec.crew: Invalid value: 0: spec.crew in body should be greater than or equal to 1"));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","crew":"x"})"),
              HasSubstr("spec.crew: Invalid value: \"string\": spec.crew in body must be of type integer: \"string\""));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","sails":[{"name":"a","colour":"blue"}]})"),
              HasSubstr("spec.sails[0].colour: Unsupported value: \"blue\": supported values: \"red\", \"white\""));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","sails":[{"name":"a"},{"name":"a"}]})"),
              HasSubstr("spec.sails[1]: Duplicate value: {\"name\":\"a\"}"));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","sails":[{"name":"a"},{"name":"b"},{"name":"c"}]})"),
              HasSubstr("spec.sails: Too many: 3: must have at most 2 items"));
  EXPECT_THAT(refusal(R"({"harbour":"kiel","port":true})"), HasSubstr("must be of type integer,string"));
  // Strict validation tells what pruning would take away.
  const json::object strict = must(
      call("POST", std::string(kBoats) + "?fieldValidation=Strict", boat(R"({"harbour":"kiel","wings":2})", "s")), 400);
  EXPECT_THAT(text_at(strict, "message"), HasSubstr("unknown field \"spec.wings\""));
}

TEST_F(CustomTest, StatusScalePatchesAndTables) {
  define();
  must(call("POST", kBoats, boat(R"({"harbour":"kiel","crew":3})")), 201);
  const std::string ann = std::string(kBoats) + "/ann";
  must(call("PATCH", ann + "/status",
            R"({"status":{"crew":3,"conditions":[{"type":"Ready","status":"True"}]},"spec":{"crew":9}})",
            "application/merge-patch+json"),
       200);
  json::object now = must(call("GET", ann), 200);
  EXPECT_EQ(number_at(now, "spec.crew"), 3);
  EXPECT_EQ(number_at(now, "metadata.generation"), 1);
  const json::object scale = must(call("GET", ann + "/scale"), 200);
  EXPECT_EQ(number_at(scale, "spec.replicas"), 3);
  must(call("PATCH", ann + "/scale", R"({"spec":{"replicas":5}})", "application/merge-patch+json"), 200);
  now = must(call("GET", ann), 200);
  EXPECT_EQ(number_at(now, "spec.crew"), 5);
  EXPECT_EQ(number_at(now, "metadata.generation"), 2);
  must(call("PATCH", ann, "{}", "application/strategic-merge-patch+json"), 415);
  const json::object table = must(call("GET", kBoats, "", "", "application/json;as=Table;v=v1;g=meta.k8s.io"), 200);
  std::vector<std::string> columns;
  for (const json::value& column : table.at("columnDefinitions").as_array())
    columns.emplace_back(column.at("name").as_string());
  EXPECT_THAT(columns, ElementsAre("Name", "Crew", "Ready", "Age"));
  EXPECT_EQ(json::serialize(table.at("rows").as_array().at(0).at("cells")), R"(["ann",5,"True","0s"])");
  EXPECT_THAT(names(must(call("GET", std::string(kBoats) + "?fieldSelector=spec.harbour%3Dkiel"), 200)),
              ElementsAre("ann"));
  EXPECT_THAT(names(must(call("GET", std::string(kBoats) + "?fieldSelector=spec.harbour%3Drome"), 200)), ElementsAre());
}

TEST_F(CustomTest, ServerSideApplyKnowsItsLists) {
  define();
  const auto apply = [&](const std::string& manager, const std::string& spec) {
    return call("PATCH", std::string(kBoats) + "/ann?fieldManager=" + manager,
                R"({"apiVersion":"sea.example/v1","kind":"Boat","metadata":{"name":"ann"},"spec":)" + spec + "}",
                "application/apply-patch+yaml");
  };
  must(apply("a", R"({"harbour":"kiel","sails":[{"name":"one"}]})"), 201);
  const json::object both = must(apply("b", R"({"sails":[{"name":"two"}]})"), 200);
  EXPECT_EQ(both.at("spec").at("sails").as_array().size(), 2u);
  must(apply("b", R"({"harbour":"rome"})"), 409);
}

TEST_F(CustomTest, VersionsShowTheSameObjects) {
  define();
  must(call("POST", kBoats, boat(R"({"harbour":"kiel"})")), 201);
  const std::string old = "/apis/sea.example/v1alpha1/namespaces/default/boats";
  EXPECT_EQ(text_at(must(call("GET", old + "/ann"), 200), "apiVersion"), "sea.example/v1alpha1");
  const json::object list = must(call("GET", old), 200);
  EXPECT_EQ(list.at("items").as_array().at(0).at("apiVersion"), "sea.example/v1alpha1");
  const Response stream = call("GET", old + "?watch=1&resourceVersion=" + std::to_string(api_.revision()));
  ASSERT_TRUE(stream.watch);
  must(call("PATCH", std::string(kBoats) + "/ann", R"({"spec":{"crew":7}})", "application/merge-patch+json"), 200);
  const auto seen = lines(*stream.watch);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(text_at(seen[0], "object.apiVersion"), "sea.example/v1alpha1");
  EXPECT_EQ(number_at(seen[0], "object.spec.crew"), 7);
  // A deprecated version says so to those who write it.
  const Response written = call("PATCH", old + "/ann", R"({"spec":{"crew":8}})", "application/merge-patch+json");
  ASSERT_FALSE(written.headers.empty());
  EXPECT_THAT(written.headers[0].second, HasSubstr("sea.example/v1alpha1 Boat is deprecated"));
  EXPECT_EQ(text_at(must(call("GET", std::string(kBoats) + "/ann"), 200), "apiVersion"), "sea.example/v1");
}

TEST_F(CustomTest, ADefinitionTakesItsObjectsAlong) {
  define();
  must(call("POST", kBoats, boat(R"({"harbour":"kiel"})")), 201);
  must(
      call(
          "POST", kBoats,
          R"({"apiVersion":"sea.example/v1","kind":"Boat","metadata":{"name":"held","finalizers":["sea.example/hold"]},"spec":{"harbour":"kiel"}})"),
      201);
  const std::string definition_path = std::string(kDefinitions) + "/boats.sea.example";
  must(call("DELETE", definition_path), 200);
  EXPECT_TRUE(is_terminating(must(call("GET", definition_path), 200)));
  EXPECT_THAT(names(must(call("GET", kBoats), 200)), ElementsAre("held"));
  must(call("POST", kBoats, boat(R"({"harbour":"kiel"})", "late")), 405);
  must(call("PATCH", std::string(kBoats) + "/held", R"({"metadata":{"finalizers":null}})",
            "application/merge-patch+json"),
       200);
  must(call("GET", definition_path), 404);
  must(call("GET", kBoats), 404);
  must(call("GET", "/apis/sea.example"), 404);
  define();  // again, empty
  EXPECT_THAT(names(must(call("GET", kBoats), 200)), ElementsAre());
}

TEST_F(CustomTest, BadDefinitionsAreRefused) {
  const auto refusal = [&](std::string text) {
    return std::string(text_at(must(call("POST", kDefinitions, std::move(text)), 422), "message"));
  };
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string text = definition();
    const size_t at = text.find(from);
    EXPECT_NE(at, text.npos) << from;
    return text.replace(at, from.size(), to);
  };
  EXPECT_THAT(refusal(with("boats.sea.example", "boots.sea.example")), HasSubstr("must be spec.names.plural+"));
  EXPECT_THAT(refusal(with("\"harbour\":{\"type\":\"string\"", "\"harbour\":{\"x\":1")),
              HasSubstr("openAPIV3Schema.properties[spec].properties[harbour].type: Required value"));
  EXPECT_THAT(refusal(with("^[a-z]+$", "^[a-z")), HasSubstr("must be a valid regular expression"));
  EXPECT_THAT(refusal(with("\"storage\":true", "\"storage\":false")), HasSubstr("exactly one version"));
  EXPECT_THAT(refusal(with("\".spec.crew\"}", "\"..spec\"}")), HasSubstr("additionalPrinterColumns[0].jsonPath"));
  EXPECT_THAT(refusal(definition(R"(,"conversion":{"strategy":"Webhook"})")),
              HasSubstr("spec.conversion.strategy: Unsupported value: \"Webhook\""));
  std::string kubernetes = definition();
  for (size_t at; (at = kubernetes.find("sea.example")) != kubernetes.npos;) kubernetes.replace(at, 11, "sea.k8s.io");
  EXPECT_THAT(refusal(kubernetes), HasSubstr("api-approved.kubernetes.io"));
}

TEST(CustomTypes, AreThereAfterARestart) {
  const std::string path = testing::TempDir() + "/custom-restart.db";
  std::remove(path.c_str());
  const auto run = [&](auto&& body) {
    const auto store = *Store::open(path);
    Registry registry(*store, {.service_ranges = {.cidrs = {*net::Prefix::parse("10.96.0.0/16")}}});
    Api api(registry, {.server_address = "x"});
    body([&](std::string method, std::string_view target, std::string text) {
      return api.handle({.method = std::move(method),
                         .target = *parse_target(target),
                         .accept = "application/json",
                         .content_type = "application/json",
                         .body = std::move(text),
                         .user = User{"tester", {"system:masters"}}});
    });
  };
  run([&](auto call) {
    EXPECT_EQ(
        call(
            "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
            R"({"metadata":{"name":"boats.sea.example"},"spec":{"group":"sea.example","scope":"Cluster","names":{"plural":"boats","kind":"Boat"},"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})")
            .code,
        201);
    EXPECT_EQ(call("POST", "/apis/sea.example/v1/boats", R"({"metadata":{"name":"ann"},"spec":{"a":1}})").code, 201);
  });
  run([&](auto call) {
    const Response got = call("GET", "/apis/sea.example/v1/boats/ann", "");
    EXPECT_EQ(got.code, 200) << got.body;
  });
  std::remove(path.c_str());
}

}  // namespace
}  // namespace carrick::apiserver
