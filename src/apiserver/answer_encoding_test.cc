#include "apiserver/answer_encoding.h"

#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "k8s/protobuf.h"

namespace carrick::apiserver {
namespace {

constexpr const char* kProtobuf = "application/vnd.kubernetes.protobuf";

std::string protobuf(const char* text) { return *k8s::encode_protobuf(json::parse(text).as_object()); }

TEST(AnswerEncoding, JsonWheneverItIsAcceptable) {
  EXPECT_EQ(encoding_for(""), Encoding::kJson);
  EXPECT_EQ(encoding_for("application/vnd.kubernetes.protobuf,application/json"), Encoding::kJson);
  EXPECT_EQ(encoding_for("application/vnd.kubernetes.protobuf, */*"), Encoding::kJson);
  EXPECT_EQ(encoding_for(kProtobuf), Encoding::kProtobuf);
  EXPECT_EQ(encoding_for("application/yaml"), Encoding::kYaml);
  EXPECT_EQ(encoding_for("application/yaml, application/json"), Encoding::kJson);
}

TEST(AnswerEncoding, Yaml) {
  const json::value document = json::parse(
      R"({"b":"plain text","a":{"x":[1,{"k":"yes","l":[]},["deep"]],"e":{}},"n":null,"s":"a: b","q":"line\n","u":"1"})");
  EXPECT_EQ(yaml_text(document),
            "a:\n  e: {}\n  x:\n  - 1\n  - k: \"yes\"\n    l: []\n  - - deep\nb: plain text\n\"n\": null\nq: "
            "\"line\\n\"\ns: \"a: b\"\nu: \"1\"\n");
}

// What is written is read back as the same object.
TEST(AnswerEncoding, YamlIsReadBack) {
  const json::object document =
      json::parse(
          R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","annotations":{"t":"~","on":"off","d":"2001-01-01","e":"1e3","c":"- x","h":"a #b","v":"<<","é":"ü\t\u0001"}},
                      "data":{"k":"","l":"|","m":"*x","n":"&x","o":"!x","p":"%x","q":"@x","r":"`x","s":"{x","t":"a:b","u":"?","w":" x"}})")
          .as_object();
  const auto read = decode_yaml(yaml_text(document));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(*read == document) << json::serialize(*read) << "\n" << json::serialize(document);
}

TEST_F(ApiTest, YamlBodiesKeepTheNamespaceOfThePath) {
  must(call("POST", "/api/v1/namespaces", R"({"metadata":{"name":"shop"}})"), 201);
  must(call("POST", "/api/v1/namespaces/shop/configmaps", "metadata:\n  name: a\ndata: {k: v}\n", "application/yaml"),
       201);
  must(call("POST", "/api/v1/namespaces/shop/configmaps", "a: 1\n---\nb: 2\n", "application/yaml"), 400);
  must(call("POST", "/api/v1/namespaces/shop/configmaps", "- a\n", "application/yaml"), 400);
}

TEST_F(ApiTest, ProtobufBodies) {  // API-S1
  const std::string path = "/api/v1/namespaces/default/configmaps";
  must(call("POST", path + "?fieldValidation=Strict",
            protobuf(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}})"), kProtobuf),
       201);
  EXPECT_EQ(text_at(must(call("GET", path + "/a"), 200), "data.k"), "v");
  must(call("PUT", path + "/a",
            protobuf(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"w"}})"), kProtobuf),
       200);
  EXPECT_EQ(text_at(must(call("GET", path + "/a"), 200), "data.k"), "w");
  // Of another kind, of none, broken.
  must(call("POST", path, protobuf(R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"}})"), kProtobuf), 400);
  must(call("POST", path, std::string("k8s\0", 4), kProtobuf), 400);
  must(call("POST", path, std::string("k8s\0\x12\x7f", 6), kProtobuf), 400);
  EXPECT_EQ(
      must(call("DELETE", path + "/a",
                protobuf(R"({"apiVersion":"v1","kind":"DeleteOptions","preconditions":{"uid":"no"}})"), kProtobuf),
           409)
          .at("reason"),
      "Conflict");
  must(call("DELETE", path + "/a",
            protobuf(R"({"apiVersion":"apps/v1","kind":"DeleteOptions","propagationPolicy":"Background"})"), kProtobuf),
       200);
}

TEST_F(ApiTest, ProtobufReviewsAndBindings) {
  const json::object review =
      must(call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                protobuf(R"({"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview",
                        "spec":{"resourceAttributes":{"verb":"get","resource":"pods"}}})"),
                kProtobuf),
           201);
  EXPECT_EQ(text_at(review, "spec.resourceAttributes.verb"), "get");
  EXPECT_TRUE(flag_at(review, "status.allowed"));
}

TEST_F(ApiTest, ProtobufAnswersForThoseWhoTakeNothingElse) {
  make_map("a", R"({"app":"web"})");
  const auto ask = [&](const char* path, const char* accept) { return call("GET", path, "", "", accept); };
  const Response one = ask("/api/v1/namespaces/default/configmaps/a", kProtobuf);
  EXPECT_EQ(one.content_type, kProtobuf);
  EXPECT_EQ(text_at(*k8s::decode_protobuf(one.body), "metadata.labels.app"), "web");
  const Response list = ask("/api/v1/configmaps", kProtobuf);
  EXPECT_EQ(list.content_type, kProtobuf);
  EXPECT_THAT(list.body, testing::HasSubstr("ConfigMapList"));
  const Response failure = ask("/api/v1/namespaces/default/configmaps/b", kProtobuf);
  EXPECT_EQ(failure.code, 404);
  EXPECT_EQ(text_at(*k8s::decode_protobuf(failure.body), "reason"), "NotFound");
  EXPECT_EQ(ask("/api/v1/configmaps", "application/vnd.kubernetes.protobuf,application/json").content_type,
            "application/json");
  EXPECT_EQ(ask("/api/v1/namespaces/default/configmaps/a", "application/yaml").body.substr(0, 15), "apiVersion: v1\n");

  const Response watch = ask("/api/v1/configmaps?watch=1", kProtobuf);
  EXPECT_EQ(watch.content_type, "application/vnd.kubernetes.protobuf;stream=watch");
  make_map("b");
  const std::string frames = watch.watch->take(1u << 20);
  ASSERT_GT(frames.size(), 4u);
  const size_t first = static_cast<uint8_t>(frames[2]) * 256u + static_cast<uint8_t>(frames[3]);
  ASSERT_GT(frames.size(), first + 8);
  const size_t second = static_cast<uint8_t>(frames[first + 6]) * 256u + static_cast<uint8_t>(frames[first + 7]);
  EXPECT_EQ(frames.size(), first + second + 8);
}

}  // namespace
}  // namespace carrick::apiserver
