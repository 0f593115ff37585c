#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cstring>
#include <thread>

#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/client.h"

namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

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

// One new connection after the other from a pod's namespace to the Service, each with an answer.
class Clients {
 public:
  explicit Clients(int netns) : thread_([this, netns] { run(netns); }) {}
  ~Clients() { stop(); }
  void stop() {
    done_ = true;
    if (thread_.joinable()) thread_.join();
  }
  size_t count = 0, failed = 0;
  std::string first_failure;

 private:
  void run(int netns) {
    auto inside = kernel::NetnsScope::enter(netns);
    while (inside && !done_) {
      ++count;
      if (std::string why = one(); !why.empty() && failed++ == 0) first_failure = why;
    }
  }

  static std::string one() {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval limit{.tv_sec = 3};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(80)};
    ::inet_pton(AF_INET, "10.96.0.77", &to.sin_addr);
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
      return std::string("connect: ") + std::strerror(errno);
    char answer[256];
    if (::send(socket.get(), "CARRICK?\n", 9, MSG_NOSIGNAL) != 9) return std::string("send: ") + std::strerror(errno);
    if (::recv(socket.get(), answer, sizeof answer, 0) <= 0) return std::string("receive: ") + std::strerror(errno);
    return {};
  }

  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// Every replica is of the template at hand, and nothing else is left.
bool rolled_out(const watch::Credentials& credentials) {
  auto answer = watch::request_once(credentials, {"GET", "/apis/apps/v1/namespaces/default/deployments/web", "", ""});
  if (!answer) return false;
  auto object = json::parse(answer->body).as_object();
  auto number = [&](const char* key) {
    auto* value = object.at("status").as_object().if_contains(key);
    return value ? value->to_number<int>() : 0;
  };
  return number("observedGeneration") == object.at("metadata").at("generation").to_number<int>() &&
         number("replicas") == 4 && number("updatedReplicas") == 4 && number("availableReplicas") == 4;
}

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
  Clients clients(netns->get());
  for (int round = 0; round < 3; ++round) {
    auto patched = watch::request_once(
        *credentials,
        {"PATCH", "/apis/apps/v1/namespaces/default/deployments/web",
         fmt::format(R"({{"spec":{{"template":{{"metadata":{{"annotations":{{"round":"{}"}}}}}}}}}})", round),
         "application/merge-patch+json"});
    ASSERT_TRUE(patched) << patched.error().message;
    bool done = false;
    for (int i = 0; i < 3000 && !done; ++i) {
      done = rolled_out(*credentials);
      if (!done) ::usleep(10'000);
    }
    ASSERT_TRUE(done) << "round " << round << " does not end";
  }
  clients.stop();
  EXPECT_GT(clients.count, 100u);
  EXPECT_EQ(clients.failed, 0u) << clients.first_failure;
}

}  // namespace
}  // namespace carrick::cluster_tests
