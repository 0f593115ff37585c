#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "apiserver/openapi/documents.h"
#include "apiserver/openapi/field_docs.h"
#include "k8s/protobuf_wire.h"

namespace carrick::apiserver {
namespace {

class OpenapiTest : public ApiTest {};

TEST_F(OpenapiTest, DocumentsOfVersion3ExplainFields) {
  const json::object index = must(call("GET", "/openapi/v3"), 200);
  EXPECT_TRUE(text_at(index.at("paths").as_object().at("api/v1").as_object(), "serverRelativeURL")
                  .starts_with("/openapi/v3/api/v1?hash="));
  const json::object core = must(call("GET", "/openapi/v3/api/v1?hash=1"), 200);
  const json::object& schemas = *object_at(core, "components.schemas");
  const json::object& spec = schemas.at("io.k8s.api.core.v1.PodSpec").as_object();
  const json::object& dns = spec.at("properties").as_object().at("dnsConfig").as_object();
  EXPECT_EQ(text_at(dns, "description"), doc_of_field("PodSpec", "dnsConfig"));
  EXPECT_EQ(dns.at("allOf").as_array().at(0).at("$ref"), "#/components/schemas/io.k8s.api.core.v1.PodDNSConfig");
  EXPECT_EQ(spec.at("required"), (json::array{"containers"}));
  const json::object& pod = schemas.at("io.k8s.api.core.v1.Pod").as_object();
  EXPECT_EQ(pod.at("x-kubernetes-group-version-kind").as_array().at(0).at("kind"), "Pod");
  // Kinds of two groups with one name stay two.
  const json::object events = must(call("GET", "/openapi/v3/apis/events.k8s.io/v1"), 200);
  EXPECT_TRUE(object_at(events, "components.schemas")->contains("io.k8s.api.events.v1.Event"));
  EXPECT_TRUE(schemas.contains("io.k8s.api.core.v1.Event"));
  must(call("GET", "/openapi/v3/apis/none/v1"), 404);
}

TEST_F(OpenapiTest, EveryReferenceLeadsSomewhere) {
  for (const GroupVersion& gv : group_versions({})) {
    const auto document = openapi_version({}, gv.group, gv.version);
    ASSERT_TRUE(document) << gv.name();
    const json::object& schemas = *object_at(*document, "components.schemas");
    const std::string text = json::serialize(*document);
    constexpr std::string_view kHome = "\"#/components/schemas/";
    for (size_t at = 0; (at = text.find(kHome, at)) != text.npos;) {
      at += kHome.size();
      const std::string name = text.substr(at, text.find('"', at) - at);
      EXPECT_TRUE(schemas.contains(name)) << name;
    }
  }
}

TEST_F(OpenapiTest, Version2InJsonAndInProtobuf) {
  const json::object document = must(call("GET", "/openapi/v2"), 200);
  const json::object& definitions = document.at("definitions").as_object();
  EXPECT_EQ(definitions.at("io.k8s.api.core.v1.PodSpec").at("properties").at("dnsConfig").at("$ref"),
            "#/definitions/io.k8s.api.core.v1.PodDNSConfig");
  const Response binary =
      call("GET", "/openapi/v2", "", "application/json", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
  EXPECT_EQ(binary.content_type, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  k8s::WireReader reader(binary.body);
  size_t named = 0;
  while (!reader.at_end()) {
    const auto field = reader.next();
    ASSERT_TRUE(field);
    if (field->number != 9) continue;
    for (k8s::WireReader all(field->bytes); !all.at_end(); ++named) {
      const auto one = all.next();
      ASSERT_TRUE(one);
      k8s::WireReader pair(one->bytes);
      EXPECT_TRUE(definitions.contains(pair.next()->bytes));
    }
  }
  EXPECT_EQ(named, definitions.size());
}

// A line of field_docs.inc that names no type or field of the API is a line that nobody ever sees.
TEST(FieldDocs, SayWhatPodsAre) {
  EXPECT_NE(doc_of_type("Pod"), "");
  EXPECT_NE(doc_of_field("NetworkPolicyPeer", "ipBlock"), "");
  EXPECT_NE(doc_of_field("Deployment", "metadata"), "");
  EXPECT_EQ(doc_of_field("Deployment", "nothing"), "");
  EXPECT_EQ(doc_of_type("Nothing"), "");
}

}  // namespace
}  // namespace carrick::apiserver
