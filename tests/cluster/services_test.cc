#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstring>
#include <fstream>

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
  void start(const char* flags = "") {
    ASSERT_EQ(
        carrick(fmt::format("lab up --name {} --nodes 2 --timeout 60 {} -f {}", name_, flags, write_manifest(kPods)))
            .code,
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

// `--reset-removed-endpoints`: pod `client` holds connections to a Service whose only endpoint, a server of the test in
// pod `web`, comes and goes by a slice that is written by hand.
class RemovedEndpointLab : public ServiceLab {
 protected:
  struct Connection {
    Fd client, server;
    // 0, or errno of the client: an x to the server and back.
    int echo() const {
      char byte = 'x';
      if (::send(client.get(), &byte, 1, MSG_NOSIGNAL) != 1) return errno;
      if (const int failed = heard(server)) return failed;
      if (::send(server.get(), &byte, 1, MSG_NOSIGNAL) != 1) return errno;
      return heard(client);
    }
    // ETIMEDOUT: nothing, for a second.
    static int heard(const Fd& fd) {
      pollfd each{fd.get(), POLLIN, 0};
      if (::poll(&each, 1, 1000) != 1) return ETIMEDOUT;
      char byte;
      return ::recv(fd.get(), &byte, 1, 0) == 1 ? 0 : errno;
    }
  };

  void start(const char* flags) {
    ASSERT_NO_FATAL_FAILURE(ServiceLab::start(flags));
    const auto running = lab::find_running_lab(name_);
    const auto web = lab::load_sandbox(running->paths.pod("default", "web"));
    ASSERT_TRUE(web);
    cgroup_ = lab::node_cgroup(running->record.config.cgroup_mount, name_, "node1");
    web_ = kernel::open_netns(running->paths.prefix + web->netns).value();
    listener_ = listen(web_.get(), 9090);
    ask("POST", "/api/v1/namespaces/default/services",
        R"({"metadata":{"name":"web"},"spec":{"clusterIP":"10.96.0.131","ports":[{"port":80}]}})");
    const auto pod = watch::request_once(credentials_, {"GET", "/api/v1/namespaces/default/pods/web", "", ""});
    ASSERT_TRUE(pod);
    const auto ip = boost::json::parse(pod->body).at("status").at("podIP").as_string();
    endpoint_ = fmt::format(R"("addresses":["{}"],"nodeName":"node2")", std::string_view(ip));
    ask("POST", kSlices,
        fmt::format(
            R"({{"metadata":{{"name":"web-1","labels":{{"kubernetes.io/service-name":"web"}}}},"addressType":"IPv4",)"
            R"("ports":[{{"port":9090}}],"endpoints":[{{{}}}]}})",
            endpoint_));
    ASSERT_LE(milliseconds_until(0), 1000);
    for (pollfd each{listener_.get(), POLLIN, 0}; ::poll(&each, 1, 0) == 1;)
      (void)Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  }

  static Fd listen(int netns, uint16_t port) {
    auto inside = kernel::NetnsScope::enter(netns);
    Fd out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in at{.sin_family = AF_INET, .sin_port = htons(port)};
    EXPECT_EQ(::bind(out.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
    EXPECT_EQ(::listen(out.get(), 8), 0);
    return out;
  }

  // The endpoint as it stands in its slice from now on, and has effect.
  void set_endpoints(const std::string& endpoints, int connect_says) {
    ask("PATCH", std::string(kSlices) + "/web-1", fmt::format(R"({{"endpoints":[{}]}})", endpoints));
    ASSERT_LE(milliseconds_until(connect_says), 1000) << endpoints;
  }

  // `by_hook`: of a task of the node, whose connect() is led to the endpoint. Else its packets are translated.
  Connection open(bool by_hook) {
    Connection out;
    auto inside = kernel::NetnsScope::enter(netns_.get());
    std::ifstream file("/proc/self/cgroup");
    std::string home;
    while (std::getline(file, home) && !home.starts_with("0::")) {
    }
    const std::string mount = lab::find_cgroup2().value();
    if (by_hook) EXPECT_TRUE(lab::enter_cgroup(cgroup_));
    out.client = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // it is of the cgroup of its birth
    if (by_hook) EXPECT_TRUE(lab::enter_cgroup(mount + home.substr(3)));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(80)};
    ::inet_pton(AF_INET, "10.96.0.131", &to.sin_addr);
    EXPECT_EQ(::connect(out.client.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    out.server = Fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_EQ(out.echo(), 0);
    return out;
  }

  // Both go on for longer than the agent takes to look at sockets.
  static void expect_alive(const Connection& hooked, const Connection& translated, const char* why) {
    for (const auto start = Clock::now(); Clock::now() - start < std::chrono::milliseconds(300);) {
      ASSERT_EQ(hooked.echo(), 0) << why;
      ASSERT_EQ(translated.echo(), 0) << why;
    }
  }

  static constexpr const char* kSlices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
  Fd web_, listener_;
  std::string cgroup_, endpoint_;
};

TEST_F(RemovedEndpointLab, ItsConnectionsAreResetWithinASecond) {
  ASSERT_NO_FATAL_FAILURE(start("--reset-removed-endpoints"));
  const Connection hooked = open(true), translated = open(false);
  set_endpoints("{" + endpoint_ + R"(,"conditions":{"ready":false,"serving":false,"terminating":true}})", ECONNREFUSED);
  expect_alive(hooked, translated, "it is terminating");
  set_endpoints("{" + endpoint_ + R"(,"conditions":{"ready":false}})", ECONNREFUSED);
  expect_alive(hooked, translated, "it is not ready");
  const auto start = Clock::now();
  set_endpoints("", ECONNREFUSED);
  EXPECT_EQ(Connection::heard(hooked.client), ECONNABORTED) << "aborted, without a packet of its own";
  EXPECT_EQ(Connection::heard(hooked.server), ECONNRESET);
  int ended = 0;
  while (!(ended = translated.echo()) && Clock::now() - start < std::chrono::seconds(2)) {
  }
  EXPECT_EQ(ended, ECONNRESET) << "at its next packet";
  EXPECT_EQ(Connection::heard(translated.client), ECONNRESET);
  EXPECT_LE(Clock::now() - start, std::chrono::seconds(1));
}

// The maps say what was listed, the records of CNI ADD where the sockets are.
TEST_F(RemovedEndpointLab, AlsoAfterARestartOfTheAgent) {
  ASSERT_NO_FATAL_FAILURE(start("--reset-removed-endpoints"));
  const Connection hooked = open(true);
  kill_and_wait(*lab::find_running_lab(name_), "agent-node1");
  ASSERT_TRUE(eventually([&] { return carrick("status --lab " + name_).code == 0; }));
  EXPECT_EQ(hooked.echo(), 0);
  set_endpoints("", ECONNREFUSED);
  EXPECT_EQ(Connection::heard(hooked.client), ECONNABORTED);
  EXPECT_EQ(Connection::heard(hooked.server), ECONNRESET);
}

TEST_F(RemovedEndpointLab, WithoutTheSwitchTheyLiveOn) {  // SVC-D18
  ASSERT_NO_FATAL_FAILURE(start(""));
  const Connection hooked = open(true), translated = open(false);
  set_endpoints("", ECONNREFUSED);
  expect_alive(hooked, translated, "kube-proxy keeps them, too");
}

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
