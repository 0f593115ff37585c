#include "k8s/patch.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "k8s/apps.h"

namespace carrick::k8s {
namespace {

json::value parse(std::string_view text) { return json::parse(std::string(text)); }
std::string shown(const Result<json::object>& result) {
  return result ? json::serialize(*result) : "error: " + result.error().message;
}

TEST(JsonPatch, Table) {
  struct Case {
    const char *document, *patch, *result;
  };
  for (const Case& c : std::initializer_list<Case>{
           // RFC 6902 appendix A, and the API's own uses.
           {R"({"foo":"bar"})", R"([{"op":"add","path":"/baz","value":"qux"}])", R"({"foo":"bar","baz":"qux"})"},
           {R"({"foo":["bar","baz"]})", R"([{"op":"add","path":"/foo/1","value":"qux"}])",
            R"({"foo":["bar","qux","baz"]})"},
           {R"({"foo":["bar"]})", R"([{"op":"add","path":"/foo/-","value":["abc"]}])", R"({"foo":["bar",["abc"]]})"},
           {R"({"baz":"qux","foo":"bar"})", R"([{"op":"remove","path":"/baz"}])", R"({"foo":"bar"})"},
           {R"({"foo":["bar","qux","baz"]})", R"([{"op":"remove","path":"/foo/1"}])", R"({"foo":["bar","baz"]})"},
           {R"({"baz":"qux"})", R"([{"op":"replace","path":"/baz","value":"boo"}])", R"({"baz":"boo"})"},
           {R"({"foo":{"bar":"baz"},"qux":{}})", R"([{"op":"move","from":"/foo/bar","path":"/qux/thud"}])",
            R"({"foo":{},"qux":{"thud":"baz"}})"},
           {R"({"foo":["all","grass","cows","eat"]})", R"([{"op":"move","from":"/foo/1","path":"/foo/3"}])",
            R"({"foo":["all","cows","eat","grass"]})"},
           {R"({"a":{"b":1}})", R"([{"op":"copy","from":"/a","path":"/a/c"}])", R"({"a":{"b":1,"c":{"b":1}}})"},
           {R"({"a":{"x/y":1}})", R"([{"op":"test","path":"/a/x~1y","value":1},{"op":"remove","path":"/a/x~1y"}])",
            R"({"a":{}})"},
           {R"({"a~b":1})", R"([{"op":"replace","path":"/a~0b","value":2}])", R"({"a~b":2})"},
           {R"({"a":1})", R"([{"op":"replace","path":"","value":{"b":2}}])", R"({"b":2})"},
           {R"({})", R"([])", R"({})"},
           {R"({"a":1})", R"([{"op":"test","path":"/a","value":2}])", "error: testing value /a failed: test failed"},
           {R"({"a":1})", R"([{"op":"add","path":"/b/c","value":2}])",
            R"(error: add operation does not apply: doc is missing path: "/b/c": missing value)"},
           {R"({"a":[]})", R"([{"op":"add","path":"/a/1","value":2}])",
            R"(error: add operation does not apply: doc is missing path: "/a/1": missing value)"},
           {R"({"a":[1,2]})", R"([{"op":"remove","path":"/a/01"}])",
            R"(error: remove operation does not apply: doc is missing path: "/a/01": missing value)"},
           {R"({})", R"([{"op":"replace","path":"/a","value":1}])",
            R"(error: replace operation does not apply: doc is missing path: "/a": missing value)"},
           {R"({"a":{"b":1}})", R"([{"op":"move","from":"/a","path":"/a/b/c"}])",
            "error: move operation at /a/b/c would move a value into itself"},
           {R"({})", R"([{"op":"jump","path":"/a","value":1}])", R"(error: unknown JSON patch operation "jump")"},
           {R"({})", R"([{"op":"add","path":"a","value":1}])", "error: JSON pointer a must begin with /"},
           {R"({})", R"([{"op":"add","path":"/~2","value":1}])", "error: JSON pointer /~2 has a bad escape"},
           {R"({})", R"([{"op":"add","value":1}])", "error: add operation has no path"},
           {R"({})", R"([{"op":"replace","path":"","value":1}])", "error: the patched document is not an object"},
           {R"({})", R"([1])", "error: a JSON patch is a list of objects"},
       })
    EXPECT_EQ(shown(apply_json_patch(parse(c.document).as_object(), parse(c.patch).as_array())), c.result) << c.patch;
}

TEST(JsonPatch, CopiesAreBounded) {
  json::array operations{{{"op", "add"}, {"path", "/a"}, {"value", json::array(10, 1)}}};
  for (int i = 0; i < 30; ++i) operations.push_back({{"op", "copy"}, {"from", "/a"}, {"path", "/a/-"}});
  EXPECT_EQ(shown(apply_json_patch({}, operations)), "error: the patch copies more than 100000 values");
}

TEST(MergePatch, Rfc7386AppendixA) {
  struct Case {
    const char *document, *patch, *result;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"a":"b"})", R"({"a":"c"})", R"({"a":"c"})"},
           {R"({"a":"b"})", R"({"b":"c"})", R"({"a":"b","b":"c"})"},
           {R"({"a":"b","b":"c"})", R"({"a":null})", R"({"b":"c"})"},
           {R"({"a":["b"]})", R"({"a":"c"})", R"({"a":"c"})"},
           {R"({"a":{"b":"c"}})", R"({"a":{"b":"d","c":null}})", R"({"a":{"b":"d"}})"},
           {R"({"a":[{"b":"c"}]})", R"({"a":[1]})", R"({"a":[1]})"},
           {R"({"e":null})", R"({"a":1})", R"({"e":null,"a":1})"},
           {R"({})", R"({"a":{"bb":{"ccc":null}}})", R"({"a":{"bb":{}}})"},
       })
    EXPECT_EQ(json::serialize(apply_merge_patch(parse(c.document).as_object(), parse(c.patch).as_object())), c.result)
        << c.patch;
}

TEST(StrategicMerge, Directives) {
  struct Case {
    const char *document, *patch, *result;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"2"}]}})",
            R"({"spec":{"containers":[{"name":"b","image":"3"}]}})",
            R"({"spec":{"containers":[{"name":"a","image":"1"},{"name":"b","image":"3"}]}})"},
           {R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
            R"({"spec":{"containers":[{"name":"a","$patch":"delete"}]}})", R"({"spec":{"containers":[{"name":"b"}]}})"},
           {R"({"spec":{"containers":[{"name":"a"},{"name":"b"}]}})",
            R"({"spec":{"containers":[{"$patch":"replace"},{"name":"c"}]}})",
            R"({"spec":{"containers":[{"name":"c"}]}})"},
           {R"({"spec":{"nodeSelector":{"a":"1"}}})", R"({"spec":{"nodeSelector":{"$patch":"replace","b":"2"}}})",
            R"({"spec":{"nodeSelector":{"b":"2"}}})"},
           {R"({"spec":{"nodeSelector":{"a":"1"}}})", R"({"spec":{"nodeSelector":{"$patch":"delete"}}})",
            R"({"spec":{"nodeSelector":{}}})"},
           {R"({"metadata":{"finalizers":["a","b"]}})", R"({"metadata":{"finalizers":["c","a"]}})",
            R"({"metadata":{"finalizers":["c","a","b"]}})"},
           {R"({"metadata":{"finalizers":["a","b","c"]}})",
            R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["b"]}})",
            R"({"metadata":{"finalizers":["a","c"]}})"},
           {R"({"spec":{"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]}})",
            R"({"spec":{"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]}})",
            R"({"spec":{"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]}})"},
           {R"({"spec":{"tolerations":[{"key":"a"}]}})", R"({"spec":{"tolerations":[{"key":"b"}]}})",
            R"({"spec":{"tolerations":[{"key":"b"}]}})"},  // atomic
           {R"({"spec":{"containers":[{"name":"a","args":["1"]}]}})",
            R"({"spec":{"containers":[{"name":"a","args":["2"]}]}})",
            R"({"spec":{"containers":[{"name":"a","args":["2"]}]}})"},
           {R"({"spec":{"volumes":[{"name":"v","emptyDir":{}}]}})",
            R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name","configMap"],"configMap":{"name":"m"}}]}})",
            R"({"spec":{"volumes":[{"name":"v","configMap":{"name":"m"}}]}})"},
           {R"({"status":{"conditions":[{"type":"Ready","status":"False"},{"type":"X","status":"True"}]}})",
            R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})",
            R"({"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"X","status":"True"}]}})"},
           {R"({"metadata":{"labels":{"a":"1","b":"2"}}})", R"({"metadata":{"labels":{"a":null,"c":"3"}}})",
            R"({"metadata":{"labels":{"b":"2","c":"3"}}})"},
           {R"({})", R"({"metadata":{"labels":{"a":null,"c":"3"}}})", R"({"metadata":{"labels":{"c":"3"}}})"},
           {R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[{"image":"x"}]}})",
            R"(error: map: {"image":"x"} does not contain declared merge key: name)"},
           {R"({"spec":{"containers":[]}})", R"({"spec":{"containers":[{"name":"a","$patch":"frob"}]}})",
            R"(error: unknown patch type found in {"name":"a","$patch":"frob"})"},
           {R"({"spec":{"volumes":[{"name":"v"}]}})",
            R"({"spec":{"volumes":[{"name":"v","$retainKeys":["name"],"emptyDir":{}}]}})",
            "error: invalid patch format of retainKeys list: it does not name emptyDir"},
           {R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"containers":[5]}})",
            "error: a list merged by name has an element that is not an object: 5"},
           {R"({"spec":{"containers":[{"name":"a"}]}})", R"({"spec":{"$setElementOrder/containers":5}})",
            "error: $setElementOrder/containers: expected lists"},
       })
    EXPECT_EQ(
        shown(apply_strategic_merge_patch(resource<Pod>(), parse(c.document).as_object(), parse(c.patch).as_object())),
        c.result)
        << c.patch;
}

// What k8s.io/apimachinery made of patches that kubectl would send (tools/api_fields/cases).
TEST(StrategicMerge, AgreesWithTheOriginal) {
  std::ifstream file(std::string(CARRICK_SOURCE_DIR) + "/src/k8s/testdata/strategic_merge.json");
  std::stringstream text;
  text << file.rdbuf();
  const json::array cases = parse(text.str()).as_array();
  ASSERT_GE(cases.size(), 40u);
  for (const json::value& c : cases) {
    const ResourceType& type = c.at("kind") == "Service" ? resource<Service>() : resource<Deployment>();
    const auto result = apply_strategic_merge_patch(type, c.at("current").as_object(), c.at("patch").as_object());
    ASSERT_TRUE(result) << result.error().message << "\n" << json::serialize(c);
    EXPECT_EQ(*result == c.at("result").as_object(), true)
        << json::serialize(c) << "\ngot " << json::serialize(*result);
  }
}

}  // namespace
}  // namespace carrick::k8s
