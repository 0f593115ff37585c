#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"

// The programs of well-known images, as the suites that name them use them.
namespace carrick::cluster_tests {
namespace {

constexpr const char* kPods = R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  hostname: srv
  containers:
  - {name: tcp, image: "registry.k8s.io/e2e-test-images/agnhost:2.43", command: [/agnhost, serve-hostname, --tcp, --http=false, --port, "80"], ports: [{containerPort: 80}]}
  - {name: udp, image: "registry.k8s.io/e2e-test-images/agnhost:2.43", command: [/bin/bash, -c, "/agnhost serve-hostname --udp --http=false --port 81"], ports: [{containerPort: 81, protocol: UDP}]}
  - {name: sctp, image: "registry.k8s.io/e2e-test-images/agnhost:2.43", command: [/agnhost, porter], env: [{name: SERVE_SCTP_PORT_82, value: foo}, {name: SERVE_PORT_83, value: ported}], ports: [{containerPort: 82, protocol: SCTP}, {containerPort: 83}]}
  - {name: netexec, image: "registry.k8s.io/e2e-test-images/agnhost:2.43", args: [netexec, --http-port=8080, --udp-port=8081], ports: [{containerPort: 8080}], readinessProbe: {httpGet: {path: /readyz, port: 8080}}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: "registry.k8s.io/e2e-test-images/agnhost:2.43"}]}
---
apiVersion: v1
kind: Pod
metadata: {name: echo}
spec: {containers: [{name: c, image: "registry.k8s.io/gateway-api/echo-basic:v1.5.1", env: [{name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}], ports: [{containerPort: 3000}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{name: tcp, port: 80}, {name: udp, port: 81, protocol: UDP}, {name: sctp, port: 82, protocol: SCTP}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: server}
spec: {podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 80}, {port: 81, protocol: UDP}, {port: 82, protocol: SCTP}, {port: 8080}]}]}
)yaml";

class ProgramsTest : public LabTest {
 protected:
  Ended in_client(const std::string& command) {
    return carrick(fmt::format("lab exec --name {} default/client -- {}", name_, command));
  }
};

TEST_F(ProgramsTest, AgnhostAndItsKinRunByTheNamesOfTheirImages) {
  const Ended up = carrick(fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {}", name_, write_manifest(kPods)));
  ASSERT_EQ(up.code, 0) << up.err;
  auto running = lab::find_running_lab(name_);
  ASSERT_TRUE(running);
  const auto address = [&](const char* pod) {
    return lab::load_sandbox(running->paths.pod("default", pod))->addresses.front();
  };
  const std::string server = address("server");
  const auto connect = [&](const std::string& to, const std::string& protocol) {
    const Ended ended = in_client(fmt::format("/agnhost connect {} --timeout=3s --protocol={}", to, protocol));
    return fmt::format("{}{}", ended.code, ended.err);
  };
  EXPECT_EQ(connect(server + ":80", "tcp"), "0");
  EXPECT_EQ(connect(server + ":81", "udp"), "0");
  EXPECT_EQ(connect(server + ":82", "sctp"), "0");
  for (const auto& [port, protocol] : {std::pair(80, "tcp"), std::pair(81, "udp"), std::pair(82, "sctp")})
    EXPECT_EQ(connect(fmt::format("server.default.svc.cluster.local:{}", port), protocol), "0") << protocol;
  const auto shortly = [&](const std::string& to, const std::string& protocol) {
    return in_client(fmt::format("/agnhost connect {} --timeout=300ms --protocol={}", to, protocol)).err;
  };
  EXPECT_EQ(shortly(server + ":83", "tcp"), "TIMEOUT\n") << "the policy drops it";
  EXPECT_EQ(shortly(server + ":84", "sctp"), "TIMEOUT\n");
  EXPECT_EQ(shortly("127.0.0.1:1", "tcp"), "REFUSED\n");
  EXPECT_TRUE(shortly("nosuch.invalid:80", "tcp").starts_with("DNS: "));

  EXPECT_EQ(in_client(fmt::format("curl -s http://{}:8080/hostname", server)).out, "srv");
  EXPECT_EQ(in_client(fmt::format("curl -s 'http://{}:8080/shell?cmd=echo+hi'", server)).out, R"({"output":"hi\n"})");
  EXPECT_EQ(
      in_client(fmt::format("curl -s 'http://{0}:8080/dial?host={0}&port=8081&protocol=udp&request=hostname'", server))
          .out,
      R"({"responses":["srv"]})");
  EXPECT_EQ(in_client("/agnhost dns-suffix").out, "default.svc.cluster.local,svc.cluster.local,cluster.local\n");
  EXPECT_EQ(
      carrick(fmt::format("lab exec --name {} -c sctp default/server -- curl -s http://127.0.0.1:83/", name_)).out,
      "ported");
  const std::string echoed = in_client(fmt::format("curl -s http://{}:3000/a?b", address("echo"))).out;
  EXPECT_NE(echoed.find(R"("path":"/a?b")"), std::string::npos) << echoed;
  EXPECT_NE(echoed.find(R"("pod":"echo")"), std::string::npos) << echoed;
}

TEST_F(ProgramsTest, AnImageOfTheUserIsAProgramOfTheMachine) {
  const std::string manifest = write_manifest(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: "shop/web:1.2", args: [-c, "echo by its image > /tmp/told; exec sleep 1000"], readinessProbe: {exec: {command: [cat, /tmp/told]}}}]}
)yaml");
  for (const char* bad : {"shop/web", "=/bin/sh", "shop/web=bin/sh", "shop/web=/no/such/program"}) {
    const Ended refused = carrick(fmt::format("lab up --name {} --image {} -f {}", name_, bad, manifest));
    EXPECT_EQ(refused.code, 2) << bad;
    EXPECT_NE(refused.err.find(fmt::format("--image {}: NAME=PATH", bad)), std::string::npos) << refused.err;
  }
  const Ended up =
      carrick(fmt::format("lab up --name {} --nodes 1 --timeout 60 --image shop/web=/bin/sh -f {}", name_, manifest));
  ASSERT_EQ(up.code, 0) << up.err;
  EXPECT_EQ(in_client("cat /tmp/told").out, "by its image\n");
}

}  // namespace
}  // namespace carrick::cluster_tests
