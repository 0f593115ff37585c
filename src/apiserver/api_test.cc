#include "apiserver/api.h"

#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"

namespace carrick::apiserver {
namespace {

constexpr const char* kTableAccept =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";

TEST_F(ApiTest, NobodyGetsNothingButHealthAndVersion) {
  const auto anonymous = [&](const char* path) {
    return api_
        .handle({.method = "GET",
                 .target = *parse_target(path),
                 .accept = {},
                 .content_type = {},
                 .body = {},
                 .user = std::nullopt})
        .code;
  };
  EXPECT_EQ(anonymous("/version"), 200);
  EXPECT_EQ(anonymous("/healthz"), 200);
  EXPECT_EQ(anonymous("/readyz/ping"), 200);
  EXPECT_EQ(anonymous("/api"), 401);
  EXPECT_EQ(anonymous("/api/v1/pods"), 401);
  EXPECT_EQ(anonymous("/openapi/v3"), 401);
  EXPECT_EQ(anonymous("/nothing"), 401);
}

TEST_F(ApiTest, DiscoveryAnswersInTheFormThatIsAskedFor) {  // API-S2
  const auto ask = [&](const char* path, const char* accept) { return call("GET", path, "", "", accept); };
  constexpr const char* kV2 =
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/"
      "json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
  constexpr const char* kBeta =
      "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
  const Response v2 = ask("/apis", kV2);
  EXPECT_EQ(v2.content_type, "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  EXPECT_EQ(must(v2, 200).at("apiVersion"), "apidiscovery.k8s.io/v2");
  EXPECT_EQ(must(ask("/apis", kBeta), 200).at("apiVersion"), "apidiscovery.k8s.io/v2beta1");
  EXPECT_EQ(
      must(ask("/apis", "application/json;g=apidiscovery.k8s.io;v=v3;as=APIGroupDiscoveryList,application/json"), 200)
          .at("kind"),
      "APIGroupList");
  EXPECT_EQ(must(ask("/apis", "application/json"), 200).at("kind"), "APIGroupList");
  EXPECT_EQ(must(ask("/api", ""), 200).at("kind"), "APIVersions");
  EXPECT_EQ(
      must(ask("/apis",
               "application/json;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io;profile=nopeer,application/json"),
           200)
          .at("apiVersion"),
      "apidiscovery.k8s.io/v2");
  const json::object core = must(ask("/api", kV2), 200);
  EXPECT_EQ(core.at("items").as_array().size(), 1u);
  const json::object apps = must(ask("/apis/apps/v1", ""), 200);
  EXPECT_EQ(apps.at("kind"), "APIResourceList");
  EXPECT_THAT(json::serialize(apps), testing::HasSubstr("\"deployments/scale\""));
  must(ask("/apis/apps", ""), 200);
  must(ask("/apis/nothing", ""), 404);
  must(ask("/apis/apps/v9", ""), 404);
}

TEST_F(ApiTest, OpenApiTellsClientsToLeaveValidationToTheServer) {  // API-S3, API-S4
  EXPECT_THAT(call("GET", "/openapi/v3").body,
              testing::HasSubstr("\"apis/apps/v1\":{\"serverRelativeURL\":\"/openapi/v3/apis/apps/v1?hash="));
  const std::string apps = call("GET", "/openapi/v3/apis/apps/v1?hash=1").body;
  EXPECT_THAT(apps, testing::HasSubstr("\"kind\":\"Deployment\""));
  EXPECT_THAT(apps, testing::HasSubstr("fieldValidation"));
  const Response v2 = call("GET", "/openapi/v2", "", "", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
  EXPECT_EQ(v2.content_type, "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  EXPECT_THAT(v2.body, testing::HasSubstr("io.k8s.api.core.v1.PodSpec"));
  EXPECT_EQ(call("GET", "/openapi/v3/apis/nothing/v1").code, 404);
}

TEST_F(ApiTest, CreateReadReplaceDelete) {
  const json::object made =
      must(call("POST", "/api/v1/namespaces/default/configmaps",
                R"({"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"},"data":{"k":"v"}})"),
           201);
  EXPECT_EQ(must(call("GET", "/api/v1/namespaces/default/configmaps/a"), 200), made);
  json::object changed = made;
  child_object(changed, "data")["k"] = "w";
  must(call("PUT", "/api/v1/namespaces/default/configmaps/a", json::serialize(changed)), 200);
  const json::object stale =
      must(call("PUT", "/api/v1/namespaces/default/configmaps/a", json::serialize(changed)), 409);
  EXPECT_EQ(text_at(stale, "reason"), "Conflict");
  EXPECT_EQ(text_at(stale, "details.kind"), "configmaps");
  const json::object gone =
      must(call("DELETE", "/api/v1/namespaces/default/configmaps/a", R"({"propagationPolicy":"Background"})"), 200);
  EXPECT_EQ(text_at(gone, "status"), "Success");
  EXPECT_EQ(text_at(gone, "details.uid"), text_at(made, "metadata.uid"));
  const json::object absent = must(call("GET", "/api/v1/namespaces/default/configmaps/a"), 404);
  EXPECT_EQ(text_at(absent, "message"), "configmaps \"a\" not found");
  EXPECT_EQ(number_at(absent, "code"), 404);
}

TEST_F(ApiTest, AnswersAreUtf8WhateverTheyQuote) {
  const json::object absent = must(call("GET", "/api/v1/namespaces/%ff%c3%a9%ed%a0%80"), 404);
  EXPECT_EQ(text_at(absent, "details.name"), "\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  must(call("POST", "/api/v1/namespaces/default/configmaps", "{}", "text/\x9e"), 415);
}

TEST_F(ApiTest, BadRequests) {
  must(call("POST", "/api/v1/namespaces/default/configmaps", "{"), 400);
  must(call("POST", "/api/v1/namespaces/default/configmaps",
            R"({"kind":"Pod","apiVersion":"v1","metadata":{"name":"a"}})"),
       400);
  must(call("POST", "/api/v1/configmaps", R"({"metadata":{"name":"a"}})"), 405);
  must(call("POST", "/api/v1/namespaces/default/configmaps", "x", "text/plain"), 415);
  must(call("GET", "/api/v1/namespaces/default/configmaps", "", "", "text/html"), 406);
  must(call("GET", "/api/v1/frogs"), 404);
  must(call("PUT", "/api/v1/namespaces/default/configmaps", "{}"), 405);
  must(call("BREW", "/api/v1/namespaces/default/configmaps"), 405);
  must(call("GET", "/api/v1/configmaps?limit=x"), 400);
  must(call("GET", "/api/v1/configmaps?resourceVersion=-1"), 400);
  must(call("GET", "/api/v1/configmaps?labelSelector=a+in+(b"), 400);
  must(call("POST", "/api/v1/namespaces/default/configmaps?dryRun=Some", R"({"metadata":{"name":"a"}})"), 400);
}

TEST_F(ApiTest, StrictFieldValidation) {
  constexpr const char* kTypo =
      R"({"kind":"NetworkPolicy","apiVersion":"networking.k8s.io/v1","metadata":{"name":"p"},"spec":{"podSelector":{},"podSelectr":{}}})";
  constexpr const char* kPath = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
  const json::object refused = must(call("POST", std::string(kPath) + "?fieldValidation=Strict", kTypo), 400);
  EXPECT_EQ(text_at(refused, "message"),
            "NetworkPolicy in version \"v1\" cannot be handled as a NetworkPolicy: strict decoding error: unknown "
            "field \"spec.podSelectr\"");
  const json::object twice = must(call("POST", std::string(kPath) + "?fieldValidation=Strict",
                                       R"({"metadata":{"name":"p","name":"q"},"spec":{"podSelector":{}}})"),
                                  400);
  EXPECT_THAT(std::string(text_at(twice, "message")), testing::HasSubstr("duplicate field \"metadata.name\""));
  const Response warned = call("POST", std::string(kPath) + "?fieldValidation=Warn", kTypo);
  must(warned, 201);
  EXPECT_THAT(warned.headers, testing::Contains(std::pair<std::string, std::string>{
                                  "Warning", "299 - \"unknown field \\\"spec.podSelectr\\\"\""}));
}

TEST_F(ApiTest, Patches) {
  constexpr const char* kPath = "/apis/apps/v1/namespaces/default/deployments/d";
  must(
      call(
          "POST", "/apis/apps/v1/namespaces/default/deployments",
          R"({"metadata":{"name":"d"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":80}]}]}}}})"),
      201);
  const json::object strategic =
      must(call("PATCH", kPath, R"({"spec":{"template":{"spec":{"containers":[{"name":"c","image":"j"}]}}}})",
                "application/strategic-merge-patch+json"),
           200);
  EXPECT_EQ(array_at(strategic, "spec.template.spec.containers")->at(0).at("image"), "j");
  EXPECT_EQ(array_at(strategic, "spec.template.spec.containers")->at(0).at("ports").as_array().size(), 1u);
  EXPECT_EQ(number_at(strategic, "metadata.generation"), 2);
  const json::object merged = must(
      call("PATCH", kPath, R"({"spec":{"replicas":3},"status":{"replicas":9}})", "application/merge-patch+json"), 200);
  EXPECT_EQ(number_at(merged, "spec.replicas"), 3);
  EXPECT_EQ(field(merged, "status.replicas"), nullptr);
  must(call("PATCH", kPath, R"([{"op":"test","path":"/spec/replicas","value":4}])", "application/json-patch+json"),
       422);
  must(call("PATCH", kPath, R"([{"op":"replace","path":"/spec/replicas","value":4}])", "application/json-patch+json"),
       200);
  const json::object status =
      must(call("PATCH", std::string(kPath) + "/status", R"({"spec":{"replicas":1},"status":{"replicas":9}})",
                "application/merge-patch+json"),
           200);
  EXPECT_EQ(number_at(status, "spec.replicas"), 4);
  EXPECT_EQ(number_at(status, "status.replicas"), 9);
  const json::object scaled = must(
      call("PATCH", std::string(kPath) + "/scale", R"({"spec":{"replicas":7}})", "application/merge-patch+json"), 200);
  EXPECT_EQ(text_at(scaled, "kind"), "Scale");
  EXPECT_EQ(number_at(must(call("GET", kPath), 200), "spec.replicas"), 7);
  const json::object stale = must(call("PATCH", kPath, R"({"metadata":{"resourceVersion":"1"},"spec":{"replicas":5}})",
                                       "application/merge-patch+json"),
                                  409);
  EXPECT_EQ(text_at(stale, "reason"), "Conflict");
  must(call("PATCH", kPath, R"({"metadata":{"name":"other"}})", "application/merge-patch+json"), 400);
  must(call("PATCH", kPath, "{}", "application/apply-patch+cbor"), 415);
  must(call("PATCH", kPath, "{}", "application/json"), 415);
  must(call("PATCH", kPath, "[]", "application/merge-patch+json"), 400);
  must(call("PATCH", std::string(kPath) + "x", "{}", "application/merge-patch+json"), 404);
}

TEST_F(ApiTest, AStrictPatchAnswersOnlyForWhatItBrings) {
  constexpr const char* kPath = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
  must(call("POST", std::string(kPath) + "?fieldValidation=Ignore",
            R"({"metadata":{"name":"p"},"spec":{"podSelector":{},"old":1}})"),
       201);
  must(call("PATCH", std::string(kPath) + "/p?fieldValidation=Strict", R"({"metadata":{"labels":{"a":"b"}}})",
            "application/merge-patch+json"),
       200);
  must(call("PATCH", std::string(kPath) + "/p?fieldValidation=Strict", R"({"spec":{"new":1}})",
            "application/merge-patch+json"),
       400);
}

TEST_F(ApiTest, ListsBySelectors) {
  make_map("a", R"({"app":"web"})");
  make_map("b", R"({"app":"db"})");
  make_map("c");
  EXPECT_THAT(names(must(call("GET", "/api/v1/configmaps?labelSelector=app"), 200)), testing::ElementsAre("a", "b"));
  EXPECT_THAT(names(must(call("GET", "/api/v1/namespaces/default/configmaps?labelSelector=app%21%3Dweb"), 200)),
              testing::ElementsAre("b", "c"));
  EXPECT_THAT(names(must(call("GET", "/api/v1/configmaps?fieldSelector=metadata.name%3Dc"), 200)),
              testing::ElementsAre("c"));
  EXPECT_THAT(names(must(call("GET", "/api/v1/namespaces/other/configmaps"), 200)), testing::IsEmpty());
  const json::object list = must(call("GET", "/api/v1/configmaps"), 200);
  EXPECT_EQ(text_at(list, "kind"), "ConfigMapList");
  EXPECT_EQ(text_at(list, "metadata.resourceVersion"), std::to_string(store_->revision()));
}

TEST_F(ApiTest, ListsInPiecesShowOneMoment) {
  for (const char* name : {"a", "b", "c", "d"}) make_map(name);
  const json::object first = must(call("GET", "/api/v1/configmaps?limit=2"), 200);
  EXPECT_THAT(names(first), testing::ElementsAre("a", "b"));
  EXPECT_EQ(number_at(first, "metadata.remainingItemCount"), 2);
  must(call("DELETE", "/api/v1/namespaces/default/configmaps/c"), 200);
  make_map("e");
  const std::string token(text_at(first, "metadata.continue"));
  const json::object second = must(call("GET", "/api/v1/configmaps?limit=2&continue=" + token), 200);
  EXPECT_THAT(names(second), testing::ElementsAre("c", "d"));
  EXPECT_EQ(text_at(second, "metadata.resourceVersion"), text_at(first, "metadata.resourceVersion"));
  EXPECT_EQ(field(second, "metadata.continue"), nullptr);
  must(call("GET", "/api/v1/configmaps?limit=2&continue=nonsense"), 400);
  // Too old: 410 with a token that goes on from now.
  store_->limit_log(1, 1u << 20);
  const json::object expired = must(call("GET", "/api/v1/configmaps?limit=2&continue=" + token), 410);
  EXPECT_EQ(text_at(expired, "reason"), "Expired");
  const json::object rest =
      must(call("GET", "/api/v1/configmaps?continue=" + std::string(text_at(expired, "metadata.continue"))), 200);
  EXPECT_THAT(names(rest), testing::ElementsAre("d", "e"));
}

TEST_F(ApiTest, ListsByRevision) {
  make_map("a");
  const std::string then = std::to_string(store_->revision());
  make_map("b");
  EXPECT_EQ(names(must(call("GET", "/api/v1/configmaps?resourceVersion=0"), 200)).size(), 2u);
  EXPECT_EQ(names(must(call("GET", "/api/v1/configmaps?resourceVersion=" + then), 200)).size(), 2u);
  EXPECT_EQ(
      names(must(call("GET", "/api/v1/configmaps?resourceVersionMatch=Exact&resourceVersion=" + then), 200)).size(),
      1u);
  const json::object future = must(call("GET", "/api/v1/configmaps?resourceVersion=999999"), 504);
  EXPECT_THAT(json::serialize(future), testing::HasSubstr("ResourceVersionTooLarge"));
  must(call("GET", "/api/v1/configmaps?resourceVersionMatch=Exact"), 400);
}

TEST_F(ApiTest, WatchFromARevision) {
  make_map("a");
  const std::string then = std::to_string(store_->revision());
  make_map("b");
  const Response response = call("GET", "/api/v1/configmaps?watch=1&resourceVersion=" + then);
  ASSERT_TRUE(response.watch);
  EXPECT_THAT(summary(*response.watch), testing::ElementsAre("ADDED b"));
  must(call("DELETE", "/api/v1/namespaces/default/configmaps/a"), 200);
  must(call("POST", "/api/v1/namespaces/default/secrets", R"({"metadata":{"name":"s"}})"), 201);
  const auto deleted = lines(*response.watch);
  ASSERT_EQ(deleted.size(), 1u);
  EXPECT_EQ(text_at(deleted[0], "type"), "DELETED");
  EXPECT_EQ(text_at(deleted[0], "object.metadata.resourceVersion"), std::to_string(store_->revision() - 1));
  store_->limit_log(1, 1u << 20);
  must(call("GET", "/api/v1/configmaps?watch=1&resourceVersion=" + then), 410);
}

TEST_F(ApiTest, WatchWithoutARevisionBeginsWithWhatThereIs) {
  make_map("a");
  const Response response = call("GET", "/api/v1/namespaces/default/configmaps?watch=true");
  make_map("b");
  EXPECT_THAT(summary(*response.watch), testing::ElementsAre("ADDED a", "ADDED b"));
}

TEST_F(ApiTest, WatchFollowsTheSelector) {
  make_map("a", R"({"app":"web"})");
  const Response response = call("GET", "/api/v1/configmaps?watch=1&labelSelector=app%3Dweb&resourceVersion=" +
                                            std::to_string(store_->revision()));
  const auto relabel = [&](const char* label) {
    json::object map = must(call("GET", "/api/v1/namespaces/default/configmaps/a"), 200);
    metadata_of(map)["labels"] = json::object{{"app", label}};
    must(call("PUT", "/api/v1/namespaces/default/configmaps/a", json::serialize(map)), 200);
  };
  relabel("db");
  const auto left = lines(*response.watch);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(text_at(left[0], "type"), "DELETED");
  EXPECT_EQ(text_at(left[0], "object.metadata.labels.app"), "web");
  EXPECT_EQ(text_at(left[0], "object.metadata.resourceVersion"), std::to_string(store_->revision()));
  relabel("other");
  EXPECT_THAT(summary(*response.watch), testing::IsEmpty());
  relabel("web");
  EXPECT_THAT(summary(*response.watch), testing::ElementsAre("ADDED a"));
}

TEST_F(ApiTest, WatchListEndsItsBeginningWithABookmark) {  // API-S7
  make_map("a");
  const Response response = call(
      "GET",
      "/api/v1/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
  ASSERT_TRUE(response.watch) << response.body;
  const auto all = lines(*response.watch);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(text_at(all[1], "type"), "BOOKMARK");
  EXPECT_EQ(object_at(all[1], "object.metadata.annotations")->at("k8s.io/initial-events-end"), "true");
  EXPECT_EQ(text_at(all[1], "object.metadata.resourceVersion"), std::to_string(store_->revision()));
  EXPECT_EQ(text_at(all[1], "object.kind"), "ConfigMap");
  must(call("GET", "/api/v1/configmaps?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"), 422);
  must(call("GET", "/api/v1/configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"), 422);
}

TEST_F(ApiTest, ALaggingWatchIsEndedAndCostsNoMore) {
  WatchStream stream(
      {.selection = {.type = k8s::find_by_kind("v1", "ConfigMap"), .namespace_ = {}, .labels = {}, .fields = {}},
       .form = {},
       .initial = {},
       .now = {},
       .max_pending_bytes = 2000},
      1);
  store_->subscribe([&](const StoreEvent& event) { stream.offer(event); });
  for (int i = 0; i < 50; ++i) make_map("m" + std::to_string(i));
  const auto end = lines(stream);
  ASSERT_EQ(end.size(), 1u);
  EXPECT_EQ(text_at(end[0], "type"), "ERROR");
  EXPECT_EQ(number_at(end[0], "object.code"), 410);
  EXPECT_TRUE(stream.finished());
}

TEST_F(ApiTest, WatchersShareTheTextOfAnEvent) {
  const Response one = call("GET", "/api/v1/configmaps?watch=1&resourceVersion=1"),
                 two = call("GET", "/api/v1/configmaps?watch=1&resourceVersion=1");
  std::shared_ptr<const std::string> line;
  store_->subscribe([&](const StoreEvent& event) { line = event.lines[0].lock(); });
  make_map("a");
  ASSERT_TRUE(line);
  EXPECT_EQ(line.use_count(), 3);  // both streams and this test
}

TEST_F(ApiTest, Tables) {
  make_map("a");
  now_ += 200;
  const json::object table = must(call("GET", "/api/v1/configmaps?limit=500", "", "", kTableAccept), 200);
  EXPECT_EQ(text_at(table, "kind"), "Table");
  EXPECT_EQ(json::serialize(array_at(table, "rows")->at(0).at("cells")), R"(["a",0,"3m20s"])");
  EXPECT_EQ(array_at(table, "rows")->at(0).at("object").at("kind"), "PartialObjectMetadata");
  EXPECT_EQ(array_at(table, "columnDefinitions")->at(0).at("name"), "Name");
  const json::object whole =
      must(call("GET", "/api/v1/namespaces/default/configmaps/a?includeObject=Object", "", "", kTableAccept), 200);
  EXPECT_EQ(array_at(whole, "rows")->at(0).at("object").at("kind"), "ConfigMap");
  const Response watch = call("GET", "/api/v1/configmaps?watch=1", "", "", kTableAccept);
  make_map("b");
  const auto events = lines(*watch.watch);
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(events[0].at("object").at("columnDefinitions").is_array()) << json::serialize(events[0]);
  EXPECT_TRUE(events[1].at("object").at("columnDefinitions").is_null());
}

TEST_F(ApiTest, MetadataOnly) {
  make_map("a");
  const json::object list = must(
      call("GET", "/api/v1/configmaps", "", "", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
      200);
  EXPECT_EQ(text_at(list, "kind"), "PartialObjectMetadataList");
  EXPECT_EQ(list.at("items").at(0).at("kind"), "PartialObjectMetadata");
}

TEST_F(ApiTest, DeleteCollection) {
  make_map("a", R"({"app":"web"})");
  make_map("b");
  const json::object deleted =
      must(call("DELETE", "/api/v1/namespaces/default/configmaps?labelSelector=app%3Dweb"), 200);
  EXPECT_EQ(deleted.at("items").as_array().size(), 1u);
  EXPECT_THAT(names(must(call("GET", "/api/v1/configmaps"), 200)), testing::ElementsAre("b"));
  must(call("DELETE", "/api/v1/namespaces"), 405);
}

TEST_F(ApiTest, PodSubresources) {
  constexpr const char* kPods = "/api/v1/namespaces/default/pods";
  must(call("POST", kPods, R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i"}]}})"), 201);
  must(call("POST", std::string(kPods) + "/p/binding", R"({"kind":"Binding","target":{"name":"n"}})"), 201);
  const json::object running = must(
      call("PUT", std::string(kPods) + "/p/status",
           R"({"metadata":{"name":"p"},"spec":{"nodeName":"other"},"status":{"phase":"Running","podIP":"10.1.0.2"}})"),
      200);
  EXPECT_EQ(text_at(running, "spec.nodeName"), "n");
  EXPECT_EQ(text_at(running, "status.phase"), "Running");
  must(call("POST", std::string(kPods) + "/p/eviction",
            R"({"kind":"Eviction","metadata":{"name":"p"},"deleteOptions":{"gracePeriodSeconds":0}})"),
       201);
  must(call("GET", std::string(kPods) + "/p"), 404);
  must(call("GET", std::string(kPods) + "/p/nothing"), 404);
  must(call("GET", std::string(kPods) + "/p/log"), 404);  // it is gone, and its logs with it
}

TEST_F(ApiTest, Reviews) {
  const json::object can = must(call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                                     R"({"spec":{"resourceAttributes":{"verb":"get"}}})"),
                                201);
  EXPECT_TRUE(flag_at(can, "status.allowed"));
  const json::object who = must(call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}"), 201);
  EXPECT_EQ(text_at(who, "status.userInfo.username"), "tester");
}

}  // namespace
}  // namespace carrick::apiserver
