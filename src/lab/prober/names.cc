#include "lab/prober/names.h"

#include <sched.h>

#include <algorithm>
#include <map>

#include "dns/client.h"
#include "kernel/netns.h"
#include "lab/host/files.h"
#include "lab/prober/node_processes.h"

namespace carrick::lab {
namespace {

Result<void> resolve_for(const ProbeSource& source, const explain::Matrix& matrix, std::chrono::milliseconds timeout,
                         std::span<NameAnswer> answers) {
  Fd netns = TRY(kernel::open_netns(source.netns));
  if (::setns(netns.get(), CLONE_NEWNET) != 0) return fail_errno(errno, source.netns);
  std::string text = TRY(read_file(source.resolv_conf));
  dns::ResolvConf conf = dns::parse_resolv_conf(text);
  for (size_t i = 0; i < matrix.targets.size(); ++i) {
    auto started = std::chrono::steady_clock::now();
    auto found = dns::lookup(conf, matrix.targets[i].dns_name + ".", timeout);
    auto took =
        std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - started).count();
    answers[i].latency_us = static_cast<uint32_t>(took);
    if (!found) return {};
    answers[i].answered = true;
    for (const auto& address : found->addresses) {
      auto& slot = address.is_v4() ? answers[i].address : answers[i].address6;
      if (slot.is_unspecified()) slot = address;
    }
  }
  return {};
}

}  // namespace

Result<NameAnswers> resolve_names(const RunningLab& lab, const std::vector<ProbeSource>& sources,
                                  const explain::Matrix& matrix, std::chrono::milliseconds timeout,
                                  std::chrono::milliseconds patience) {
  size_t targets = matrix.targets.size();
  auto shared = TRY(SharedArray<NameAnswer>::make(sources.size() * targets));
  std::vector<std::chrono::milliseconds> limits(sources.size(), timeout);
  for (const auto& cell : matrix.cells)
    if (cell.expected != explain::Verdict::kDeny) limits[cell.from] = timeout + patience;
  std::map<std::string, std::vector<size_t>> by_node;
  for (size_t i = 0; i < sources.size(); ++i) by_node[sources[i].node].push_back(i);
  std::vector<std::string> nodes;
  for (const auto& [node, indexes] : by_node) nodes.push_back(node);
  TRY_VOID(in_node_processes(lab, nodes, [&](const std::string& node) -> Result<void> {
    for (size_t index : by_node[node])
      TRY_VOID(resolve_for(sources[index], matrix, limits[index], shared.span().subspan(index * targets, targets)));
    return {};
  }));
  return NameAnswers{targets, {shared.span().begin(), shared.span().end()}};
}

}  // namespace carrick::lab
