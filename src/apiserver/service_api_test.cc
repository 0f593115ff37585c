#include <gmock/gmock.h>

#include "apiserver/api_fixture.h"
#include "apiserver/document.h"

// Rows SVC-A* of Services that are a matter of the API as a whole.
namespace carrick::apiserver {
namespace {

constexpr const char* kServices = "/api/v1/namespaces/default/services";
constexpr const char* kMerge = "application/merge-patch+json";
constexpr const char* kStrategic = "application/strategic-merge-patch+json";

class ServiceApi : public ApiTest {
 protected:
  static std::string one(std::string_view name = "") {
    return name.empty() ? kServices : fmt::format("{}/{}", kServices, name);
  }
  json::object made(std::string_view body) { return must(call("POST", kServices, std::string(body)), 201); }
  static std::string at(const json::object& document, std::string_view path) {
    const json::value* value = field(document, path);
    return value ? json::serialize(*value) : "absent";
  }
};

TEST_F(ServiceApi, SVC_A6_PortsMergeByTheirNumberAndTheFirstAddressStays) {
  const json::object before = made(R"({"metadata":{"name":"s"},"spec":{"ports":[{"name":"a","port":80}]}})");
  const json::object merged =
      must(call("PATCH", one("s"), R"({"spec":{"ports":[{"port":80,"targetPort":8080},{"name":"b","port":81}]}})",
                kStrategic),
           200);
  ASSERT_EQ(array_at(merged, "spec.ports")->size(), 2u);
  for (const json::value& port : *array_at(merged, "spec.ports"))
    if (port.at("port").to_number<int>() == 80) {
      EXPECT_EQ(port.at("name").as_string(), "a") << "what the patch does not name stays";
      EXPECT_EQ(port.at("targetPort").to_number<int>(), 8080);
    }
  EXPECT_EQ(at(merged, "spec.clusterIP"), at(before, "spec.clusterIP"));
  EXPECT_EQ(array_at(merged, "spec.clusterIPs")->at(0), *field(merged, "spec.clusterIP"));
  must(call("PATCH", one("s"), R"({"spec":{"clusterIP":"10.96.9.9","clusterIPs":["10.96.9.9"]}})", kMerge), 422);
  must(call("PATCH", one("s"), R"({"spec":{"clusterIPs":["10.96.9.9"]}})", kMerge), 422);
  must(call("PATCH", one("s"), R"({"spec":{"ports":[{"port":80},{"port":81}]}})", kMerge), 422);
}

TEST_F(ServiceApi, SVC_A10_AClassIsGivenOnceAndItsServiceLeftToIt) {
  const json::object foreign = made(
      R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","loadBalancerClass":"example.com/internal-vip","ports":[{"port":80}]}})");
  EXPECT_EQ(at(foreign, "status"), R"({"loadBalancer":{}})");
  must(call("PATCH", one("s"), R"({"spec":{"loadBalancerClass":"example.com/other"}})", kMerge), 422);
  must(call("PATCH", one("s"), R"({"spec":{"loadBalancerClass":null}})", kMerge), 422);
  made(R"({"metadata":{"name":"plain"},"spec":{"ports":[{"port":80}]}})");
  must(call("PATCH", one("plain"), R"({"spec":{"loadBalancerClass":"example.com/x"}})", kMerge), 422);
  // With the type it comes and goes.
  must(call("PATCH", one("plain"), R"({"spec":{"type":"LoadBalancer","loadBalancerClass":"example.com/x"}})", kMerge),
       200);
  must(call("PATCH", one("plain"), R"({"spec":{"type":"ClusterIP","loadBalancerClass":null}})", kMerge), 200);
}

TEST_F(ServiceApi, SVC_A11_AServiceWaitsForTheCleanupOfItsLoadBalancer) {
  made(
      R"({"metadata":{"name":"s","finalizers":["service.kubernetes.io/load-balancer-cleanup"]},"spec":{"type":"LoadBalancer","clusterIP":"10.96.0.50","ports":[{"port":80}]}})");
  must(
      call("PATCH", one("s") + "/status", R"({"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.1"}]}}})", kMerge),
      200);
  must(call("DELETE", one("s")), 200);
  const json::object ending = must(call("GET", one("s")), 200);
  EXPECT_NE(at(ending, "metadata.deletionTimestamp"), "absent");
  EXPECT_EQ(at(ending, "spec.clusterIP"), R"("10.96.0.50")") << "and keeps what it has";
  must(call("POST", kServices, R"({"metadata":{"name":"t"},"spec":{"clusterIP":"10.96.0.50","ports":[{"port":80}]}})"),
       422);
  must(call("PATCH", one("s"), R"({"metadata":{"finalizers":null}})", kMerge), 200);
  must(call("GET", one("s")), 404);
  made(R"({"metadata":{"name":"t"},"spec":{"clusterIP":"10.96.0.50","ports":[{"port":80}]}})");
}

TEST_F(ServiceApi, SVC_A12_StatusIsASubresource) {
  const json::object created = made(
      R"({"metadata":{"name":"s"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]},"status":{"loadBalancer":{"ingress":[{"ip":"198.51.100.9"}]}}})");
  EXPECT_EQ(at(created, "status"), R"({"loadBalancer":{}})") << "nobody is born with it";
  const json::object patched = must(
      call(
          "PATCH", one("s") + "/status",
          R"({"metadata":{"annotations":{"patched":"true"}},"spec":{"type":"ClusterIP"},"status":{"loadBalancer":{"ingress":[{"ip":"203.0.113.1"}]}}})",
          kMerge),
      200);
  EXPECT_EQ(at(patched, "status.loadBalancer.ingress"), R"([{"ip":"203.0.113.1"}])");
  EXPECT_EQ(at(patched, "metadata.annotations"), R"({"patched":"true"})");
  EXPECT_EQ(at(patched, "spec.type"), R"("LoadBalancer")");
  json::object whole = must(call("GET", one("s") + "/status"), 200);
  child_object(whole, "status")["conditions"] =
      json::array{json::object{{"type", "StatusUpdate"},
                               {"status", "True"},
                               {"reason", "E2E"},
                               {"message", "Set from e2e test"},
                               {"lastTransitionTime", "2023-11-14T22:13:20Z"}}};
  const json::object updated = must(call("PUT", one("s") + "/status", json::serialize(whole)), 200);
  EXPECT_EQ(array_at(updated, "status.conditions")->at(0).at("type"), "StatusUpdate");
  const json::object main = must(
      call("PATCH", one("s"), R"({"metadata":{"labels":{"a":"b"}},"status":{"loadBalancer":null}})", kStrategic), 200);
  EXPECT_EQ(array_at(main, "status.loadBalancer.ingress")->at(0).at("ip"), "203.0.113.1") << "only by way of /status";
}

TEST_F(ServiceApi, SVC_A12_ACollectionOfServicesGoesByItsLabels) {
  for (const char* name : {"a", "b", "c"})
    made(fmt::format(R"({{"metadata":{{"name":"{}","labels":{{"group":"{}"}}}},"spec":{{"ports":[{{"port":80}}]}}}})",
                     name, *name == 'c' ? "other" : "gone"));
  must(call("DELETE", std::string(kServices) + "?labelSelector=group%3Dgone"), 200);
  EXPECT_THAT(names(must(call("GET", kServices), 200)), testing::ElementsAre("c"));
}

constexpr const char* kAddresses = "/apis/networking.k8s.io/v1/ipaddresses";
constexpr const char* kRanges = "/apis/networking.k8s.io/v1/servicecidrs";
std::string address(std::string_view ip) { return fmt::format("{}/{}", kAddresses, ip); }
std::string range(std::string_view name) { return fmt::format("{}/{}", kRanges, name); }

TEST_F(ServiceApi, SVC_A13_AnAddressIsAnObjectWhileItsServiceHasIt) {
  ASSERT_TRUE(registry_.have_address_objects());
  made(R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})");
  const json::object object = must(call("GET", address("10.96.0.10")), 200);
  EXPECT_EQ(at(object, "spec.parentRef"), R"({"resource":"services","namespace":"default","name":"s"})");
  EXPECT_EQ(
      at(object, "metadata.labels"),
      R"({"ipaddress.kubernetes.io/ip-family":"IPv4","ipaddress.kubernetes.io/managed-by":"ipallocator.k8s.io"})");
  must(call("DELETE", address("10.96.0.10")), 200);
  const json::object repaired = must(call("GET", address("10.96.0.10")), 200);
  EXPECT_NE(at(repaired, "metadata.uid"), at(object, "metadata.uid")) << "made again";
  must(call("PATCH", one("s"), R"({"spec":{"type":"ExternalName","externalName":"x.example"}})", kMerge), 200);
  must(call("GET", address("10.96.0.10")), 404);
  made(R"({"metadata":{"name":"t"},"spec":{"clusterIP":"10.96.0.10","ports":[{"port":80}]}})");
  must(call("DELETE", one("t")), 200);
  must(call("GET", address("10.96.0.10")), 404);
}

TEST_F(ServiceApi, SVC_A13_AddressesOfOthersAreTaken) {
  for (const char* ip : {"255.255.255.255", "fe80::42:1dff:fe84:f9e2"})
    must(
        call(
            "POST", kAddresses,
            fmt::format(
                R"({{"metadata":{{"name":"{}"}},"spec":{{"parentRef":{{"group":"foo","resource":"bar","name":"baz","namespace":"bat"}}}}}})",
                ip)),
        201);
  must(call("POST", kAddresses,
            R"({"metadata":{"name":"10.96.0.11"},"spec":{"parentRef":{"group":"foo","resource":"bar","name":"baz"}}})"),
       201);
  const json::object refused = must(
      call("POST", one(), R"({"metadata":{"name":"s"},"spec":{"clusterIP":"10.96.0.11","ports":[{"port":80}]}})"), 422);
  EXPECT_NE(text_at(refused, "message").find("provided IP is already allocated"), std::string_view::npos);
  for (const char* bad : {"010.96.0.12", "2001:DB8::1", "web", ""})
    must(call("POST", kAddresses,
              fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{"parentRef":{{"resource":"bar","name":"baz"}}}}}})",
                          bad)),
         422);
  must(call("POST", kAddresses, R"({"metadata":{"name":"10.96.0.12"},"spec":{}})"), 422);
  must(call("PATCH", address("10.96.0.11"), R"({"spec":{"parentRef":{"name":"other"}}})", kMerge), 422);
}

TEST_F(ServiceApi, SVC_A13_AddedRangesGiveAddressesAndStayWhileTheyAreNeeded) {
  ASSERT_TRUE(registry_.have_address_objects());
  EXPECT_EQ(array_at(must(call("GET", range("kubernetes")), 200), "spec.cidrs")->at(0).as_string(), "10.96.0.0/16");
  must(call("POST", one(), R"({"metadata":{"name":"s"},"spec":{"clusterIP":"203.0.113.10","ports":[{"port":80}]}})"),
       422);
  const json::object added =
      must(call("POST", kRanges, R"({"metadata":{"name":"more"},"spec":{"cidrs":["203.0.113.0/24"]}})"), 201);
  EXPECT_EQ(at(added, "metadata.finalizers"), R"(["networking.k8s.io/service-cidr-finalizer"])");
  const json::object ready = array_at(added, "status.conditions")->at(0).as_object();
  EXPECT_EQ(at(ready, "type") + at(ready, "status"), R"("Ready""True")");
  made(R"({"metadata":{"name":"s"},"spec":{"clusterIP":"203.0.113.10","ports":[{"port":80}]}})");
  must(call("PATCH", range("more"), R"({"spec":{"cidrs":["203.0.112.0/23"]}})", kMerge), 422);

  must(call("DELETE", range("more")), 200);
  const json::object waiting = must(call("GET", range("more")), 200);
  EXPECT_EQ(text_at(array_at(waiting, "status.conditions")->at(0).as_object(), "reason"), "Terminating");
  must(call("POST", one(), R"({"metadata":{"name":"t"},"spec":{"clusterIP":"203.0.113.11","ports":[{"port":80}]}})"),
       422);
  must(call("PATCH", one("s"), R"({"metadata":{"labels":{"a":"b"}}})", kMerge), 200);
  must(call("DELETE", one("s")), 200);
  must(call("GET", range("more")), 404);
}

TEST_F(ServiceApi, SVC_A13_ARangeThatAnotherCoversIsNotNeeded) {
  ASSERT_TRUE(registry_.have_address_objects());
  must(call("POST", kRanges, R"({"metadata":{"name":"small"},"spec":{"cidrs":["203.0.113.0/28"]}})"), 201);
  made(R"({"metadata":{"name":"s"},"spec":{"clusterIP":"203.0.113.5","ports":[{"port":80}]}})");
  must(call("DELETE", range("small")), 200);
  must(call("GET", range("small")), 200);
  must(call("POST", kRanges, R"({"metadata":{"name":"large"},"spec":{"cidrs":["203.0.113.0/24"]}})"), 201);
  must(call("GET", range("small")), 404);
  // The first one comes back: Services cannot be without.
  must(call("DELETE", range("kubernetes")), 200);
  EXPECT_EQ(at(must(call("GET", range("kubernetes")), 200), "metadata.deletionTimestamp"), "absent");
}

TEST_F(ServiceApi, SVC_A13_BadRangesAreRefused) {
  for (const char* bad : {R"([])", R"(["10.1.0.0"])", R"(["10.1.0.1/24"])", R"(["10.1.0.0/24","10.2.0.0/24"])",
                          R"(["10.1.0.0/24","2001:db8::/64","10.2.0.0/24"])"})
    must(call("POST", kRanges, fmt::format(R"({{"metadata":{{"name":"bad"}},"spec":{{"cidrs":{}}}}})", bad)), 422);
}

}  // namespace
}  // namespace carrick::apiserver
