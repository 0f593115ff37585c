#include <arpa/inet.h>
#include <sys/socket.h>

#include <chrono>
#include <cstring>

#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/client.h"

namespace carrick::cluster_tests {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kPods = R"(
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {nodeName: node1, containers: [{name: c, image: x}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node2, containers: [{name: c, image: web, ports: [{containerPort: 8080}]}]}
)";

class ServiceLab : public LabTest {
 protected:
  void start() {
    ASSERT_EQ(carrick(fmt::format("lab up --name {} --nodes 2 --timeout 60 -f {}", name_, write_manifest(kPods))).code,
              0);
    auto running = lab::find_running_lab(name_);
    ASSERT_TRUE(running);
    auto sandbox = lab::load_sandbox(running->paths.pod("default", "client"));
    ASSERT_TRUE(sandbox) << sandbox.error().message;
    netns_ = kernel::open_netns(running->paths.prefix + sandbox->netns).value();
    credentials_ = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig()).value();
  }
  void ask(const std::string& method, const std::string& path, const std::string& body) {
    auto answer = watch::request_once(
        credentials_, {method, path, body, method == "PATCH" ? "application/merge-patch+json" : "application/json"});
    ASSERT_TRUE(answer) << answer.error().message;
  }
  // 0 when the client pod's connection stands, else errno.
  int connect(const char* address, uint16_t port) {
    auto inside = kernel::NetnsScope::enter(netns_.get());
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval limit{.tv_usec = 50'000};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port)};
    ::inet_pton(AF_INET, address, &to.sin_addr);
    return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) == 0 ? 0 : errno;
  }
  // From now until the first connection that ends like this.
  int64_t milliseconds_until(int wanted) {
    const auto start = Clock::now();
    while (connect("10.96.0.131", 80) != wanted && Clock::now() - start < std::chrono::seconds(20)) {
    }
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
  }
  Fd netns_;
  watch::Credentials credentials_;
};

// From the answer of the API server to the first connection that sees it.
TEST_F(ServiceLab, SVC_D31_AChangeIsInForceWithinASecond) {
  ASSERT_NO_FATAL_FAILURE(start());
  const std::string services = "/api/v1/namespaces/default/services";
  for (int round = 0; round < 3; ++round) {
    ask("POST", services,
        R"({"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.131","selector":{"app":"web"},"ports":[{"port":80,"targetPort":8080}]}})");
    EXPECT_LE(milliseconds_until(0), 1000) << "a new Service";
    ask("PATCH", services + "/web", R"({"spec":{"selector":{"app":"nobody"}}})");
    EXPECT_LE(milliseconds_until(ECONNREFUSED), 1000) << "no endpoint is left";
    ask("PATCH", services + "/web", R"({"spec":{"selector":{"app":"web"}}})");
    EXPECT_LE(milliseconds_until(0), 1000) << "an endpoint is there again";
    ask("DELETE", services + "/web", "");
    EXPECT_LE(milliseconds_until(EINPROGRESS), 1000) << "the Service is gone";
  }
}

// A bad slice is said in the status and as an Event of its Service, once for all nodes, and nothing else suffers.
TEST_F(ServiceLab, WhatLeadsNowhereIsSaid) {
  ASSERT_NO_FATAL_FAILURE(start());
  ask("POST", "/api/v1/namespaces/default/services",
      R"({"metadata":{"name":"odd"},"spec":{"ports":[{"name":"sql","port":80}]}})");
  ask("POST", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
      R"({"metadata":{"name":"odd-1","labels":{"kubernetes.io/service-name":"odd"}},"addressType":"IPv4",)"
      R"("ports":[{"name":"sql"}],"endpoints":[{"addresses":["203.0.113.9"]}]})");
  const std::string sentence = "EndpointSlice default/odd-1 ports[0]: it has no number: no connection is led to it";
  Ended status;
  EXPECT_TRUE(eventually([&] {
    status = carrick("status --lab " + name_);
    return status.out.find(sentence) != std::string::npos;
  })) << status.out;
  EXPECT_EQ(status.code, 0) << "the nodes are well";
  EXPECT_EQ(status.out.find(sentence), status.out.rfind(sentence)) << status.out;
  auto events = [&] {
    auto answer = watch::request_once(credentials_, {"GET", "/api/v1/namespaces/default/events", "", ""});
    size_t count = 0;
    if (answer)
      for (size_t at = 0; (at = answer->body.find(sentence, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  EXPECT_TRUE(eventually([&] { return events() > 0; }));
  EXPECT_EQ(events(), 1u);
}

}  // namespace
}  // namespace carrick::cluster_tests
