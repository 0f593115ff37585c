#include "apiserver/request.h"

#include <gmock/gmock.h>

#include "apiserver/body.h"
#include "apiserver/continue_token.h"

namespace carrick::apiserver {
namespace {

TEST(Target, SegmentsAndQuery) {
  const auto target = parse_target("/api/v1/pods?labelSelector=a%3Db%2Cc&limit=500&x=a+b&command=a&command=b&flag");
  ASSERT_TRUE(target);
  EXPECT_THAT(target->segments, testing::ElementsAre("api", "v1", "pods"));
  EXPECT_EQ(target->query.get("labelSelector"), "a=b,c");
  EXPECT_EQ(target->query.get("x"), "a b");
  EXPECT_TRUE(target->query.has("flag"));
  EXPECT_EQ(target->query.values.size(), 6u);
}

TEST(Target, RefusesNonsense) {
  for (const std::string& text : {std::string(""), std::string("api"), std::string("/a%"), std::string("/a%4"),
                                  std::string("/%zz"), std::string("/a%00b"), std::string("/a/../b"),
                                  std::string("/%2e%2e/x"), "/" + std::string(20000, 'a'), std::string("/?a=%f")})
    EXPECT_FALSE(parse_target(text)) << text.substr(0, 20);
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += "/a";
  EXPECT_FALSE(parse_target(deep));
}

Route route(const char* path) {
  const auto found = route_of(parse_target(path)->segments);
  EXPECT_TRUE(found) << path;
  return found.value_or(Route{});
}

TEST(Route, Paths) {
  EXPECT_EQ(route("/api/v1/pods").type->kind, "Pod");
  EXPECT_EQ(route("/api/v1/namespaces/a/pods").namespace_, "a");
  EXPECT_EQ(route("/api/v1/namespaces/a/pods/p/status").subresource, "status");
  EXPECT_EQ(route("/api/v1/namespaces/a").type->kind, "Namespace");
  EXPECT_EQ(route("/api/v1/namespaces/a").name, "a");
  EXPECT_EQ(route("/api/v1/namespaces/a/finalize").subresource, "finalize");
  EXPECT_EQ(route("/apis/apps/v1/namespaces/a/deployments/d/scale").name, "d");
  EXPECT_EQ(route("/apis/apps/v1/namespaces/a/deployments/d/scale").subresource, "scale");
  for (const char* path : {"/", "/api", "/api/v1", "/api/v1/frogs", "/apis/apps/v2/deployments", "/api/v1/pods/p",
                           "/apis/apps/v1", "/x/v1/pods"})
    EXPECT_FALSE(route_of(parse_target(path)->segments)) << path;
}

TEST(Accept, OrderAndParameters) {
  const auto accept = parse_accept(
      "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/"
      "json");
  ASSERT_EQ(accept.size(), 3u);
  EXPECT_EQ(accept[0].as, "Table");
  EXPECT_EQ(accept[0].version, "v1");
  EXPECT_EQ(accept[2].as, "");
  const auto weighted = parse_accept("text/html;q=0.3, application/json;q=0.9, */*;q=0");
  ASSERT_EQ(weighted.size(), 2u);
  EXPECT_EQ(weighted[0].type, "application/json");
  EXPECT_EQ(parse_accept("")[0].type, "*/*");
  EXPECT_EQ(media_type_of(" Application/JSON; charset=utf-8"), "application/json");
}

TEST(ContinueToken, ThereAndBack) {
  const ContinueToken token{42, {"ns", "näme"}};
  const auto back = ContinueToken::parse(token.str());
  ASSERT_TRUE(back);
  EXPECT_EQ(back->revision, 42u);
  EXPECT_EQ(back->after, token.after);
  for (const char* text : {"", "!!", "e30", "eyJydiI6LTF9", "AAAA"}) EXPECT_FALSE(ContinueToken::parse(text)) << text;
}

TEST(Body, DuplicateFieldsWithTheirPaths) {
  EXPECT_THAT(duplicate_fields(R"({"a":1,"b":{"c":[{"d":1},{"d":1,"d":2}],"c":3},"a":{"x":1}})"),
              testing::ElementsAre("b.c[1].d", "b.c", "a"));
  EXPECT_THAT(duplicate_fields(R"({"a":{"x":1},"b":{"x":1}})"), testing::IsEmpty());
}

TEST(Body, Encodings) {
  EXPECT_EQ(decode_body("application/json", R"({"kind":"Pod"})")->document.at("kind"), "Pod");
  EXPECT_EQ(decode_body("", "{}")->document.size(), 0u);
  EXPECT_EQ(decode_body("application/json", "[]").error().code, 400);
  EXPECT_EQ(decode_body("application/json", "{").error().code, 400);
  EXPECT_EQ(decode_body("text/html", "{}").error().code, 415);
  EXPECT_EQ(decode_body("application/vnd.kubernetes.protobuf", "k8s").error().code, 400);
  EXPECT_EQ(
      decode_body("application/yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")->document.at("kind"),
      "ConfigMap");
  std::string deep(200, '[');
  EXPECT_EQ(decode_body("application/json", deep).error().code, 400);
}

}  // namespace
}  // namespace carrick::apiserver
