#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <chrono>
#include <filesystem>
#include <utility>

#include "base/file.h"
#include "kernel/netns.h"
#include "lab/nodes/sandbox.h"
#include "tests/cluster/lab_fixture.h"
#include "watch/client.h"

// What an agent says of itself and of the packets that it ended.
namespace carrick::cluster_tests {
namespace {

namespace json = boost::json;

class ObserveTest : public LabTest {
 protected:
  void up(const char* more = "") {
    Ended started = carrick(
        fmt::format("lab up --name {} --nodes 1 --timeout 60 -f {} {}", name_, write_manifest(kTwoTiers), more));
    ASSERT_EQ(started.code, 0) << started.err << started.out;
  }
  json::array drops() const {
    Ended told = carrick(fmt::format("drops --lab {} -o json", name_));
    EXPECT_EQ(told.code, 0) << told.err;
    return json::parse(told.out).at("drops").as_array();
  }
  json::object status() const {
    return json::parse(carrick(fmt::format("status --lab {} -o json", name_)).out).at("nodes").at(0).as_object();
  }
  double metric(const std::string& sample) const {
    Ended told = carrick(fmt::format("status --lab {} -o metrics", name_));
    size_t at = told.out.find("\n" + sample + " ");
    return at == std::string::npos ? -1 : std::atof(told.out.c_str() + at + 2 + sample.size());
  }
};

TEST_F(ObserveTest, DropsNameBothEndsAndTheObjectThatDecided) {
  up();
  ASSERT_EQ(carrick("probe --all --lab " + name_).code, 0);
  json::object found;
  ASSERT_TRUE(eventually([&] {  // the agent takes events 20 ms after they come
    for (const auto& value : drops()) {
      const auto& entry = value.as_object();
      if (entry.at("reason") == "ingress_denied" && entry.at("protocol") == "TCP" &&
          entry.at("from").at("name").as_string().starts_with("Pod default/db-"))
        found = entry;
    }
    return !found.empty();
  }));
  EXPECT_TRUE(found.at("to").at("name").as_string().starts_with("Pod default/db-"));
  EXPECT_EQ(found.at("to").at("port").to_number<int>(), 5432);
  EXPECT_EQ(found.at("node").as_string(), "node1");
  EXPECT_EQ(found.at("why").at("owners"), (json::array{"NetworkPolicy default/db"}));
  EXPECT_NE(found.at("why").at("nearest").as_string().find("app=web"), std::string::npos);
  Ended text = carrick(fmt::format("drops --lab {} --node node1", name_));
  EXPECT_NE(text.out.find("(NetworkPolicy default/db)"), std::string::npos) << text.out;
  EXPECT_EQ(carrick(fmt::format("drops --lab {} --node nobody", name_)).code, 2);
  EXPECT_GE(status().at("drops").at("ingress_denied").to_number<int>(), 1);
}

TEST_F(ObserveTest, AServiceSaysHowOftenEachEndpointWasChosen) {
  up();
  const auto hits = [&] {
    Ended told = carrick(fmt::format("service default/web -o json --lab {}", name_));
    EXPECT_EQ(told.code, 0) << told.err;
    uint64_t sum = 0;
    for (const auto& port : json::parse(told.out).at("ports").as_array())
      for (const auto& endpoint : port.at("endpoints").as_array()) sum += endpoint.at("hits").to_number<uint64_t>();
    return sum;
  };
  ASSERT_EQ(carrick("probe --all --via service --lab " + name_).code, 0);
  const uint64_t before = hits();
  EXPECT_GT(before, 0u);
  ASSERT_EQ(carrick("probe --all --via service --lab " + name_).code, 0);
  EXPECT_EQ(hits(), 2 * before);
}

// A command that goes on, and what it has printed.
class Follower {
 public:
  explicit Follower(std::vector<std::string> words) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    out_ = Fd(ends[0]);
    Fd theirs(ends[1]);
    words.insert(words.begin(), std::string(CARRICK_BIN_DIR) + "/carrick");
    std::vector<char*> raw;
    for (auto& word : words) raw.push_back(word.data());
    raw.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::dup2(theirs.get(), 1);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }
  ~Follower() { end(SIGTERM); }
  // False when 20 s pass, or it ends, without the text. What was said before does not count again.
  bool says(const std::string& text) {
    for (size_t at; (at = said_.find(text, heard_)) == std::string::npos;) {
      pollfd ready{out_.get(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&ready, 1, 20'000) <= 0) return false;
      ssize_t n = ::read(out_.get(), buffer, sizeof buffer);
      if (n <= 0) return false;
      said_.append(buffer, static_cast<size_t>(n));
    }
    heard_ = said_.find(text, heard_) + text.size();
    return true;
  }
  const std::string& said() const { return said_; }
  int end(int signal) {
    if (pid_ <= 0) return -1;
    if (signal) ::kill(pid_, signal);
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  Fd out_;
  pid_t pid_ = -1;
  std::string said_;
  size_t heard_ = 0;
};

TEST_F(ObserveTest, AFollowerSeesADropWhenItHappens) {
  up();
  Follower drops({"drops", "--follow", "-o", "json", "--lab", name_});
  ASSERT_EQ(carrick("probe --all --lab " + name_).code, 0);
  ASSERT_TRUE(drops.says("NetworkPolicy default/db")) << drops.said();
  EXPECT_NE(drops.said().find(R"("reason":"ingress_denied")"), std::string::npos) << drops.said();
}

// Issue 4, 6: each change of an endpoint and of the Service itself, until it goes.
TEST_F(ObserveTest, AServiceIsWatchedUntilItGoes) {
  up();
  auto credentials = watch::load_kubeconfig(lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig());
  ASSERT_TRUE(credentials);
  const auto ask = [&](const char* method, const std::string& path, const std::string& body) {
    auto answer = watch::request_once(*credentials, {method, path, body, "application/merge-patch+json"});
    return answer ? answer->status : 0;
  };
  const std::string service = "/api/v1/namespaces/default/services/web";
  Follower watch({"service", "default/web", "--watch", "--lab", name_});
  ASSERT_TRUE(watch.says("Service default/web: ClusterIP")) << watch.said();
  ASSERT_TRUE(watch.says("ready")) << watch.said();
  EXPECT_EQ(ask("PATCH", "/apis/apps/v1/namespaces/default/deployments/web", R"({"spec":{"replicas":0}})"), 200);
  ASSERT_TRUE(watch.says("connections are refused at once: no endpoint is ready")) << watch.said();
  EXPECT_EQ(ask("PATCH", service, R"({"spec":{"internalTrafficPolicy":"Local"}})"), 200);
  ASSERT_TRUE(watch.says("internalTrafficPolicy Local")) << watch.said();
  EXPECT_EQ(ask("DELETE", service, ""), 200);
  EXPECT_FALSE(watch.says("what it never says")) << watch.said();  // up to its end
  EXPECT_EQ(watch.end(0), 2);
}

TEST_F(ObserveTest, AServiceIsNotWatchedInFiles) {
  Ended refused = carrick("service default/web --watch -f " + write_manifest(kTwoTiers));
  EXPECT_EQ(refused.code, 2);
  EXPECT_NE(refused.err.find("--watch needs a running lab, not -f"), std::string::npos) << refused.err;
}

// Every port of a pod that is closed to the sender: as many kinds of packets as there are.
TEST_F(ObserveTest, AFloodOfDropsCostsTheAgentNothing) {
  up();
  auto running = lab::find_running_lab(name_);
  ASSERT_TRUE(running);
  std::string from, to;
  for (const auto& sandbox : lab::load_sandboxes(running->paths)) {
    if (sandbox.pod.name.starts_with("web-")) from = running->paths.prefix + sandbox.netns;
    if (sandbox.pod.name.starts_with("db-")) to = sandbox.addresses.front();
  }
  auto netns = kernel::open_netns(from);
  ASSERT_TRUE(netns);
  Fd socket;
  {
    auto inside = kernel::NetnsScope::enter(netns->get());
    ASSERT_TRUE(inside);
    socket = Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  }
  constexpr int kPackets = 300'000;
  sockaddr_in target{.sin_family = AF_INET};
  ASSERT_EQ(::inet_pton(AF_INET, to.c_str(), &target.sin_addr), 1);
  const double before = metric(R"(carrick_drops_total{reason="ingress_denied"})"),
               cpu_before = metric("process_cpu_seconds_total");
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kPackets; ++i) {
    target.sin_port = htons(static_cast<uint16_t>(1 + i % 65535));
    (void)::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&target), sizeof target);
  }
  const double cpu = metric("process_cpu_seconds_total") - cpu_before;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_GE(metric(R"(carrick_drops_total{reason="ingress_denied"})") - before, kPackets * 0.99)
      << "the counters have all";
  // One batch of 512 each quarter of a second; the first ones come sooner.
  EXPECT_LE(metric("carrick_drop_events_total"), 512 * (4 * seconds + 8));
  EXPECT_LE(cpu, 0.05 * seconds + 0.1) << "of " << seconds << " s";
  EXPECT_LE(drops().size(), 256u);
  RecordProperty("flood_packets_per_second", static_cast<int>(kPackets / seconds));
  RecordProperty("flood_agent_cpu_ms", static_cast<int>(cpu * 1000));
}

TEST_F(ObserveTest, TheAgentKeepsOnlyWhatItNeeds) {
  up();
  const auto privileges = status().at("privileges").as_object();
  EXPECT_EQ(privileges.at("capabilities"), (json::array{"CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"}));
  EXPECT_TRUE(privileges.at("noNewPrivileges").as_bool());
}

TEST_F(ObserveTest, MetricsAreOnTheSocketAndSayWhatTheStatusSays) {
  up();
  ASSERT_EQ(carrick("probe --all --lab " + name_).code, 0);
  EXPECT_EQ(metric("carrick_ready"), 1);
  EXPECT_EQ(metric("carrick_pods"), 4);
  EXPECT_EQ(metric("carrick_unrealized_seconds"), 0);
  EXPECT_EQ(metric(R"(carrick_table_rows{table="pods"})"), 4);
  EXPECT_EQ(metric(R"(carrick_cni_requests_total{verb="ADD",result="done"})"), 4);
  EXPECT_EQ(metric(R"(carrick_cni_request_seconds_count{verb="ADD"})"), 4);
  EXPECT_EQ(metric(R"(carrick_pod_plumbing_seconds_bucket{le="+Inf"})"), 4);
  EXPECT_GT(metric(R"(carrick_drops_total{reason="ingress_denied"})"), 0);
  EXPECT_GT(metric("carrick_accepted_connections_total"), 0);
  EXPECT_GT(metric("process_resident_memory_bytes"), 1e6);
  auto running = lab::find_running_lab(name_);
  ASSERT_TRUE(running);
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto path = running->paths.node_cni_socket("node1");
  Fd file(::open(path.c_str(), O_PATH | O_CLOEXEC));  // longer than an address may be
  sockaddr_un address{.sun_family = AF_UNIX};
  fmt::format_to_n(address.sun_path, sizeof address.sun_path - 1, "/proc/self/fd/{}", file.get());
  ASSERT_EQ(::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << std::strerror(errno);
  constexpr std::string_view kQuestion = "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n";
  ASSERT_EQ(::send(socket.get(), kQuestion.data(), kQuestion.size(), 0), static_cast<ssize_t>(kQuestion.size()));
  std::string page;
  char buffer[4096];
  for (ssize_t n; (n = ::recv(socket.get(), buffer, sizeof buffer, 0)) > 0;)
    page.append(buffer, static_cast<size_t>(n));
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")) << page.substr(0, 200);
  EXPECT_NE(page.find("\ncarrick_ready 1\n"), std::string::npos);
}

// An agent that reaches no API server, in namespaces of its own.
TEST_F(ObserveTest, MetricsAreServedByHttpWhereThatIsAskedFor) {
  up();
  std::string folder = write_manifest("") + ".agent", program = std::string(CARRICK_BIN_DIR) + "/carrick",
              kubeconfig = lab::LabPaths{.name = name_, .prefix = ""}.kubeconfig(), bpffs = folder + "/bpf",
              state = folder + "/state", socket = folder + "/cni.sock";
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  ASSERT_EQ(::mkdir(bpffs.c_str(), 0700), 0);
  std::string pins = bpffs + "/carrick";
  auto netns = kernel::create_anonymous_netns();
  ASSERT_TRUE(netns);
  pid_t agent = ::fork();
  if (agent == 0) {
    bool ready = ::setns(netns->get(), CLONE_NEWNET) == 0 && ::unshare(CLONE_NEWNS) == 0 &&
                 ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                 ::mount("bpf", bpffs.c_str(), "bpf", 0, nullptr) == 0;
    int log = ::open((folder + "/log").c_str(), O_WRONLY | O_CREAT, 0600);
    ::dup2(log, 1);
    ::dup2(log, 2);
    if (ready)
      ::execl(program.c_str(), "carrick", "agent", "--node", "alone", "--kubeconfig", kubeconfig.c_str(), "--state-dir",
              state.c_str(), "--bpffs", pins.c_str(), "--cni-socket", socket.c_str(), "--uplink", "lo", "--health-port",
              "0", "--metrics-address", "127.0.0.1:9753", "--small-maps", nullptr);
    ::_exit(127);
  }
  std::string page;
  auto ask = [&] {
    auto inside = kernel::NetnsScope::enter(netns->get());
    Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(9753), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    if (::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    constexpr std::string_view kQuestion = "GET /metrics HTTP/1.0\r\n\r\n";
    (void)::send(client.get(), kQuestion.data(), kQuestion.size(), MSG_NOSIGNAL);
    char buffer[4096];
    for (ssize_t n; (n = ::recv(client.get(), buffer, sizeof buffer, 0)) > 0;)
      page.append(buffer, static_cast<size_t>(n));
    return !page.empty();
  };
  EXPECT_TRUE(eventually(ask)) << read_file(folder + "/log").value_or("");
  EXPECT_NE(page.find("\ncarrick_ready 0\n"), std::string::npos) << page.substr(0, 300);
  ::kill(agent, SIGTERM);
  int status = 0;
  ::waitpid(agent, &status, 0);
  EXPECT_EQ(status, 0);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace carrick::cluster_tests
