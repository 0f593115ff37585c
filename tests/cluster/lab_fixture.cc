#include "tests/cluster/lab_fixture.h"

#include <dirent.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernel/netns.h"
#include "kernel/unix_socket.h"

namespace carrick::cluster_tests {
namespace {

namespace fs = std::filesystem;

struct ScratchFolder {
  ScratchFolder() {
    char folder[] = "/tmp/carrick_cluster_tests.XXXXXX";
    path = ::mkdtemp(folder);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string path;
};
ScratchFolder& scratch() {
  static ScratchFolder folder;
  return folder;
}

std::string slurp(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string link_of(const std::string& path) {
  char text[256];
  ssize_t n = ::readlink(path.c_str(), text, sizeof text);
  return n > 0 ? std::string(text, static_cast<size_t>(n)) : "";
}

std::vector<int> all_processes() {
  std::vector<int> out;
  for (const auto& entry : fs::directory_iterator("/proc"))
    if (int pid = std::atoi(entry.path().filename().c_str())) out.push_back(pid);
  return out;
}

// A number that no other namespace ever has, unlike the inode's: labs of others come and go meanwhile.
std::string cookie_of(const std::string& path) {
  auto netns = kernel::open_netns(path);
  if (!netns) return "";
  auto cookie = kernel::in_netns(netns->get(), [] { return kernel::own_netns_cookie(); });
  return cookie ? std::to_string(*cookie) : "";
}

// "net:[4026532001]" of a process's own network namespace and those mounted in its mount namespace, each with a path to
// it. Lines of mountinfo(5): "id parent dev net:[inode] MOUNTPOINT ... - nsfs".
std::map<std::string, std::string> namespaces_of(int pid, bool mounted) {
  std::map<std::string, std::string> out;
  std::string own = fmt::format("/proc/{}/ns/net", pid);
  out[link_of(own)] = own;
  if (!mounted) return out;
  std::istringstream mounts(slurp(fmt::format("/proc/{}/mountinfo", pid)));
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream fields(line);
    std::string id, parent, device, root, mount_point;
    fields >> id >> parent >> device >> root >> mount_point;
    if (root.starts_with("net:[")) out[root] = fmt::format("/proc/{}/root{}", pid, mount_point);
  }
  return out;
}

bool bpf_object_exists(const std::string& name) {
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  bool program = name.starts_with("prog ");
  attr.prog_id = static_cast<uint32_t>(std::atoi(name.c_str() + name.find(' ') + 1));
  long fd = ::syscall(SYS_bpf, program ? BPF_PROG_GET_FD_BY_ID : BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
  if (fd >= 0) ::close(static_cast<int>(fd));
  return fd >= 0;
}

std::vector<std::string> remains_now(const std::string& lab, const Belongings& belongings) {
  std::vector<std::string> out;
  std::map<std::string, std::string> netns;
  std::set<std::string> mount_namespaces;
  for (int pid : all_processes()) {
    bool first = mount_namespaces.insert(link_of(fmt::format("/proc/{}/ns/mnt", pid))).second;
    netns.merge(namespaces_of(pid, first));
    if (slurp(fmt::format("/proc/{}/cmdline", pid)).find(std::string("--lab") + '\0' + lab + '\0') != std::string::npos)
      out.push_back(fmt::format("process {} of the lab", pid));
  }
  for (const auto& [inode, cookie] : belongings.netns)
    if (auto there = netns.find(inode); there != netns.end() && cookie_of(there->second) == cookie)
      out.push_back("network namespace " + inode + " at " + there->second);
  for (const std::string& each : belongings.bpf)
    if (bpf_object_exists(each)) out.push_back("BPF " + each);
  auto mount = lab::find_cgroup2();
  if (mount && fs::exists(lab::lab_cgroup(*mount, lab))) out.push_back("cgroup folder");
  if (fs::exists(lab::LabPaths{lab, ""}.run())) out.push_back("run folder");
  if (fs::exists(lab::LabPaths{lab, ""}.lock())) out.push_back("lock file");
  return out;
}

}  // namespace

Ended carrick(const std::string& arguments) {
  std::string out = scratch().path + "/out", err = scratch().path + "/err";
  std::string line = fmt::format("{}/carrick {} >{} 2>{} </dev/null", CARRICK_BIN_DIR, arguments, out, err);
  int status = std::system(line.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(out), slurp(err)};
}

std::string write_manifest(const std::string& text) {
  static int number = 0;
  std::string path = fmt::format("{}/{}.yaml", scratch().path, ++number);
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

Belongings belongings_of(const std::string& name) {
  Belongings out;
  auto running = lab::find_running_lab(name);
  if (!running) return out;
  int init = running->record.pid;
  std::string pid_namespace = link_of(fmt::format("/proc/{}/ns/pid", init));
  std::map<std::string, std::string> netns = namespaces_of(init, true);
  for (int pid : all_processes()) {
    if (link_of(fmt::format("/proc/{}/ns/pid", pid)) != pid_namespace) continue;
    out.processes.insert(pid);
    netns.merge(namespaces_of(pid, false));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fdinfo", pid), error)) {
      std::istringstream lines(slurp(entry.path()));
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("prog_id:")) out.bpf.insert("prog " + line.substr(line.find_first_not_of(" \t", 8)));
        if (line.starts_with("map_id:")) out.bpf.insert("map " + line.substr(line.find_first_not_of(" \t", 7)));
      }
    }
  }
  for (const auto& [inode, path] : netns)
    if (auto cookie = cookie_of(path); !cookie.empty()) out.netns[inode] = cookie;
  return out;
}

std::vector<std::string> remains_of(const std::string& lab, const Belongings& belongings) {
  // One worker of the kernel frees all namespaces of the machine, also those of other labs. What leaks stays for ever.
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  for (;;) {
    auto out = remains_now(lab, belongings);
    if (out.empty() || std::chrono::steady_clock::now() > deadline) return out;
    ::usleep(10'000);
  }
}

std::string machine_state() {
  std::string out = slurp("/proc/self/mountinfo");
  std::vector<std::string> links;
  for (const auto& entry : fs::directory_iterator("/sys/class/net")) links.push_back(entry.path().filename());
  std::ranges::sort(links);
  for (const auto& link : links) out += link + "\n";
  return out;
}

void LabTest::SetUp() {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: starts labs";
  name_ = fmt::format("test-{}", ::getpid());
  machine_before_ = machine_state();
}

void LabTest::TearDown() {
  if (name_.empty()) return;
  Belongings belongings = belongings_of(name_);
  carrick("lab down --name " + name_);
  for (const std::string& sentence : remains_of(name_, belongings)) ADD_FAILURE() << "left behind: " << sentence;
  EXPECT_EQ(machine_state(), machine_before_);
}

namespace {

boost::json::array children(const lab::RunningLab& running) {
  auto answer = kernel::ask_line(running.paths.control(), R"({"verb":"status"})", 5000);
  if (!answer) return {};
  return boost::json::parse(*answer).at("children").as_array();
}

}  // namespace

void kill_and_wait(const lab::RunningLab& running, const std::string& child) {
  auto pid_of = [&]() -> int64_t {
    for (const auto& each : children(running))
      if (each.at("name").as_string() == child) return each.at("pid").to_number<int64_t>();
    return 0;
  };
  int64_t inner = pid_of();
  ASSERT_GT(inner, 0) << child;
  // The supervisor names it by its number inside; outside it is found by that number in its status.
  for (int pid : belongings_of(running.record.config.name).processes) {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    for (std::string line; std::getline(status, line);)
      if (line.starts_with("NSpid:") && line.substr(line.rfind('\t') + 1) == std::to_string(inner))
        ::kill(pid, SIGKILL);
  }
  EXPECT_TRUE(eventually([&] {
    int64_t now = pid_of();
    return now > 0 && now != inner;
  })) << child
      << " does not come back";
}

}  // namespace carrick::cluster_tests
