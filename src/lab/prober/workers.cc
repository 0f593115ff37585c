#include "lab/prober/workers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>

#include "lab/host/cgroups.h"

namespace carrick::lab {
namespace {

constexpr size_t kInFlight = 6000;    // of all workers together
constexpr size_t kSpareFiles = 64;

// Anonymous memory that children share: their outcomes are the parent's.
class SharedOutcomes {
 public:
  static Result<SharedOutcomes> make(size_t count) {
    size_t bytes = std::max<size_t>(1, count) * sizeof(ProbeOutcome);
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return fail_errno(errno, "memory for the outcomes");
    return SharedOutcomes(memory, bytes, count);
  }
  SharedOutcomes(SharedOutcomes&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_), count_(other.count_) {}
  ~SharedOutcomes() {
    if (memory_) ::munmap(memory_, bytes_);
  }
  std::span<ProbeOutcome> span() { return {static_cast<ProbeOutcome*>(memory_), count_}; }

 private:
  SharedOutcomes(void* memory, size_t bytes, size_t count) : memory_(memory), bytes_(bytes), count_(count) {}
  void* memory_;
  size_t bytes_, count_;
};

size_t file_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<size_t>(limit.rlim_cur);
}

struct Round {
  const RunningLab& lab;
  const std::vector<ProbeSource>& sources;
  const std::vector<ProbeTask>& tasks;
  std::vector<std::string> namespaces;
  std::span<ProbeOutcome> outcomes;
};

Result<void> run_round(const Round& round, const std::vector<uint32_t>& indexes, std::chrono::milliseconds timeout) {
  std::map<std::string, std::vector<uint32_t>> by_node;
  for (uint32_t index : indexes) by_node[round.sources[round.tasks[index].source].node].push_back(index);
  if (by_node.empty()) return {};
  ProbeLimits limits{.timeout = timeout, .in_flight = std::min(std::max<size_t>(16, kInFlight / by_node.size()), file_limit() - kSpareFiles)};
  std::vector<pid_t> children;
  std::fflush(nullptr);
  for (auto& [node, order] : by_node) {
    std::ranges::stable_sort(order, {}, [&](uint32_t index) { return round.tasks[index].source; });
    pid_t pid = ::fork();
    if (pid < 0) return fail_errno(errno, "fork");
    if (pid > 0) {
      children.push_back(pid);
      continue;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const LabConfig& config = round.lab.record.config;
    Result<void> done = enter_cgroup(node_cgroup(config.cgroup_mount, config.name, node));
    if (done) done = run_probes(round.namespaces, round.tasks, order, limits, round.outcomes);
    if (!done) std::fprintf(stderr, "probe worker of %s: %s\n", node.c_str(), done.error().message.c_str());
    ::_exit(done ? 0 : 1);
  }
  bool failed = false;
  for (pid_t pid : children) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    failed = failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  if (failed) return fail(ErrorKind::kTransient, "a probe worker failed: the lab changed meanwhile, or ended");
  return {};
}

}  // namespace

Result<std::vector<ProbeOutcome>> probe_from_nodes(const RunningLab& lab, const std::vector<ProbeSource>& sources, const std::vector<ProbeTask>& tasks,
                                                   std::chrono::milliseconds timeout, std::chrono::milliseconds patience,
                                                   const std::function<bool(size_t)>& retry_silence) {
  auto shared = TRY(SharedOutcomes::make(tasks.size()));
  Round round{lab, sources, tasks, {}, shared.span()};
  for (const ProbeSource& source : sources) round.namespaces.push_back(source.netns);
  std::vector<uint32_t> all(tasks.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  TRY_VOID(run_round(round, all, timeout));
  std::vector<uint32_t> again;
  for (uint32_t i : all)
    if (round.outcomes[i].verdict == Verdict::kDeny && round.outcomes[i].error == 0 && retry_silence(i)) again.push_back(i);
  TRY_VOID(run_round(round, again, patience));
  return std::vector<ProbeOutcome>(round.outcomes.begin(), round.outcomes.end());
}

}  // namespace carrick::lab
