#include "apiserver/service_allocation.h"

#include <gmock/gmock.h>

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

class Allocation : public testing::Test {
 protected:
  static ServiceAllocator make(std::vector<const char*> cidrs, uint16_t first = 30000, uint16_t last = 32767) {
    ServiceAllocator::Ranges ranges{{}, first, last};
    for (const char* cidr : cidrs) ranges.cidrs.push_back(*net::Prefix::parse(cidr));
    return {ranges, [](uint64_t) { return uint64_t{0}; }};
  }
  static json::object service(const std::string& name, std::string_view spec) {
    return {{"metadata", json::object{{"namespace", "ns"}, {"name", name}}}, {"spec", json::parse(spec)}};
  }
  // Allocates, expects success, and stores.
  static json::object stored(ServiceAllocator& allocator, json::object document, const json::object* old = nullptr) {
    const auto errors = allocator.allocate(document, old);
    EXPECT_THAT(errors, testing::IsEmpty()) << errors[0].str();
    if (old) allocator.forget(*old);
    allocator.observe(document);
    return document;
  }
  static std::string error(const ServiceAllocator& allocator, json::object document,
                           const json::object* old = nullptr) {
    const auto errors = allocator.allocate(document, old);
    return errors.empty() ? "" : errors[0].str();
  }
  static std::string at(const json::object& document, std::string_view path) {
    const json::value* value = field(document, path);
    return value ? json::serialize(*value) : "absent";
  }
};

TEST_F(Allocation, Bands) {  // SVC-A3, SVC-A4
  EXPECT_EQ(ServiceAllocator::address_band(65536), 256u);
  EXPECT_EQ(ServiceAllocator::address_band(256), 16u);
  EXPECT_EQ(ServiceAllocator::address_band(8), 0u);
  EXPECT_EQ(ServiceAllocator::port_band(2768), 86u);
}

TEST_F(Allocation, SVC_A3_DynamicAddressesComeFromTheUpperBandThenTheLower) {
  auto allocator = make({"10.96.0.0/27"});  // 32 addresses, band 16
  EXPECT_EQ(at(stored(allocator, service("a", R"({"ports":[]})")), "spec.clusterIP"), R"("10.96.0.16")");
  for (int i = 0; i < 14; ++i) stored(allocator, service("s" + std::to_string(i), "{}"));
  EXPECT_EQ(at(stored(allocator, service("low", "{}")), "spec.clusterIP"), R"("10.96.0.1")");
  for (int i = 0; i < 14; ++i) stored(allocator, service("t" + std::to_string(i), "{}"));
  EXPECT_THAT(error(allocator, service("full", "{}")), testing::HasSubstr("range is full"));
}

TEST_F(Allocation, SVC_A3_RequestedAddress) {
  auto allocator = make({"10.96.0.0/16"});
  const json::object mine = stored(allocator, service("a", R"({"clusterIP":"10.96.0.10"})"));
  EXPECT_EQ(at(mine, "spec.clusterIPs"), R"(["10.96.0.10"])");
  EXPECT_EQ(at(mine, "spec.ipFamilies"), R"(["IPv4"])");
  EXPECT_THAT(error(allocator, service("b", R"({"clusterIP":"10.96.0.10"})")),
              testing::HasSubstr("provided IP is already allocated"));
  EXPECT_THAT(error(allocator, service("b", R"({"clusterIP":"10.97.0.1"})")),
              testing::HasSubstr("not in the valid range"));
  EXPECT_THAT(error(allocator, service("b", R"({"clusterIP":"2001:db8:96::1"})")),
              testing::HasSubstr("not configured on this cluster"));
  allocator.forget(mine);
  EXPECT_EQ(error(allocator, service("b", R"({"clusterIP":"10.96.0.10"})")), "");
}

TEST_F(Allocation, SVC_A7_Families) {  // SVC-A7
  struct Case {
    const char *spec, *policy, *families;
    size_t addresses;
  };
  auto dual = make({"10.96.0.0/16", "2001:db8:96::/112"});
  for (const Case& c : std::initializer_list<Case>{
           {"{}", R"("SingleStack")", R"(["IPv4"])", 1},
           {R"({"ipFamilies":["IPv6"]})", R"("SingleStack")", R"(["IPv6"])", 1},
           {R"({"ipFamilyPolicy":"PreferDualStack"})", R"("PreferDualStack")", R"(["IPv4","IPv6"])", 2},
           {R"({"ipFamilyPolicy":"RequireDualStack","ipFamilies":["IPv6"]})", R"("RequireDualStack")",
            R"(["IPv6","IPv4"])", 2},
           {R"({"ipFamilyPolicy":"RequireDualStack","ipFamilies":["IPv6","IPv4"]})", R"("RequireDualStack")",
            R"(["IPv6","IPv4"])", 2},
           {R"({"clusterIP":"None","selector":{"a":"b"}})", R"("SingleStack")", R"(["IPv4"])", 1},
           {R"({"clusterIP":"None"})", R"("RequireDualStack")", R"(["IPv4","IPv6"])", 1}}) {
    json::object document = service("s", c.spec);
    EXPECT_THAT(dual.allocate(document, nullptr), testing::IsEmpty()) << c.spec;
    EXPECT_EQ(at(document, "spec.ipFamilyPolicy"), c.policy) << c.spec;
    EXPECT_EQ(at(document, "spec.ipFamilies"), c.families) << c.spec;
    EXPECT_EQ(array_at(document, "spec.clusterIPs")->size(), c.addresses) << c.spec;
  }
  EXPECT_THAT(error(dual, service("s", R"({"ipFamilyPolicy":"SingleStack","ipFamilies":["IPv4","IPv6"]})")),
              testing::HasSubstr("must be RequireDualStack or PreferDualStack"));
  auto single = make({"10.96.0.0/16"});
  json::object preferring = service("s", R"({"ipFamilyPolicy":"PreferDualStack"})");
  EXPECT_THAT(single.allocate(preferring, nullptr), testing::IsEmpty());
  EXPECT_EQ(at(preferring, "spec.ipFamilies"), R"(["IPv4"])");
  EXPECT_THAT(error(single, service("s", R"({"ipFamilyPolicy":"RequireDualStack"})")),
              testing::HasSubstr("not configured for dual-stack"));
}

TEST_F(Allocation, SVC_A7_SecondFamilyComesAndGoesThePrimaryStays) {
  auto allocator = make({"10.96.0.0/16", "2001:db8:96::/112"});
  const json::object one = stored(allocator, service("s", R"({"ports":[{"port":80}]})"));
  json::object wish = one;
  child_object(wish, "spec")["ipFamilyPolicy"] = "PreferDualStack";
  const json::object two = stored(allocator, wish, &one);
  EXPECT_EQ(at(two, "spec.clusterIP"), at(one, "spec.clusterIP"));
  EXPECT_EQ(array_at(two, "spec.clusterIPs")->size(), 2u);
  wish = two;
  child_object(wish, "spec")["ipFamilyPolicy"] = "SingleStack";
  const json::object back = stored(allocator, wish, &two);
  EXPECT_EQ(at(back, "spec.clusterIPs"), at(one, "spec.clusterIPs"));
  EXPECT_EQ(at(back, "spec.ipFamilies"), R"(["IPv4"])");
}

TEST_F(Allocation, SVC_A4_NodePorts) {
  auto allocator = make({"10.96.0.0/16"});
  const json::object a = stored(
      allocator,
      service(
          "a",
          R"({"type":"NodePort","ports":[{"port":53,"protocol":"TCP"},{"port":53,"protocol":"UDP"},{"port":80}]})"));
  // The dynamic band begins 86 ports up; TCP and UDP of one port share a number.
  EXPECT_EQ(
      at(a, "spec.ports"),
      R"([{"port":53,"protocol":"TCP","nodePort":30086},{"port":53,"protocol":"UDP","nodePort":30086},{"port":80,"nodePort":30087}])");
  EXPECT_THAT(error(allocator, service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":30086}]})")),
              testing::ContainsRegex("30086.*port is already allocated"));
  EXPECT_THAT(error(allocator, service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":80}]})")),
              testing::ContainsRegex("80.*port is not in the valid range"));
  EXPECT_EQ(error(allocator, service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":30001}]})")), "");
  EXPECT_THAT(
      error(allocator,
            service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":30001},{"port":2,"nodePort":30001}]})")),
      testing::HasSubstr("Duplicate"));
  allocator.forget(a);
  EXPECT_EQ(error(allocator, service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":30086}]})")), "");
}

TEST_F(Allocation, AReplacementWithoutWhatTheServerGaveKeepsIt) {
  auto allocator = make({"10.96.0.0/16"});
  const json::object old = stored(allocator, service("s", R"({"type":"NodePort","ports":[{"port":80}]})"));
  const json::object replaced =
      stored(allocator, service("s", R"({"type":"NodePort","ports":[{"port":80},{"port":81}]})"), &old);
  EXPECT_EQ(at(replaced, "spec.clusterIP"), at(old, "spec.clusterIP"));
  EXPECT_EQ(json::serialize(array_at(replaced, "spec.ports")->at(0).at("nodePort")),
            json::serialize(array_at(old, "spec.ports")->at(0).at("nodePort")));
}

TEST_F(Allocation, SVC_A5_TypeChanges) {  // SVC-A5
  auto allocator = make({"10.96.0.0/16"});
  const json::object node_port = stored(allocator, service("s", R"({"type":"NodePort","ports":[{"port":80}]})"));
  json::object wish = node_port;
  child_object(wish, "spec")["type"] = "ClusterIP";
  const json::object cluster_ip = stored(allocator, wish, &node_port);
  EXPECT_EQ(at(cluster_ip, "spec.ports"), R"([{"port":80}])");
  EXPECT_EQ(at(cluster_ip, "spec.clusterIP"), at(node_port, "spec.clusterIP"));
  wish = node_port;
  child_object(wish, "spec")["type"] = "ExternalName";
  const json::object external = stored(allocator, wish, &node_port);
  for (const char* path : {"spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy"})
    EXPECT_EQ(at(external, path), "absent") << path;
  EXPECT_EQ(at(external, "spec.ports"), R"([{"port":80}])");
  wish = external;
  child_object(wish, "spec")["type"] = "NodePort";
  EXPECT_NE(at(stored(allocator, wish, &external), "spec.clusterIP"), "absent");
}

TEST_F(Allocation, SVC_A8_HealthPortOnlyForLocalLoadBalancers) {  // SVC-A8
  auto allocator = make({"10.96.0.0/16"});
  const json::object local = stored(
      allocator, service("s", R"({"type":"LoadBalancer","externalTrafficPolicy":"Local","ports":[{"port":80}]})"));
  EXPECT_EQ(at(local, "spec.healthCheckNodePort"), "30087");
  json::object wish = local;
  child_object(wish, "spec")["externalTrafficPolicy"] = "Cluster";
  EXPECT_EQ(at(stored(allocator, wish, &local), "spec.healthCheckNodePort"), "absent");
  wish = local;
  child_object(wish, "spec")["healthCheckNodePort"] = 30500;
  EXPECT_THAT(error(allocator, wish, &local), testing::HasSubstr("immutable"));
}

TEST_F(Allocation, SVC_A9_LoadBalancerWithoutNodePorts) {  // SVC-A9
  auto allocator = make({"10.96.0.0/16"});
  const json::object none =
      stored(allocator,
             service("s", R"({"type":"LoadBalancer","allocateLoadBalancerNodePorts":false,"ports":[{"port":80}]})"));
  EXPECT_EQ(at(none, "spec.ports"), R"([{"port":80}])");
  json::object wish = none;
  child_object(wish, "spec")["allocateLoadBalancerNodePorts"] = true;
  const json::object with = stored(allocator, wish, &none);
  EXPECT_EQ(at(with, "spec.ports"), R"([{"port":80,"nodePort":30086}])");
  wish = with;
  child_object(wish, "spec")["allocateLoadBalancerNodePorts"] = false;
  const json::object still = stored(allocator, wish, &with);
  EXPECT_EQ(at(still, "spec.ports"), R"([{"port":80,"nodePort":30086}])");
  // Given back when the user leaves it out, and free for others.
  wish = still;
  for (json::value& port : child_object(wish, "spec")["ports"].as_array()) port.as_object().erase("nodePort");
  EXPECT_EQ(at(stored(allocator, wish, &still), "spec.ports"), R"([{"port":80}])");
  EXPECT_EQ(error(allocator, service("b", R"({"type":"NodePort","ports":[{"port":1,"nodePort":30086}]})")), "");
}

}  // namespace
}  // namespace carrick::apiserver
