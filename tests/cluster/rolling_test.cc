#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"
#include "tests/support/steady_load.h"
#include "watch/client.h"

namespace carrick::cluster_tests {
namespace {

constexpr const char* kRolling = R"(
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: x, ports: [{containerPort: 9}]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: 10.96.0.77, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
)";

// At a steady rate, whose connections find their endpoint as packets, and at connect by the socket hooks.
// SVC-D18 and the order of a pod's end: an endpoint is named as terminating, nobody new comes, then it goes.
TEST_F(LabTest, SVC_D18_RollingUpdatesFailNoConnection) {
  ASSERT_EQ(carrick(fmt::format("lab up --name {} --nodes 2 -f {}", name_, write_manifest(kRolling))).code, 0);
  auto running = lab::find_running_lab(name_);
  ASSERT_TRUE(running);
  auto sandbox = lab::load_sandbox(running->paths.pod("default", "client"));
  ASSERT_TRUE(sandbox) << sandbox.error().message;
  auto netns = kernel::open_netns(running->paths.prefix + sandbox->netns);
  ASSERT_TRUE(netns) << netns.error().message;
  auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  ASSERT_TRUE(credentials);
  const auto& config = running->record.config;
  load::Plan plan{.netns = netns->get(), .target = {*net::IpAddress::parse("10.96.0.77"), 80}, .per_second = 200};
  auto packets = load::SteadyLoad::start(plan);
  plan.cgroup = lab::node_cgroup(config.cgroup_mount, config.name, sandbox->node);
  auto sockets = load::SteadyLoad::start(plan);
  ASSERT_TRUE(packets && sockets);
  for (int round = 0; round < 3; ++round) {
    auto rolled = load::roll(*credentials, "web", round);
    ASSERT_TRUE(rolled) << rolled.error().message;
  }
  for (auto* clients : {&*packets, &*sockets}) {
    auto outcome = clients->finish();
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_GT(static_cast<double>(outcome->opened), 0.8 * plan.per_second * outcome->seconds) << "the load was steady";
    EXPECT_GT(outcome->opened, 50u);
    EXPECT_EQ(outcome->failed, 0u) << outcome->first_failure;
    EXPECT_GT(outcome->endpoints, 4u) << "the clients did not see the updates";
  }
}

}  // namespace
}  // namespace carrick::cluster_tests
