#include "lab/prober/workers.h"

#include <sys/resource.h>

#include <algorithm>
#include <map>

#include "lab/prober/node_processes.h"

namespace carrick::lab {
namespace {

constexpr size_t kInFlight = 6000;  // of all nodes together
constexpr size_t kSpareFiles = 64;

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

// By source, since a source's sockets are made in its namespace; every source begins with another destination, so that
// not all of them knock at the same pod in the same moment.
void spread(std::vector<uint32_t>& order, const Round& round) {
  const auto source_of = [&](uint32_t index) { return round.tasks[index].source; };
  std::ranges::sort(order, {}, [&](uint32_t index) { return std::pair(source_of(index), index); });
  for (auto first = order.begin(); first != order.end();) {
    const auto last =
        std::find_if(first, order.end(), [&](uint32_t index) { return source_of(index) != source_of(*first); });
    const auto turn =
        (last - first) * static_cast<ptrdiff_t>(source_of(*first)) / static_cast<ptrdiff_t>(round.sources.size());
    std::rotate(first, first + turn, last);
    first = last;
  }
}

Result<void> run_round(const Round& round, const std::vector<uint32_t>& indexes, std::chrono::milliseconds timeout) {
  std::map<std::string, std::vector<uint32_t>> by_node;
  for (uint32_t index : indexes) by_node[round.sources[round.tasks[index].source].node].push_back(index);
  if (by_node.empty()) return {};
  std::vector<std::string> nodes;
  for (auto& [node, order] : by_node) {
    nodes.push_back(node);
    spread(order, round);
  }
  ProbeLimits limits{
      .timeout = timeout,
      .in_flight = std::min(std::max<size_t>(16, kInFlight / by_node.size()), file_limit() - kSpareFiles)};
  return in_node_processes(round.lab, nodes, [&](const std::string& node) {
    return run_probes(round.namespaces, round.tasks, by_node[node], limits, round.outcomes);
  });
}

}  // namespace

Result<std::vector<ProbeOutcome>> probe_from_nodes(const RunningLab& lab, const std::vector<ProbeSource>& sources,
                                                   const std::vector<ProbeTask>& tasks,
                                                   std::chrono::milliseconds timeout,
                                                   std::chrono::milliseconds patience,
                                                   const std::function<bool(size_t)>& retry_silence) {
  auto shared = TRY(SharedArray<ProbeOutcome>::make(tasks.size()));
  Round round{lab, sources, tasks, {}, shared.span()};
  for (const ProbeSource& source : sources) round.namespaces.push_back(source.netns);
  std::vector<uint32_t> all(tasks.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = static_cast<uint32_t>(i);
  TRY_VOID(run_round(round, all, timeout));
  std::vector<uint32_t> again;
  for (uint32_t i : all)
    if (round.outcomes[i].verdict == Verdict::kDeny && round.outcomes[i].error == 0 && retry_silence(i))
      again.push_back(i);
  TRY_VOID(run_round(round, again, patience));
  return std::vector<ProbeOutcome>(round.outcomes.begin(), round.outcomes.end());
}

}  // namespace carrick::lab
