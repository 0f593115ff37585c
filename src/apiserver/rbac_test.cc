#include "apiserver/rbac.h"

#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"

namespace carrick::apiserver {
namespace {

class RbacTest : public ApiTest {
 protected:
  RbacTest() {
    for (auto& [type, document] : standard_roles()) {
      const auto made = registry_.create(*type, "", document);
      EXPECT_TRUE(made) << (made ? "" : made.error().message);
    }
    must(
        call(
            "POST", kRoles,
            R"({"metadata":{"name":"reader"},"rules":[{"verbs":["get","list","watch"],"apiGroups":[""],"resources":["configmaps","pods/log"]},{"verbs":["get","delete"],"apiGroups":["*"],"resources":["secrets"],"resourceNames":["mine"]}]})"),
        201);
    must(
        call(
            "POST", kBindings,
            R"({"metadata":{"name":"readers"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"reader"},"subjects":[{"kind":"User","name":"ann"},{"kind":"Group","name":"crew"},{"kind":"ServiceAccount","name":"robot","namespace":"default"}]})"),
        201);
    make_map("a");
  }
  void be(std::string name, std::vector<std::string> groups = {}) {
    user_ = with_implied_groups({std::move(name), std::move(groups)});
  }
  bool can(std::string_view verb, std::string_view resource, std::string_view namespace_ = "default",
           std::string_view name = "") {
    const json::object answer = must(
        call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
             fmt::format(
                 R"({{"spec":{{"resourceAttributes":{{"verb":"{}","resource":"{}","namespace":"{}","name":"{}"}}}}}})",
                 verb, resource, namespace_, name)),
        201);
    return flag_at(answer, "status.allowed");
  }
  static constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";
  static constexpr const char* kRoles = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles";
  static constexpr const char* kBindings = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";
};

TEST_F(RbacTest, WhoHasNoRoleMayAskOnlyWhatItMay) {
  be("bob");
  const json::object refusal = must(call("GET", kMaps), 403);
  EXPECT_EQ(text_at(refusal, "message"),
            "configmaps is forbidden: User \"bob\" cannot list resource \"configmaps\" in API group \"\" in the "
            "namespace \"default\"");
  EXPECT_EQ(text_at(refusal, "reason"), "Forbidden");
  EXPECT_EQ(
      text_at(must(call("GET", "/api/v1/nodes/n"), 403), "message"),
      "nodes \"n\" is forbidden: User \"bob\" cannot get resource \"nodes\" in API group \"\" at the cluster scope");
  EXPECT_EQ(text_at(must(call("GET", "/metrics"), 403), "message"),
            "forbidden: User \"bob\" cannot get path \"/metrics\"");
  EXPECT_EQ(call("GET", "/apis/apps/v1").code, 200);
  EXPECT_EQ(call("GET", "/openapi/v3").code, 200);
  EXPECT_FALSE(can("list", "configmaps"));
  // What is not there is as forbidden as what is.
  EXPECT_EQ(call("GET", "/nothing").code, 403);
  must(call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", "{}"), 403);
}

TEST_F(RbacTest, RolesAreForVerbsResourcesNamesAndNamespaces) {
  be("ann");
  EXPECT_EQ(call("GET", std::string(kMaps) + "/a").code, 200);
  EXPECT_EQ(call("GET", std::string(kMaps) + "?watch=1").code, 200);
  EXPECT_EQ(call("DELETE", std::string(kMaps) + "/a").code, 403);
  EXPECT_EQ(call("GET", "/api/v1/configmaps").code, 403);
  EXPECT_TRUE(can("get", "secrets", "default", "mine"));
  EXPECT_FALSE(can("get", "secrets", "default", "other"));
  EXPECT_FALSE(can("list", "secrets"));
  EXPECT_FALSE(can("get", "pods"));
  EXPECT_FALSE(can("get", "configmaps", "kube-system"));
  EXPECT_EQ(call("GET", "/api/v1/namespaces/default/pods/p/log").code, 404);  // allowed, and not there
  const json::object rules =
      must(call("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", R"({"spec":{"namespace":"default"}})"),
           201);
  EXPECT_THAT(json::serialize(rules.at("status").at("resourceRules")), testing::HasSubstr("pods/log"));
}

TEST_F(RbacTest, GroupsAndServiceAccountsCountToo) {
  be("eve", {"crew"});
  EXPECT_EQ(call("GET", kMaps).code, 200);
  be("system:serviceaccount:default:robot");
  EXPECT_EQ(call("GET", kMaps).code, 200);
  EXPECT_THAT(user_.groups, testing::Contains("system:serviceaccounts:default"));
  be("system:serviceaccount:other:robot");
  EXPECT_EQ(call("GET", kMaps).code, 403);
}

TEST_F(RbacTest, ABindingGivesAClusterRoleInItsNamespaceOnly) {
  must(
      call(
          "POST", kBindings,
          R"({"metadata":{"name":"editors"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},"subjects":[{"kind":"User","name":"ed"}]})"),
      201);
  be("ed");
  EXPECT_TRUE(can("create", "configmaps"));
  EXPECT_FALSE(can("create", "configmaps", "kube-system"));
  EXPECT_FALSE(can("create", "nodes"));
  EXPECT_EQ(call("POST", kMaps, R"({"metadata":{"name":"b"}})").code, 201);
  be("tester", {"system:masters"});
  must(call("DELETE", std::string(kBindings) + "/editors"), 200);
  be("ed");
  EXPECT_EQ(call("DELETE", std::string(kMaps) + "/b").code, 403);
}

TEST_F(RbacTest, MastersAskAboutOthers) {
  const json::object answer = must(
      call(
          "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
          R"({"spec":{"user":"ann","resourceAttributes":{"verb":"list","resource":"configmaps","namespace":"default"}}})"),
      201);
  EXPECT_EQ(text_at(answer, "status.reason"),
            "RBAC: allowed by RoleBinding \"readers/default\" of Role \"reader\" to User \"ann\"");
}

}  // namespace
}  // namespace carrick::apiserver
