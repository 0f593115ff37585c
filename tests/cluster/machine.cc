#include "machine.h"

#include <fmt/format.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace carrick::test {
namespace {

namespace fs = std::filesystem;

std::string program() {
  const char* folder = std::getenv("CARRICK_BIN");
  return std::string(folder ? folder : CARRICK_BIN_DIR) + "/carrick";
}

size_t count_bpf(int command) {
  size_t count = 0;
  bpf_attr attr;
  std::memset(&attr, 0, sizeof attr);
  while (::syscall(SYS_bpf, command, &attr, sizeof attr) == 0) {
    ++count;
    attr.start_id = attr.next_id;
  }
  return count;
}

}  // namespace

std::string read_file(const std::string& path) {
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

ProgramEnd carrick(const std::vector<std::string>& arguments) {
  // Files, not pipes: a lab's processes outlive `lab up` and would hold a pipe open.
  std::string base = fmt::format("/tmp/carrick-test-{}", ::getpid());
  pid_t pid = ::fork();
  if (pid == 0) {
    std::freopen("/dev/null", "r", stdin);
    std::freopen((base + ".out").c_str(), "w", stdout);
    std::freopen((base + ".err").c_str(), "w", stderr);
    std::string path = program();
    std::vector<char*> argv{path.data()};
    for (const auto& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(path.c_str(), argv.data());
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ProgramEnd end{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(base + ".out"), read_file(base + ".err")};
  fs::remove(base + ".out");
  fs::remove(base + ".err");
  return end;
}

MachineState machine_state() {
  MachineState state;
  for ([[maybe_unused]] const auto& link : fs::directory_iterator("/sys/class/net")) ++state.links;
  std::ifstream mounts("/proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) ++state.mounts;
  for (const char* root : {"/sys/fs/cgroup/carrick", "/sys/fs/cgroup/unified/carrick"})
    if (fs::exists(root))
      for (const auto& entry : fs::recursive_directory_iterator(root)) state.cgroups += entry.is_directory();
  state.bpf_programs = count_bpf(BPF_PROG_GET_NEXT_ID);
  state.bpf_maps = count_bpf(BPF_MAP_GET_NEXT_ID);
  std::set<std::string> namespaces;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    if (entry.path().filename().string().find_first_not_of("0123456789") != std::string::npos) continue;
    std::error_code gone;
    auto name = fs::read_symlink(entry.path() / "ns/net", gone);
    if (!gone) namespaces.insert(name);
    auto exe = fs::read_symlink(entry.path() / "exe", gone);
    if (!gone && exe.filename() == "carrick") ++state.carrick_processes;
  }
  state.network_namespaces = namespaces.size();
  return state;
}

std::string MachineState::str() const {
  return fmt::format("links {}, mounts {}, cgroups {}, BPF programs {}, BPF maps {}, carrick processes {}, network namespaces {}", links, mounts,
                     cgroups, bpf_programs, bpf_maps, carrick_processes, network_namespaces);
}

}  // namespace carrick::test
