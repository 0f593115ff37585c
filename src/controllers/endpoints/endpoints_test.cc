#include <gmock/gmock.h>

#include <algorithm>

#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

const k8s::ResourceType& endpoints_type() { return *k8s::find_by_kind("v1", "Endpoints"); }

std::string pod(const std::string& name, const std::string& ports = R"([{"name":"http","containerPort":8080}])",
                const std::string& more = "") {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","namespace":"default","labels":{"app":"web"}},"spec":{)" + more +
         R"("containers":[{"name":"c","image":"i","ports":)" + ports + "}]}}";
}

std::string service(const std::string& spec, const std::string& metadata = "") {
  return R"({"apiVersion":"v1","kind":"Service","metadata":{)" + metadata +
         R"("name":"web","namespace":"default"},"spec":{"selector":{"app":"web"},)" + spec + "}}";
}

// Without allocation in this cluster the families are written into the Service.
const std::string kDual =
    R"("clusterIP":"10.96.3.3","clusterIPs":["10.96.3.3","2001:db8:96::33"],"ipFamilies":["IPv4","IPv6"],"ipFamilyPolicy":"PreferDualStack",)";
const std::string kSingle = R"("clusterIP":"10.96.3.3","clusterIPs":["10.96.3.3"],"ipFamilies":["IPv4"],)";
const std::string kPorts = R"("ports":[{"name":"web","port":80,"targetPort":"http"}])";

std::vector<k8s::EndpointSlice> slices(const World& world, const std::string& type) {
  auto all = world.all<k8s::EndpointSlice>("default");
  std::erase_if(all, [&](const auto& slice) { return slice.addressType != type; });
  return all;
}

// "name address ready/serving/terminating" of every endpoint of a family.
std::vector<std::string> endpoints(const World& world, const std::string& type = "IPv4") {
  std::vector<std::string> lines;
  auto flag = [](const std::optional<bool>& value) { return !value ? '-' : *value ? '1' : '0'; };
  for (const auto& slice : slices(world, type)) {
    for (const auto& e : slice.endpoints) {
      lines.push_back(fmt::format("{} {} {}{}{}", e.targetRef ? e.targetRef->name : "-", e.addresses.at(0),
                                  flag(e.conditions.ready), flag(e.conditions.serving),
                                  flag(e.conditions.terminating)));
    }
  }
  std::ranges::sort(lines);
  return lines;
}

TEST(Slices, SVC_A14_BothFamiliesWithEverythingTheApiSays) {
  World world(1);
  world.edit<k8s::Node>({"", "node-1"}, [](json::object& node) {
    node["metadata"].as_object()["labels"] = json::object{{"topology.kubernetes.io/zone", "a"}};
  });
  world.make(pod("p", R"([{"name":"http","containerPort":8080}])", R"("hostname":"h","subdomain":"web",)"));
  world.make(service(kDual + kPorts, R"("labels":{"team":"x"},)"));
  world.settle();
  EXPECT_THAT(endpoints(world), ElementsAre("p 10.1.1.2 110"));
  EXPECT_THAT(endpoints(world, "IPv6"), ElementsAre("p 2001:db8:1:1::2 110"));
  const auto slice = slices(world, "IPv4").at(0);
  EXPECT_TRUE(slice.metadata.name.starts_with("web-"));
  EXPECT_EQ(slice.metadata.labels,
            (k8s::StringMap{{"team", "x"},
                            {"kubernetes.io/service-name", "web"},
                            {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}}));
  ASSERT_THAT(slice.metadata.ownerReferences, SizeIs(1));
  EXPECT_EQ(slice.metadata.ownerReferences[0].kind, "Service");
  ASSERT_THAT(slice.ports, SizeIs(1));
  EXPECT_EQ(slice.ports[0], (k8s::EndpointPort{"web", "TCP", std::nullopt, 8080}));
  const auto& endpoint = slice.endpoints.at(0);
  EXPECT_EQ(endpoint.hostname, "h");
  EXPECT_EQ(endpoint.nodeName, "node-1");
  EXPECT_EQ(endpoint.zone, "a");
  EXPECT_EQ(endpoint.targetRef->kind, "Pod");
  EXPECT_FALSE(endpoint.hints);
}

struct StateCase {
  const char* what;
  bool publish;
  bool ready, deleted;
  const char* phase;
  const char* flags;  // nullptr: no endpoint
};

class States : public testing::TestWithParam<StateCase> {};

TEST_P(States, SVC_A14_OfAnEndpoint) {
  const auto& c = GetParam();
  World world(1);
  world.kubelet.ready = [&](const std::string&) { return c.ready; };
  world.kubelet.phase = [&](const std::string&) { return c.phase; };
  world.make(pod("p"));
  world.make(service(kSingle + kPorts + (c.publish ? R"(,"publishNotReadyAddresses":true)" : "")));
  world.settle();
  if (c.deleted) {
    ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Pod>(), {"default", "p"}));
    world.controllers->run_until_idle();  // its node has not ended it yet
  }
  if (c.flags)
    EXPECT_THAT(endpoints(world), ElementsAre(std::string("p 10.1.1.2 ") + c.flags));
  else
    EXPECT_THAT(endpoints(world), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Table, States,
                         testing::Values(StateCase{"ready", false, true, false, "Running", "110"},
                                         StateCase{"unready", false, false, false, "Running", "000"},
                                         StateCase{"terminating", false, true, true, "Running", "011"},
                                         StateCase{"terminating_unready", false, false, true, "Running", "001"},
                                         StateCase{"published_unready", true, false, false, "Running", "100"},
                                         StateCase{"published_terminating", true, true, true, "Running", "111"},
                                         StateCase{"failed", false, false, false, "Failed", nullptr},
                                         StateCase{"published_failed", true, false, false, "Failed", nullptr},
                                         StateCase{"succeeded", false, false, false, "Succeeded", nullptr}),
                         [](const auto& info) { return info.param.what; });

TEST(Slices, SVC_A14_NamedPortsThatDifferSplitThem) {
  World world(1);
  world.make(pod("a"));
  world.make(pod("b", R"([{"name":"http","containerPort":9090}])"));
  world.make(pod("udp", R"([{"name":"http","containerPort":53,"protocol":"UDP"}])"));
  world.make(service(kSingle + kPorts));
  world.settle();
  std::set<int> ports;
  for (const auto& slice : slices(world, "IPv4")) {
    ASSERT_THAT(slice.endpoints, SizeIs(1));
    ports.insert(*slice.ports.at(0).port);
  }
  EXPECT_EQ(ports, (std::set{8080, 9090})) << "a port of the other protocol has another name";
}

TEST(Slices, SVC_A14_AServiceThatSelectsNothingHasOneEmptySliceOfEachFamily) {
  World world(1);
  world.make(service(kDual + kPorts));
  world.settle();
  for (const char* type : {"IPv4", "IPv6"}) {
    const auto found = slices(world, type);
    ASSERT_THAT(found, SizeIs(1));
    EXPECT_THAT(found[0].endpoints, IsEmpty());
    EXPECT_THAT(found[0].ports, IsEmpty());
  }
  EXPECT_NE(world.cluster.get(endpoints_type(), {"default", "web"}), nullptr);
  const auto before = slices(world, "IPv4")[0].metadata.name;
  world.make(pod("p"));
  world.settle();
  ASSERT_THAT(slices(world, "IPv4"), SizeIs(1));
  EXPECT_EQ(slices(world, "IPv4")[0].metadata.name, before) << "the empty one is used, not replaced";
  // Deleted slices are made again; the Service takes all of them with it.
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::EndpointSlice>(), {"default", before}));
  world.settle();
  EXPECT_THAT(endpoints(world), SizeIs(1));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Service>(), {"default", "web"}));
  world.settle();
  EXPECT_THAT(world.all<k8s::EndpointSlice>("default"), IsEmpty());
  EXPECT_EQ(world.cluster.get(endpoints_type(), {"default", "web"}), nullptr);
}

TEST(Slices, HeadlessServicesHaveBothFamiliesALabelAndMayHaveNoPorts) {
  World world(1);
  world.make(pod("p"));
  world.make(service(R"("clusterIP":"None")"));
  world.settle();
  ASSERT_THAT(endpoints(world, "IPv4"), SizeIs(1));
  EXPECT_EQ(slices(world, "IPv4").at(0).metadata.labels.at("service.kubernetes.io/headless"), "");
}

TEST(Slices, SVC_A14_AHundredEndpointsEachAndOnlyTheTouchedOneIsWritten) {
  World world(4);
  world.make(R"({"apiVersion":"apps/v1","kind":"ReplicaSet","metadata":{"name":"rs","namespace":"default"},
    "spec":{"replicas":250,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"name":"http","containerPort":1}]}]}}}})");
  world.make(service(kSingle + kPorts));
  world.settle();
  EXPECT_THAT(endpoints(world), SizeIs(250));
  std::multiset<size_t> sizes;
  for (const auto& slice : slices(world, "IPv4")) sizes.insert(slice.endpoints.size());
  EXPECT_EQ(sizes, (std::multiset<size_t>{50, 100, 100}));
  std::set<std::string> written;
  world.cluster.subscribe([&](const ObjectEvent& event) {
    if (event.resource == &k8s::resource<k8s::EndpointSlice>())
      written.insert(std::string(text_at(*event.object, {"metadata", "name"})));
  });
  const std::string one = slices(world, "IPv4")[0].endpoints[7].targetRef->name;
  world.kubelet.ready = [&](const std::string& name) { return name != one; };
  world.kubelet.look_again();
  world.settle();
  EXPECT_THAT(written, SizeIs(1));
  EXPECT_EQ(std::ranges::count_if(endpoints(world), [](const std::string& line) { return line.ends_with("000"); }), 1);
}

struct HintCase {
  const char* distribution;
  bool zones, nodes;
};

class Hints : public testing::TestWithParam<HintCase> {};

TEST_P(Hints, SVC_A16_FollowTrafficDistribution) {
  World world(1);
  world.edit<k8s::Node>({"", "node-1"}, [](json::object& node) {
    node["metadata"].as_object()["labels"] = json::object{{"topology.kubernetes.io/zone", "a"}};
  });
  world.make(pod("p"));
  world.make(service(
      kSingle + kPorts +
      (*GetParam().distribution ? R"(,"trafficDistribution":")" + std::string(GetParam().distribution) + "\"" : "")));
  world.settle();
  const auto endpoint = slices(world, "IPv4").at(0).endpoints.at(0);
  EXPECT_EQ(endpoint.hints && endpoint.hints->forZones == std::vector<k8s::ForZone>{{"a"}}, GetParam().zones);
  EXPECT_EQ(endpoint.hints && endpoint.hints->forNodes == std::vector<k8s::ForZone>{{"node-1"}}, GetParam().nodes);
  // The zone of the node goes: so do the hints.
  world.edit<k8s::Node>({"", "node-1"},
                        [](json::object& node) { node["metadata"].as_object()["labels"] = json::object{}; });
  world.settle();
  const auto later = slices(world, "IPv4").at(0).endpoints.at(0);
  EXPECT_FALSE(later.zone);
  EXPECT_EQ(later.hints.has_value(), GetParam().nodes);
}

INSTANTIATE_TEST_SUITE_P(Table, Hints,
                         testing::Values(HintCase{"", false, false}, HintCase{"PreferClose", true, false},
                                         HintCase{"PreferSameZone", true, false},
                                         HintCase{"PreferSameNode", true, true}));

TEST(Endpoints, TellReadyFromNotReady) {
  World world(1);
  world.kubelet.ready = [](const std::string& name) { return name == "a"; };
  world.make(pod("a"));
  world.make(pod("b"));
  world.make(service(kDual + kPorts));
  world.settle();
  const auto object = world.cluster.get(endpoints_type(), {"default", "web"});
  ASSERT_NE(object, nullptr);
  const auto& subsets = object->at("subsets").as_array();
  ASSERT_EQ(subsets.size(), 1u);
  const auto& subset = subsets[0].as_object();
  EXPECT_EQ(subset.at("ports"), json::parse(R"([{"port":8080,"protocol":"TCP","name":"web"}])"));
  EXPECT_EQ(text_at(subset.at("addresses").as_array().at(0).as_object(), {"targetRef", "name"}), "a");
  EXPECT_EQ(text_at(subset.at("notReadyAddresses").as_array().at(0).as_object(), {"ip"}), "10.1.1.3");
}

constexpr const char* kUserEndpoints =
    R"({"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"db","namespace":"default","labels":{"l":"1"}},
  "subsets":[{"addresses":[{"ip":"203.0.113.7"}],"notReadyAddresses":[{"ip":"2001:db8:203::7"}],"ports":[{"name":"pg","port":5432,"protocol":"TCP"}]}]})";

TEST(Mirroring, SVC_A15_CopiesEndpointsOfUsers) {
  World world(1);
  world.make(kUserEndpoints);
  world.settle();
  EXPECT_THAT(world.all<k8s::EndpointSlice>("default"), IsEmpty()) << "no Service yet";
  world.make(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"db","namespace":"default"},"spec":{"clusterIP":"10.96.4.4","ports":[{"name":"pg","port":5432}]}})");
  world.settle();
  EXPECT_THAT(endpoints(world, "IPv4"), ElementsAre("- 203.0.113.7 1--"));
  EXPECT_THAT(endpoints(world, "IPv6"), ElementsAre("- 2001:db8:203::7 0--"));
  const auto slice = slices(world, "IPv4").at(0);
  EXPECT_EQ(slice.metadata.labels,
            (k8s::StringMap{{"l", "1"},
                            {"kubernetes.io/service-name", "db"},
                            {"endpointslice.kubernetes.io/managed-by", "endpointslicemirroring-controller.k8s.io"}}));
  EXPECT_EQ(slice.ports.at(0), (k8s::EndpointPort{"pg", "TCP", std::nullopt, 5432}));

  json::object changed = *world.cluster.get(endpoints_type(), {"default", "db"});
  changed["subsets"] = json::parse(R"([{"addresses":[{"ip":"203.0.113.8"}],"ports":[{"name":"pg","port":5433}]}])");
  ASSERT_TRUE(world.cluster.update(endpoints_type(), changed));
  world.settle();
  EXPECT_THAT(endpoints(world, "IPv4"), ElementsAre("- 203.0.113.8 1--"));
  EXPECT_THAT(endpoints(world, "IPv6"), IsEmpty());
  EXPECT_EQ(slices(world, "IPv4").at(0).ports.at(0).port, 5433);

  ASSERT_TRUE(world.cluster.remove(endpoints_type(), {"default", "db"}));
  world.settle();
  EXPECT_THAT(world.all<k8s::EndpointSlice>("default"), IsEmpty());
}

TEST(Mirroring, LeavesAloneWhatHasASelectorOrSaysSo) {
  World world(1);
  json::object skipped = json::parse(kUserEndpoints).as_object();
  skipped["metadata"].as_object()["labels"] = json::object{{"endpointslice.kubernetes.io/skip-mirror", "true"}};
  world.make(skipped);
  world.make(
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"db","namespace":"default"},"spec":{"clusterIP":"10.96.4.4","ports":[{"name":"pg","port":5432}]}})");
  world.make(service(kSingle + kPorts));
  world.settle();
  for (const auto& slice : world.all<k8s::EndpointSlice>("default"))
    EXPECT_EQ(slice.metadata.labels.at("kubernetes.io/service-name"), "web");
}

TEST(SystemServices, SVC_A2_AreThereAndComeBack) {
  Options options = lab_defaults();
  options.api_servers = {{*net::IpAddress::parse("192.0.2.1"), 6443}, {*net::IpAddress::parse("2001:db8:2::1"), 6443}};
  World world(1, options);
  auto check = [&] {
    const auto kubernetes = world.get<k8s::Service>({"default", "kubernetes"});
    ASSERT_TRUE(kubernetes);
    EXPECT_THAT(kubernetes->spec.clusterIPs, ElementsAre("10.96.0.1", "2001:db8:96::1"));
    EXPECT_EQ(kubernetes->spec.ports.at(0).port, 443);
    const auto dns = world.get<k8s::Service>({"kube-system", "kube-dns"});
    ASSERT_TRUE(dns);
    EXPECT_THAT(dns->spec.clusterIPs, ElementsAre("10.96.0.10", "2001:db8:96::a"));
    EXPECT_THAT(dns->spec.ports, SizeIs(2));
    EXPECT_THAT(dns->spec.selector, IsEmpty());
    EXPECT_THAT(endpoints(world, "IPv4"), ElementsAre("- 192.0.2.1 1--"));
    EXPECT_THAT(endpoints(world, "IPv6"), ElementsAre("- 2001:db8:2::1 1--"));
    const auto object = world.cluster.get(endpoints_type(), {"default", "kubernetes"});
    ASSERT_NE(object, nullptr);
    EXPECT_EQ(
        object->at("subsets"),
        json::parse(R"([{"addresses":[{"ip":"192.0.2.1"}],"ports":[{"name":"https","port":6443,"protocol":"TCP"}]}])"));
  };
  check();
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Service>(), {"default", "kubernetes"}));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::Service>(), {"kube-system", "kube-dns"}));
  ASSERT_TRUE(world.cluster.remove(k8s::resource<k8s::EndpointSlice>(), {"default", "kubernetes-ipv6"}));
  world.settle();
  check();
}

}  // namespace
}  // namespace carrick::controllers
