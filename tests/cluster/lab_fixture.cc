#include "tests/cluster/lab_fixture.h"

#include <dirent.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

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

// Mounted network namespaces of a process's mount namespace: "... - nsfs" lines have "net:[inode]" as their root.
void add_mounted_netns(std::set<std::string>& out, int pid) {
  std::istringstream mounts(slurp(fmt::format("/proc/{}/mountinfo", pid)));
  for (std::string line; std::getline(mounts, line);) {
    size_t at = line.find("net:[");
    if (at != std::string::npos) out.insert(line.substr(at, line.find(']', at) + 1 - at));
  }
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
  std::set<std::string> netns;
  std::set<std::string> mount_namespaces;
  for (int pid : all_processes()) {
    netns.insert(link_of(fmt::format("/proc/{}/ns/net", pid)));
    if (mount_namespaces.insert(link_of(fmt::format("/proc/{}/ns/mnt", pid))).second) add_mounted_netns(netns, pid);
    if (slurp(fmt::format("/proc/{}/cmdline", pid)).find(std::string("--lab") + '\0' + lab + '\0') != std::string::npos)
      out.push_back(fmt::format("process {} of the lab", pid));
  }
  for (const std::string& each : belongings.netns)
    if (netns.contains(each)) out.push_back("network namespace " + each);
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
  add_mounted_netns(out.netns, init);
  for (int pid : all_processes()) {
    if (link_of(fmt::format("/proc/{}/ns/pid", pid)) != pid_namespace) continue;
    out.processes.insert(pid);
    out.netns.insert(link_of(fmt::format("/proc/{}/ns/net", pid)));
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(fmt::format("/proc/{}/fdinfo", pid), error)) {
      std::istringstream lines(slurp(entry.path()));
      for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("prog_id:")) out.bpf.insert("prog " + line.substr(line.find_first_not_of(" \t", 8)));
        if (line.starts_with("map_id:")) out.bpf.insert("map " + line.substr(line.find_first_not_of(" \t", 7)));
      }
    }
  }
  out.netns.erase("");
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

}  // namespace carrick::cluster_tests
