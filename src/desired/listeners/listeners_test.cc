#include "desired/listeners/listeners.h"

#include <gtest/gtest.h>

#include "desired/test_cluster.h"

namespace carrick::desired::testing {
namespace {

TEST(Listeners, DeclaredPortsTargetPortsAndProbes) {
  TestCluster cluster;
  cluster.add_namespace("x");
  cluster.add_node(0);
  auto& pod = cluster.add_pod("x", "a", {{"app", "a"}}, 0, {{"http", 8080}, {"dns", 53, "UDP"}});
  k8s::Probe probe;
  probe.httpGet = k8s::HTTPGetAction{};
  probe.httpGet->port = std::string("http");
  pod.spec.containers[0].livenessProbe = probe;
  probe.httpGet->port = int32_t{9999};
  pod.spec.containers[0].readinessProbe = probe;
  probe.httpGet->host = "elsewhere";
  probe.httpGet->port = int32_t{7777};
  pod.spec.containers[0].startupProbe = probe;
  k8s::Container setup;
  setup.ports = {{"", "TCP", {}, 1}};
  pod.spec.initContainers = {setup};
  cluster.add_service("x", "s", {"10.96.1.1"},
                      {{"a", "TCP", {}, 80, 0, int32_t{9000}},
                       {"b", "TCP", {}, 81, 0, std::string("http")},
                       {"c", "TCP", {}, 82},
                       {"d", "TCP", {}, 83, 0, std::string("nobody")}},
                      {{"app", "a"}});
  cluster.add_service("x", "other", {"10.96.1.2"}, {{"a", "TCP", {}, 70}}, {{"app", "b"}});
  using L = Listener;
  EXPECT_EQ(compile_listeners(cluster.snapshot).at({"x", "a"}),
            (std::set<L>{L{82}, L{8080}, L{9000}, L{9999}, L{53, net::Protocol::kUdp}}));
}

}  // namespace
}  // namespace carrick::desired::testing
