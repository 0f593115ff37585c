#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <random>

#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/client.h"

namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

std::string up(const std::string& name, const std::string& more = "") {
  return fmt::format("lab up --name {} --nodes 2 --timeout 60 {}", name, more);
}

TEST_F(LabTest, ComesUpAgreesWithExplainAndGoesWithoutATrace) {
  Ended started = carrick(up(name_, "-o json -f " + write_manifest(kTwoTiers)));
  ASSERT_EQ(started.code, 0) << started.err << started.out;
  json::value summary = json::parse(started.out);
  EXPECT_TRUE(summary.at("ready").as_bool());
  EXPECT_EQ(summary.at("pods").to_number<int>(), 4);
  for (const char* way : {"--via pod", "--via service", "--via dns", "--via pod --ip-family ipv6"}) {
    Ended probed = carrick(fmt::format("probe --lab {} --all -o json {}", name_, way));
    ASSERT_EQ(probed.code, 0) << way << probed.out << probed.err;
    json::value report = json::parse(probed.out);
    EXPECT_GT(report.at("probes").to_number<int>(), 0) << way;
    EXPECT_EQ(report.at("probes"), report.at("agree")) << way;
    size_t allowed = 0, denied = 0;
    for (const auto& cell : report.at("cells").as_array()) {
      allowed += cell.at("observed").as_string() == "allow";
      denied += cell.at("observed").as_string() == "deny";
    }
    EXPECT_GT(allowed, 0u) << way;
    EXPECT_GT(denied, 0u) << way;
  }
}

TEST_F(LabTest, JudgesAgreeOverVxlanAndWithOneFamilyAlone) {
  std::string manifest = write_manifest(kTwoTiers);
  for (const char* kind : {"--routing vxlan", "--ip-family ipv4", "--ip-family ipv6"}) {
    Ended started = carrick(up(name_, std::string(kind) + " -f " + manifest));
    ASSERT_EQ(started.code, 0) << kind << started.err;
    for (const char* way : {"pod", "service", "dns"}) {
      Ended probed = carrick(fmt::format("probe --lab {} --all --via {}", name_, way));
      EXPECT_EQ(probed.code, 0) << kind << " via " << way << probed.out << probed.err;
    }
    ASSERT_EQ(carrick("lab down --name " + name_).code, 0) << kind;
  }
}

TEST_F(LabTest, ADeletedPolicyDecidesTheNextProbes) {
  ASSERT_EQ(carrick(up(name_, "-f " + write_manifest(kTwoTiers))).code, 0);
  auto denied = [&] {
    json::value report = json::parse(carrick(fmt::format("probe --lab {} --all -o json", name_)).out);
    size_t count = 0;
    for (const auto& cell : report.at("cells").as_array()) count += cell.at("observed").as_string() == "deny";
    return count;
  };
  EXPECT_GT(denied(), 0u);
  auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  ASSERT_TRUE(credentials);
  auto gone = watch::request_once(
      *credentials, {"DELETE", "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies/db", "", ""});
  ASSERT_TRUE(gone) << gone.error().message;
  EXPECT_TRUE(eventually([&] { return denied() == 0; }));
}

TEST_F(LabTest, APodSeesItsOwnNamesAndCommandsRunInIt) {
  ASSERT_EQ(carrick(up(name_,
                       "-f " + write_manifest("apiVersion: v1\nkind: Pod\nmetadata: {name: one}\nspec: {hostname: uno, "
                                              "containers: [{name: c, image: x, ports: [{containerPort: 80}]}]}\n")))
                .code,
            0);
  std::string in_pod = fmt::format("lab exec --name {} default/one -- ", name_);
  EXPECT_EQ(carrick(in_pod + "hostname").out, "uno\n");
  EXPECT_NE(carrick(in_pod + "cat /etc/resolv.conf").out.find("nameserver 10.96.0.10"), std::string::npos);
  EXPECT_NE(carrick(in_pod + "ip -br address").out.find("10.1."), std::string::npos);
  EXPECT_EQ(carrick(in_pod + "sh -c 'exit 7'").code, 7);
  EXPECT_EQ(carrick(in_pod + "no-such-program-here").code, 127);
  EXPECT_EQ(carrick(fmt::format("lab exec --name {} default/none -- true", name_)).code, 2);
}

TEST_F(LabTest, ASecondOneOfTheNameIsRefusedAndOneOfAnotherNameLivesBeside) {
  std::string manifest = write_manifest(kTwoTiers);
  ASSERT_EQ(carrick(up(name_, "-f " + manifest)).code, 0);
  Ended again = carrick(up(name_));
  EXPECT_EQ(again.code, 2);
  EXPECT_NE(again.err.find("is up already"), std::string::npos) << again.err;
  std::string other = name_ + "-b";
  Ended beside = carrick(up(other, "-f " + manifest));
  EXPECT_EQ(beside.code, 0) << beside.err;
  EXPECT_EQ(carrick("probe --all --lab " + name_).code, 0);
  EXPECT_EQ(carrick("probe --all --lab " + other).code, 0);
  Belongings belongings = belongings_of(other);
  EXPECT_FALSE(belongings.bpf.empty());
  EXPECT_EQ(carrick("lab down --name " + other).code, 0);
  for (const auto& sentence : remains_of(other, belongings)) ADD_FAILURE() << sentence;
  EXPECT_EQ(carrick("probe --all --lab " + name_).code, 0) << "the other lab's end disturbed this one";
}

TEST_F(LabTest, ATakenPortIsSaid) {
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(fd, 1), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  Ended refused = carrick(up(name_, fmt::format("--api-port {}", ntohs(address.sin_port))));
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("is taken"), std::string::npos) << refused.err;
  ::close(fd);
}

TEST_F(LabTest, BadManifestsAreOneSentenceAndNothingIsMade) {
  std::mt19937 random(7);
  std::string noise;
  for (int i = 0; i < 4096; ++i) noise += static_cast<char>(random());
  struct Case {
    const char* what;
    std::string text, says;
  };
  const std::string pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: x}]}\n";
  const std::string other_pod =
      "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: z}]}\n";
  for (const Case& each : {
           Case{"broken YAML", "apiVersion: v1\nkind: [Pod\nmetadata: {name: x}\n", ":3:9:"},
           Case{"a name twice", pod + "---\n" + other_pod, "Pod default/a"},
           Case{"port 0", "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 0}]}\n",
                "spec.ports[0].port"},
           Case{"bad CIDR",
                "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec: {podSelector: {}, "
                "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/40}}]}]}\n",
                "cidr"},
           Case{"50 MB", std::string(50 * 1024 * 1024, '#'), "MiB"},
           Case{"noise", noise, ".yaml:"},
       }) {
    Ended refused = carrick(up(name_, "-f " + write_manifest(each.text)));
    EXPECT_EQ(refused.code, 2) << each.what;
    EXPECT_NE(refused.err.find(each.says), std::string::npos) << each.what << ": " << refused.err.substr(0, 500);
    EXPECT_FALSE(lab::read_record(name_)) << each.what;
  }
}

// 20 moments of an `up` at which one of its processes is killed; whatever is left, `lab down` clears.
TEST_F(LabTest, KilledAtAnyMomentNothingStays) {
  std::string manifest = write_manifest(kTwoTiers);
  unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  SCOPED_TRACE(fmt::format("seed {}", seed));
  for (int round = 0; round < 20; ++round) {
    pid_t command = ::fork();
    if (command == 0) {
      int nowhere = ::open("/dev/null", O_RDWR);
      ::dup2(nowhere, 1);
      ::dup2(nowhere, 2);
      std::string program = std::string(CARRICK_BIN_DIR) + "/carrick";
      ::execl(program.c_str(), "carrick", "lab", "up", "--name", name_.c_str(), "--nodes", "2", "-f", manifest.c_str(),
              nullptr);
      ::_exit(127);
    }
    ::usleep(static_cast<useconds_t>(random() % 1'500'000));  // the moment, not a wait for something
    Belongings belongings = belongings_of(name_);
    std::vector<int> victims(belongings.processes.begin(), belongings.processes.end());
    victims.push_back(command);
    if (auto record = lab::read_record(name_); record && round % 2 == 0) victims = {record->pid};
    ::kill(victims[random() % victims.size()], SIGKILL);
    if (round % 3 == 0) ::kill(command, SIGKILL);
    belongings = belongings_of(name_).bpf.size() > belongings.bpf.size() ? belongings_of(name_) : belongings;
    ::kill(command, SIGKILL);
    ::waitpid(command, nullptr, 0);
    eventually([&] { return carrick("lab down --name " + name_).code != 1; });  // 1: the lab's own end is still at work
    for (const std::string& sentence : remains_of(name_, belongings))
      ADD_FAILURE() << "round " << round << ", left behind: " << sentence;
  }
}

// A long connection between two pods, and one through a Service, outlive every process of the lab that may be replaced.
TEST_F(LabTest, SVC_D26_ConnectionsOutliveAgentsNodesAndTheApiServer) {
  ASSERT_EQ(carrick(up(name_, "-f " + write_manifest(kTwoTiers))).code, 0);
  auto running = lab::find_running_lab(name_);
  ASSERT_TRUE(running);
  std::vector<lab::Sandbox> web;
  for (auto& sandbox : lab::load_sandboxes(running->paths))
    if (sandbox.pod.name.starts_with("web-")) web.push_back(sandbox);
  ASSERT_EQ(web.size(), 2u);
  auto netns = kernel::open_netns(running->paths.prefix + web[0].netns);
  ASSERT_TRUE(netns) << netns.error().message;
  auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  ASSERT_TRUE(credentials);
  auto service = watch::request_once(*credentials, {"GET", "/api/v1/namespaces/default/services/web", "", ""});
  ASSERT_TRUE(service) << service.error().message;
  const std::string cluster_ip(json::parse(service->body).at("spec").at("clusterIP").as_string());
  auto connected = [&](const std::string& address, uint16_t port) {
    auto inside = kernel::NetnsScope::enter(netns->get());
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port)};
    ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
    timeval limit{.tv_sec = 5};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (!inside || ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return Fd();
    return socket;
  };
  const Fd direct = connected(web[1].addresses[0], 8080), by_service = connected(cluster_ip, 80);
  ASSERT_TRUE(direct && by_service) << std::strerror(errno);
  auto talks = [](const Fd& socket) {
    char answer[256];
    return ::send(socket.get(), "echo\n", 5, MSG_NOSIGNAL) == 5 && ::recv(socket.get(), answer, sizeof answer, 0) > 0;
  };
  ASSERT_TRUE(talks(direct) && talks(by_service));
  for (const char* child : {"agent-node1", "agent-node2", "lab-nodes", "lab-server"}) {
    kill_and_wait(*running, child);
    EXPECT_TRUE(talks(direct)) << "after the end of " << child;
    EXPECT_TRUE(talks(by_service)) << "after the end of " << child;
    EXPECT_TRUE(connected(cluster_ip, 80)) << "a new connection after the end of " << child;
  }
  // And all of it goes on working: a new pod comes up, the truth table is right.
  EXPECT_TRUE(eventually([&] { return carrick("probe --all --lab " + name_).code == 0; }));
}

}  // namespace
}  // namespace carrick::cluster_tests
