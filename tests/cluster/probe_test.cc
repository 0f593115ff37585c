#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>

#include "base/fd.h"
#include "tests/cluster/lab_fixture.h"

// What `carrick probe` has to know beyond ordinary pods.
namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

// Pods in their node's network, with the node's resolver and with the cluster's; a pod whose egress policy forbids it
// to ask any resolver; Services of both families and of one.
constexpr const char* kHostNetwork = R"(
apiVersion: v1
kind: Pod
metadata: {name: host-1, labels: {app: host}}
spec: {hostNetwork: true, nodeName: node1, containers: [{name: c, image: x, ports: [{containerPort: 9100}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: host-2, labels: {app: host}}
spec: {hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet, nodeName: node2, containers: [{name: c, image: x, ports: [{containerPort: 9100}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: beside, labels: {app: beside}}
spec: {hostNetwork: true, nodeName: node1, containers: [{name: c, image: x, ports: [{containerPort: 9200}, {containerPort: 9300, protocol: UDP}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: node1, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shut-in, labels: {app: shut-in}}
spec: {dnsPolicy: Default, nodeName: node2, containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: host}
spec: {selector: {app: host}, ipFamilyPolicy: PreferDualStack, ports: [{port: 9100}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: shut-in}
spec:
  podSelector: {matchLabels: {app: shut-in}}
  policyTypes: [Egress]
  egress: [{to: [{podSelector: {}}]}]
)";

class ProbeTest : public LabTest {
 protected:
  // "from -> to" and what was observed.
  std::map<std::string, std::string> probe(const std::string& way) {
    Ended probed = carrick(fmt::format("probe --lab {} --all -o json {}", name_, way));
    EXPECT_EQ(probed.code, 0) << way << probed.out << probed.err;
    std::map<std::string, std::string> out;
    if (probed.code != 0) return out;
    for (const auto& cell : json::parse(probed.out).at("cells").as_array())
      out[fmt::format("{} -> {}", cell.at("from").as_string().c_str(), cell.at("to").as_string().c_str())] =
          cell.at("observed").as_string();
    return out;
  }
};

TEST_F(ProbeTest, HostNetworkPodsAreSourcesAndTargets) {
  Ended started =
      carrick(fmt::format("lab up --name {} --nodes 2 --timeout 60 -f {}", name_, write_manifest(kHostNetwork)));
  ASSERT_EQ(started.code, 0) << started.err << started.out;
  for (const char* family : {"", " --ip-family ipv6"}) {
    auto by_pod = probe(std::string("--via pod") + family);
    EXPECT_EQ(by_pod["default/host-1 -> default/web"], "allow") << "its own node always reaches a pod (NP-10)";
    EXPECT_EQ(by_pod["default/host-2 -> default/web"], "deny");
    EXPECT_EQ(by_pod["default/beside -> default/host-1"], "allow");
    EXPECT_EQ(by_pod["default/shut-in -> default/host-1"], "deny") << "a node is no pod";
  }
  auto by_service = probe("--via service");
  EXPECT_EQ(by_service["default/host-1 -> default/svc/host"], "allow");
  EXPECT_EQ(by_service["default/host-2 -> default/svc/web"], "deny");
  auto by_name = probe("--via dns");
  EXPECT_EQ(by_name["default/host-1 -> default/svc/host"], "refuse") << "asks the resolver of its node";
  EXPECT_EQ(by_name["default/host-2 -> default/svc/host"], "allow");
  EXPECT_EQ(by_name["default/shut-in -> default/svc/host"], "deny") << "may ask nobody";
  auto by_name6 = probe("--via dns --ip-family ipv6");
  EXPECT_EQ(by_name6["default/web -> default/svc/host"], "allow");
  EXPECT_EQ(by_name6["default/web -> default/svc/web"], "refuse") << "the Service has IPv4 alone";

  // The same of single questions.
  for (const auto& [line, verdict] : by_name) {
    size_t arrow = line.find(" -> "), name = line.rfind('/') + 1;
    std::string service = line.substr(name);
    Ended told = carrick(fmt::format("explain --lab {} {} {}.default.svc.cluster.local --port {}/tcp", name_,
                                     line.substr(0, arrow), service, service == "web" ? 80 : 9100));
    EXPECT_TRUE(told.out.starts_with(verdict + ":")) << line << "\n" << told.out << told.err;
  }
}

// A program that listens when somebody writes into its pipe, and one that never listens.
constexpr const char* kLateProgram = R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: late}
spec:
  containers:
  - name: c
    image: x
    command: [python3, -c, "import os, http.server as h; os.mkfifo('/tmp/gate'); open('/tmp/gate').read(); h.test(h.SimpleHTTPRequestHandler, port=8080)"]
    ports: [{containerPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: c, image: x}]}
)yaml";
constexpr const char* kMuteProgram =
    R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"mute"},"spec":{"containers":[{"name":"c","image":"x",)"
    R"("command":["sleep","infinity"],"ports":[{"containerPort":80}]}]}})";

// A child with its standard error in a pipe.
struct Running {
  pid_t pid = 0;
  Fd err;
  std::string said;
  // Reads until the sentence has been said; false at the end of the stream.
  bool says(const std::string& sentence) {
    char buffer[4096];
    while (said.find(sentence) == std::string::npos) {
      ssize_t n = ::read(err.get(), buffer, sizeof buffer);
      if (n <= 0) return false;
      said.append(buffer, static_cast<size_t>(n));
    }
    return true;
  }
  int wait() {
    says("\n\n\n");  // that is never said: until the end
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
};
Running start(const std::string& arguments) {
  Running out;
  int pipe[2];
  EXPECT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  out.err = Fd(pipe[0]);
  Fd theirs(pipe[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, theirs.get(), 2);
  std::string line = fmt::format("exec {}/carrick {}", CARRICK_BIN_DIR, arguments);
  const char* argv[] = {"sh", "-c", line.c_str(), nullptr};
  EXPECT_EQ(::posix_spawn(&out.pid, "/bin/sh", &actions, nullptr, const_cast<char**>(argv), environ), 0);
  ::posix_spawn_file_actions_destroy(&actions);
  return out;
}

// Without a readiness probe a pod is Ready when its program runs, which is before it listens.
TEST_F(ProbeTest, AProgramThatListensLateIsWaitedFor) {
  std::string manifest = write_manifest(kLateProgram);
  Running up = start(fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {}", name_, manifest));
  ASSERT_TRUE(up.says("waiting until their programs listen: default/late: 8080/tcp\n")) << up.said;
  ASSERT_EQ(carrick(fmt::format("lab exec --name {} default/late -- sh -c ': > /tmp/gate'", name_)).code, 0);
  EXPECT_EQ(up.wait(), 0) << up.said;
  EXPECT_EQ(up.said.find("does not listen"), std::string::npos) << up.said;
  auto cells = probe("--via pod");
  EXPECT_EQ(cells["default/client -> default/late"], "allow");

  auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  ASSERT_TRUE(credentials);
  auto made = watch::request_once(*credentials, {"POST", "/api/v1/namespaces/default/pods", kMuteProgram, ""});
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(eventually([&] {
    auto answer = watch::request_once(*credentials, {"GET", "/api/v1/namespaces/default/pods/mute", "", ""});
    return answer && answer->body.find(R"("phase":"Running")") != std::string::npos;
  }));
  Ended probed = carrick(fmt::format("probe --lab {} --all", name_));
  EXPECT_EQ(probed.code, 1) << probed.out << probed.err;
  EXPECT_NE(probed.out.find("observed refuse (Connection refused); the program in the pod does not listen: "
                            "default/mute: 80/tcp"),
            std::string::npos)
      << probed.out;
}

constexpr const char* kShut = R"yaml(
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress]}
)yaml";

TEST_F(ProbeTest, AnAppliedPolicyDecidesTheProbesOfTheNextSecond) {
  if (std::system("kubectl version --client >/dev/null 2>&1") != 0) GTEST_SKIP() << "kubectl is not here";
  ASSERT_EQ(
      carrick(fmt::format("lab up --name {} --nodes 2 --timeout 60 -f {}", name_, write_manifest(kTwoTiers))).code, 0);
  using Clock = std::chrono::steady_clock;
  auto observed = [&] {
    Ended probed = carrick(fmt::format("probe --lab {} --from default/db --to default/web -o json", name_));
    std::set<std::string> out;
    for (const auto& cell : json::parse(probed.out).at("cells").as_array())
      out.insert(std::string(cell.at("observed").as_string()));
    return out;
  };
  std::string kubectl = fmt::format("KUBECONFIG={} kubectl ", lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  std::string file = write_manifest(kShut);
  for (const auto& [verb, verdict] : {std::pair("apply", "deny"), {"delete", "allow"}}) {
    EXPECT_NE(observed(), std::set<std::string>{verdict});
    ASSERT_EQ(std::system(fmt::format("{} {} -f {} >/dev/null", kubectl, verb, file).c_str()), 0);
    const auto done = Clock::now();
    auto asked = done;
    while (observed() != std::set<std::string>{verdict} && asked - done < std::chrono::seconds(20))
      asked = Clock::now();
    auto took = std::chrono::duration_cast<std::chrono::milliseconds>(asked - done);
    EXPECT_LE(took.count(), 1000) << "until a probe began that saw what kubectl " << verb << " had changed";
  }
}

TEST_F(ProbeTest, ThatNothingCanBeProbedIsSaidWithTheReason) {
  Ended started =
      carrick(fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {}", name_, write_manifest(kTwoTiers)));
  ASSERT_EQ(started.code, 0) << started.err << started.out;
  Ended probed = carrick(fmt::format("probe --lab {} --all --via service --ip-family ipv6", name_));
  EXPECT_EQ(probed.code, 2);
  EXPECT_NE(probed.err.find("no Service of the selected pods has an IPv6 address; 2 have one of the other family"),
            std::string::npos)
      << probed.err;
}

}  // namespace
}  // namespace carrick::cluster_tests
