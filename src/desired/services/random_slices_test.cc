#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "desired/services/services.h"
#include "desired/test_cluster.h"

// 10,000 random EndpointSlices, good and bad, against an evaluator that knows nothing of the compiler: kube-proxy's
// rules (SVC-D1, D3, D8, D9, D21, D22) written down a second time, over text, as slowly as they read.
namespace carrick::desired::testing {
namespace {

using Texts = std::vector<std::string>;

class Dice {
 public:
  explicit Dice(unsigned seed) : engine_(seed) {}
  int below(int limit) { return static_cast<int>(engine_() % static_cast<unsigned>(limit)); }
  bool one_in(int n) { return below(n) == 0; }
  template <class T>
  T pick(std::initializer_list<T> list) {
    return *(list.begin() + below(static_cast<int>(list.size())));
  }
  std::optional<bool> condition() {
    const int n = below(3);
    return n == 2 ? std::nullopt : std::optional(n == 1);
  }

 private:
  std::mt19937 engine_;
};

const char* const kBadAddresses[] = {"127.0.0.1", "169.254.1.1", "224.0.0.1",       "0.0.0.0",    "::1",  "fe80::1",
                                     "ff02::1",   "::",          "db.example.com.", "10.1.2.300", "",     "10.1.2.3/32",
                                     " 10.1.2.3", "10.1.2",      "2001:db8::g",     "010.1.2.3",  "1:2:3"};

std::string random_address(Dice& dice, bool v4) {
  if (dice.one_in(12)) return kBadAddresses[dice.below(std::size(kBadAddresses))];
  if (dice.one_in(10)) v4 = !v4;
  const int host = 1 + dice.below(dice.one_in(2) ? 4 : 200);  // few: duplicates
  return v4 ? fmt::format("10.1.2.{}", host) : fmt::format("2001:db8:1::{:x}", host);
}

k8s::Endpoint random_endpoint(Dice& dice, bool v4) {
  k8s::Endpoint out;
  if (!dice.one_in(15)) out.addresses.push_back(random_address(dice, v4));
  if (dice.one_in(5)) out.addresses.push_back(random_address(dice, v4));
  out.conditions = {dice.condition(), dice.condition(), dice.condition()};
  if (!dice.one_in(5)) out.nodeName = dice.pick({"node-0", "node-1", "node-2", "nowhere", ""});
  if (!dice.one_in(3)) {
    out.hints.emplace();
    if (!dice.one_in(3)) out.hints->forZones.push_back({dice.pick<std::string>({"east", "west", "", "moon"})});
    if (dice.one_in(2)) out.hints->forNodes.push_back({dice.pick<std::string>({"node-0", "node-1", "nowhere"})});
  }
  return out;
}

k8s::EndpointPort random_port(Dice& dice) {
  k8s::EndpointPort out;
  if (!dice.one_in(8)) out.name = dice.pick<std::string>({"http", "", "sql", "other"});
  if (!dice.one_in(4)) out.protocol = dice.pick<std::string>({"TCP", "UDP", "SCTP", "ICMP", ""});
  if (!dice.one_in(8)) out.port = dice.pick({8080, 8081, 1, 65535, 0, -1, 65536, 70000, 1 << 30});
  return out;
}

k8s::EndpointSlice random_slice(Dice& dice, int number) {
  k8s::EndpointSlice out;
  out.metadata.namespace_ = "x";
  out.metadata.name = fmt::format("web-{}", number);
  out.metadata.labels["kubernetes.io/service-name"] = "web";
  out.addressType = dice.pick<std::string>({"IPv4", "IPv4", "IPv4", "IPv6", "IPv6", "FQDN", ""});
  const int ports = dice.one_in(50) ? 100 : dice.below(4), endpoints = dice.one_in(400) ? 1000 : dice.below(6);
  for (int i = 0; i < ports; ++i) out.ports.push_back(random_port(dice));
  for (int i = 0; i < endpoints; ++i) out.endpoints.push_back(random_endpoint(dice, out.addressType != "IPv6"));
  return out;
}

// --- the evaluator

bool plain_address(const std::string& text, bool v4) {
  const auto address = net::IpAddress::parse(text);  // the one thing that is shared
  if (!address || address->is_v4() != v4) return false;
  const std::string canonical = address->str();
  for (const char* bad : {"127.", "169.254.", "224.", "fe80:", "ff02:"})
    if (canonical.starts_with(bad)) return false;
  return canonical != "0.0.0.0" && canonical != "::" && canonical != "::1";
}

struct Plain {
  bool ready, serving, terminating, local;
  std::set<std::string> zones, nodes;
};

// "address port" -> the endpoint; of equal ones the first, unless a later one is of this node.
std::map<std::string, Plain> plain_endpoints(const std::vector<k8s::EndpointSlice>& slices,
                                             const std::string& port_name, const std::string& protocol, bool v4,
                                             const std::string& node) {
  std::map<std::string, Plain> out;
  for (const auto& slice : slices) {
    if (slice.addressType != (v4 ? "IPv4" : "IPv6")) continue;
    for (const auto& port : slice.ports) {
      const std::string own = port.protocol && !port.protocol->empty() ? *port.protocol : "TCP";
      if (port.name.value_or("") != port_name || own != protocol) continue;
      if (!port.port || *port.port <= 0 || *port.port >= 65536) continue;
      for (const auto& e : slice.endpoints) {
        if (e.addresses.empty() || !plain_address(e.addresses[0], v4)) continue;
        Plain one{e.conditions.ready.value_or(true),
                  e.conditions.serving.value_or(true),
                  e.conditions.terminating.value_or(false),
                  e.nodeName == node,
                  {},
                  {}};
        if (e.hints) {
          for (const auto& zone : e.hints->forZones) one.zones.insert(zone.name);
          for (const auto& hint : e.hints->forNodes) one.nodes.insert(hint.name);
        }
        const std::string key = fmt::format("{} {}", net::IpAddress::parse(e.addresses[0])->str(), *port.port);
        if (one.local || !out.contains(key)) out[key] = one;
      }
    }
  }
  return out;
}

std::set<std::string> filtered(const std::map<std::string, Plain>& all, const std::function<bool(const Plain&)>& keep) {
  std::set<std::string> out;
  for (const auto& [key, one] : all)
    if (keep(one)) out.insert(key);
  return out;
}

std::set<std::string> plain_cluster(const std::map<std::string, Plain>& all, const std::string& node,
                                    const std::string& zone) {
  const auto ready = filtered(all, [](const Plain& p) { return p.ready; });
  if (ready.empty()) return filtered(all, [](const Plain& p) { return p.serving && p.terminating; });
  const bool all_nodes =
      std::ranges::all_of(all, [](const auto& e) { return !e.second.ready || !e.second.nodes.empty(); });
  const auto mine = filtered(all, [&](const Plain& p) { return p.ready && p.nodes.contains(node); });
  if (all_nodes && !mine.empty()) return mine;
  const bool all_zones =
      std::ranges::all_of(all, [](const auto& e) { return !e.second.ready || !e.second.zones.empty(); });
  const auto near = filtered(all, [&](const Plain& p) { return p.ready && !zone.empty() && p.zones.contains(zone); });
  if (all_zones && !near.empty()) return near;
  return ready;
}

std::set<std::string> plain_local(const std::map<std::string, Plain>& all) {
  const auto ready = filtered(all, [](const Plain& p) { return p.ready && p.local; });
  if (!ready.empty()) return ready;
  return filtered(all, [](const Plain& p) { return p.serving && p.terminating && p.local; });
}

std::string what_happens(const std::set<std::string>& chosen, bool local, const std::map<std::string, Plain>& all) {
  if (!chosen.empty()) return fmt::format("{}", fmt::join(chosen, ","));
  const bool elsewhere = std::ranges::any_of(
      all, [](const auto& e) { return e.second.ready || (e.second.serving && e.second.terminating); });
  return local && elsewhere ? "drop" : "refuse";
}

std::string in_table(const FrontendTable& table, const FrontendKey& key) {
  const auto found = table.find(key);
  if (found == table.end()) return "no row";
  std::set<std::string> out;
  for (const auto& backend : found->second.backends)
    if (!out.insert(fmt::format("{} {}", backend.address.str(), backend.port)).second) return "twice";
  if (out.empty()) return found->second.drop_when_empty ? "drop" : "refuse";
  return fmt::format("{}", fmt::join(out, ","));
}

k8s::Service random_service(Dice& dice) {
  k8s::Service out;
  out.metadata.namespace_ = "x";
  out.metadata.name = "web";
  out.spec.type = "NodePort";
  out.spec.clusterIPs = {"10.96.1.1", "2001:db8:96::1"};
  out.spec.clusterIP = out.spec.clusterIPs[0];
  out.spec.internalTrafficPolicy = dice.pick({"Cluster", "Local"});
  out.spec.externalTrafficPolicy = dice.pick({"Cluster", "Local"});
  out.spec.trafficDistribution = dice.pick({"PreferSameZone", "PreferSameNode"});  // says nothing here (SVC-D2)
  out.spec.ports = {{"http", "TCP", {}, 80, 30080}, {"", "UDP", {}, 53, 30053}, {"sql", "SCTP", {}, 54, 30054}};
  return out;
}

TEST(RandomSlices, AgreeWithAPlainEvaluator) {
  size_t slices_seen = 0, endpoints_seen = 0, answered = 0;
  for (unsigned seed = 0; slices_seen < 10'000; ++seed) {
    Dice dice(seed);
    TestCluster cluster;
    cluster.add_namespace("x");
    for (int i = 0; i < 3; ++i) cluster.add_node(i, dice.pick<std::string>({"east", "west", ""}));
    const k8s::Service service = random_service(dice);
    cluster.put(cluster.snapshot.services, cluster.changes.services, service);
    std::vector<k8s::EndpointSlice> slices;
    for (int i = dice.below(8); i >= 0; --i) slices.push_back(random_slice(dice, i));
    std::ranges::sort(slices, {}, [](const auto& s) { return s.metadata.name; });
    for (const auto& slice : slices) {
      cluster.put(cluster.snapshot.endpointslices, cluster.changes.endpointslices, slice);
      endpoints_seen += slice.endpoints.size();
    }
    slices_seen += slices.size();
    for (int n = 0; n < 2; ++n) {
      const std::string node = TestCluster::node_name(n);
      const auto& labels = cluster.snapshot.nodes.at({"", node})->metadata.labels;
      const auto zone = labels.contains("topology.kubernetes.io/zone") ? labels.at("topology.kubernetes.io/zone") : "";
      const FrontendTable table = compile_services(cluster.snapshot, cluster.view(n));
      for (const auto& port : service.spec.ports)
        for (bool v4 : {true, false}) {
          const auto all = plain_endpoints(slices, port.name, port.protocol, v4, node);
          const auto expect = [&](const std::string& address, int number, FrontendScope scope, bool local) {
            const auto chosen = local ? plain_local(all) : plain_cluster(all, node, zone);
            const FrontendKey key{TestCluster::ip(address), static_cast<uint16_t>(number),
                                  net::parse_protocol(port.protocol).value(), scope};
            ASSERT_EQ(in_table(table, key), what_happens(chosen, local, all))
                << "seed " << seed << ", " << node << ", " << address << " " << number << "/" << port.protocol;
            answered += !chosen.empty();
          };
          expect(service.spec.clusterIPs[v4 ? 0 : 1], port.port, FrontendScope::kInternal,
                 service.spec.internalTrafficPolicy == "Local");
          const std::string own = v4 ? fmt::format("192.0.2.{}", 10 + n) : fmt::format("2001:db8:2::{:x}", 10 + n);
          expect(own, port.nodePort, FrontendScope::kInternal, false);
          expect(own, port.nodePort, FrontendScope::kExternal, service.spec.externalTrafficPolicy == "Local");
          if (HasFatalFailure()) return;
        }
    }
  }
  EXPECT_GT(endpoints_seen, 30'000u);
  EXPECT_GT(answered, 3'000u) << "most of the input leads nowhere: the test says little";
}

// What one bad object brings is its own affair: every row of the others is what it was.
TEST(RandomSlices, ABadServiceAffectsItselfAlone) {
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_namespace("y");
  for (int i = 0; i < 2; ++i) cluster.add_node(i, "east");
  for (int i = 0; i < 20; ++i) {
    const std::string name = fmt::format("good-{}", i);
    cluster.add_service("x", name, {fmt::format("10.96.1.{}", i + 1)}, {{"http", "TCP", {}, 80, 30100 + i}}).spec.type =
        "NodePort";
    cluster.add_slice("x", name + "-1", name, {{"http", "TCP", std::nullopt, 8080}},
                      {{.addresses = {fmt::format("10.1.0.{}", i + 2)}, .conditions = {}, .nodeName = "node-0"}});
  }
  const FrontendTable good = compile_services(cluster.snapshot, cluster.view(0));
  std::vector<k8s::ServicePort> ports;
  for (int i = 0; i < 2000; ++i) ports.push_back({fmt::format("p{}", i), i % 2 ? "UDP" : "TCP", {}, 1 + i, 0});
  ports.push_back({"again", "TCP", {}, 1, 0});   // a duplicate of the first
  ports.push_back({"p0", "TCP", {}, 1, 30100});  // the name too, and another's node port
  ports.push_back({"zero", "TCP", {}, 0, 0});
  ports.push_back({"wide", "TCP", {}, 70000, 70000});
  ports.push_back({"odd", "ICMP", {}, 7, 0});
  const std::string name(253, 'n');
  auto& bad = cluster.add_service("y", name, {"10.96.2.1", "not an address", "10.96.2.1"}, ports);
  bad.spec.type = "LoadBalancer";
  bad.spec.externalIPs = {"", "::ffff:1.2.3", "300.1.1.1"};
  bad.spec.loadBalancerSourceRanges = {"0.0.0.0/33", "x"};
  bad.status.loadBalancer.ingress = {{.ip = "not one"}, {.ip = "2001:db8::1"}};
  cluster.add_slice("y", "bad-1", name, {{"p0", "TCP", std::nullopt, 8080}, {"p0", "TCP", std::nullopt, 8080}},
                    {{.addresses = {"2001:db8:1::5"}}, {.addresses = {}}, {.addresses = {"10.1.0.77", "10.1.0.78"}}});
  const FrontendTable with_bad = compile_services(cluster.snapshot, cluster.view(0));
  size_t own = 0;
  for (const auto& [key, row] : with_bad) {
    if (row.owner.namespace_ == "y") {
      ++own;
      continue;
    }
    const auto before = good.find(key);
    ASSERT_NE(before, good.end()) << key.address.str();
    EXPECT_EQ(row, before->second) << key.address.str() << " " << key.port;
  }
  EXPECT_EQ(with_bad.size() - own, good.size());
  EXPECT_EQ(own, 2001u) << "its address, and each number and protocol once";
  const auto first = with_bad.find({TestCluster::ip("10.96.2.1"), 1, net::Protocol::kTcp});
  ASSERT_NE(first, with_bad.end());
  ASSERT_EQ(first->second.backends.size(), 1u);
  EXPECT_EQ(first->second.backends[0].address.str(), "10.1.0.77");
}

}  // namespace
}  // namespace carrick::desired::testing
