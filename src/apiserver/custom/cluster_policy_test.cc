#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "apiserver/custom/standard_definitions.h"

// ClusterNetworkPolicy as the API server of a lab offers it.
namespace carrick::apiserver {
namespace {

using testing::HasSubstr;

constexpr const char* kPolicies = "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies";

class ClusterPolicyTest : public ApiTest {
 protected:
  ClusterPolicyTest() {
    for (const json::object& definition : standard_definitions().value())
      must(call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", json::serialize(definition)), 201);
  }
  static std::string policy(std::string_view rules, std::string_view head = R"("tier":"Admin","priority":5)") {
    return fmt::format(
        R"({{"apiVersion":"policy.networking.k8s.io/v1alpha2","kind":"ClusterNetworkPolicy","metadata":{{"name":"p"}},
            "spec":{{{},"subject":{{"namespaces":{{}}}},{}}}}})",
        head, rules);
  }
  std::string refusal(const std::string& body) {
    const Response response = call("POST", kPolicies, body);
    EXPECT_EQ(response.code, 422) << body << response.body;
    return response.body;
  }
  static std::string egress(std::string_view action, std::string_view to, std::string_view more = "") {
    return policy(fmt::format(R"("egress":[{{"action":"{}","to":[{}]{}}}])", action, to, more));
  }
};

TEST_F(ClusterPolicyTest, CNP_1_IsThereWithItsShortNameAndStatus) {
  const json::object list = must(call("GET", "/apis/policy.networking.k8s.io/v1alpha2"), 200);
  const std::string text = json::serialize(list);
  EXPECT_THAT(text, HasSubstr("\"clusternetworkpolicies\""));
  EXPECT_THAT(text, HasSubstr("\"clusternetworkpolicies/status\""));
  EXPECT_THAT(text, HasSubstr("\"cnp\""));
  // What a user has applies again over it.
  const json::object again = must(call("GET",
                                       "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/"
                                       "clusternetworkpolicies.policy.networking.k8s.io"),
                                  200);
  EXPECT_THAT(json::serialize(again), HasSubstr(R"("type":"Established","status":"True")"));
}

TEST_F(ClusterPolicyTest, CNP_9_ConditionsAndColumns) {
  const json::object held = must(call("POST", kPolicies, egress("Deny", R"({"networks":["203.0.113.0/24"]})")), 201);
  EXPECT_THAT(json::serialize(held.at("status")), HasSubstr(R"("type":"Accepted","status":"True","reason":"Held")"));
  const Response table =
      call("GET", kPolicies, "", "", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json");
  for (const char* column : {"Tier", "Priority", "Age"})
    EXPECT_THAT(table.body, HasSubstr(fmt::format("\"{}\"", column)));
  // Refused in part: said with the rule, and taken back when the rule goes.
  const std::string path = std::string(kPolicies) + "/p";
  const json::object part =
      must(call("PATCH", path, R"({"spec":{"egress":[{"action":"Accept","to":[{"domainNames":["*.example.com"]}]}]}})",
                "application/merge-patch+json"),
           200);
  const std::string status = json::serialize(part.at("status"));
  EXPECT_THAT(status, HasSubstr(R"("status":"False","reason":"PartlyRefused")"));
  EXPECT_THAT(status, HasSubstr("spec.egress[0]: domainNames are not supported"));
  const json::object whole =
      must(call("PATCH", path, R"({"spec":{"egress":null}})", "application/merge-patch+json"), 200);
  EXPECT_THAT(json::serialize(whole.at("status")), HasSubstr(R"("status":"True")"));
}

TEST_F(ClusterPolicyTest, CNP_2_RefusesWhatUpstreamRefuses) {
  EXPECT_THAT(refusal(policy("\"ingress\":[]", R"("tier":"Main","priority":5)")), HasSubstr("spec.tier"));
  EXPECT_THAT(refusal(policy("\"ingress\":[]", R"("tier":"Admin","priority":1001)")), HasSubstr("spec.priority"));
  EXPECT_THAT(refusal(policy("\"ingress\":[]", R"("tier":"Admin")")), HasSubstr("spec.priority"));
  EXPECT_THAT(refusal(policy(R"("ingress":[{"action":"Allow","from":[{"namespaces":{}}]}])")), HasSubstr("action"));
  EXPECT_THAT(refusal(policy(R"("ingress":[{"action":"Accept","from":[]}])")), HasSubstr("spec.ingress[0].from"));
  EXPECT_THAT(refusal(egress("Deny", R"({"networks":["10.0.0.0/33"]})")), HasSubstr("Invalid CIDR format provided"));
  EXPECT_THAT(refusal(egress("Deny", R"({"domainNames":["example.com"]})")), HasSubstr("only Accept rules"));
  EXPECT_THAT(refusal(egress("Deny", R"({"namespaces":{},"networks":["10.0.0.0/8"]})")),
              HasSubstr("spec.egress[0].to[0]"));
  EXPECT_THAT(
      refusal(egress("Deny", R"({"networks":["10.0.0.0/8"]})", R"(,"protocols":[{"destinationNamedPort":"http"}])")),
      HasSubstr("cannot be set with namedPorts"));
  EXPECT_THAT(refusal(egress("Deny", R"({"namespaces":{}})",
                             R"(,"protocols":[{"tcp":{"destinationPort":{"range":{"start":9,"end":9}}}}])")),
              HasSubstr("Start port must be less than End port"));
  EXPECT_THAT(refusal(egress("Deny", R"({"namespaces":{}})", R"(,"protocols":[{"tcp":{}}])")),
              HasSubstr("protocols[0].tcp"));
}

}  // namespace
}  // namespace carrick::apiserver
