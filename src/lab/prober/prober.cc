#include "lab/prober/prober.h"

#include <unistd.h>

#include <algorithm>

#include "lab/nodes/sandbox.h"
#include "lab/prober/names.h"
#include "lab/prober/workers.h"

namespace carrick::lab {
namespace {

explain::Verdict expected_form(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllow:
      return explain::Verdict::kAllow;
    case Verdict::kRefuse:
      return explain::Verdict::kRefuse;
    default:
      return explain::Verdict::kDeny;
  }
}

bool may_be(const explain::Cell& cell, explain::Verdict verdict) {
  return cell.possible ? (cell.possible >> static_cast<int>(verdict) & 1) != 0 : cell.expected == verdict;
}

std::string who_answered(const explain::Matrix& matrix, uint64_t hash) {
  for (const auto& source : matrix.sources)
    if (net::stable_hash(source.pod.str()) == hash) return source.pod.str();
  return "a pod that is in no row of the table";
}

std::string cell_json(const ProbeReport& report, size_t index) {
  const explain::Cell& cell = report.matrix.cells[index];
  const ProbeOutcome& outcome = report.outcomes[index];
  // Names of pods and Services hold nothing that JSON would escape.
  return fmt::format(
      R"({{"from":"{}","to":"{}","port":{},"protocol":"{}","expected":"{}","observed":"{}","latency_us":{}}})",
      report.matrix.sources[cell.from].pod.str(), report.matrix.targets[cell.to].name, cell.port,
      net::protocol_name(cell.protocol), explain::verdict_word(cell.expected), verdict_word(outcome.verdict),
      outcome.latency_us);
}

Result<std::vector<ProbeSource>> find_sources(const RunningLab& lab, const explain::Matrix& matrix) {
  std::vector<ProbeSource> out;
  for (const auto& source : matrix.sources) {
    auto sandbox = load_sandbox(lab.paths.pod(source.pod.namespace_, source.pod.name));
    if (!sandbox)
      return fail(ErrorKind::kTransient, "pod {} is in the API but not on its node (it comes or goes): probe again",
                  source.pod.str());
    out.push_back({sandbox->node, lab.paths.prefix + sandbox->netns,
                   lab.paths.pod(source.pod.namespace_, source.pod.name) + "/resolv.conf"});
  }
  return out;
}

bool wants_v6(const explain::Matrix& matrix, const explain::Cell& cell, explain::Family family) {
  return family == explain::Family::kV6 ||
         (family == explain::Family::kAny && matrix.sources[cell.from].address.is_unspecified());
}

}  // namespace

bool agrees(const explain::Matrix& matrix, const explain::Cell& cell, const ProbeOutcome& outcome) {
  if (outcome.verdict == Verdict::kUnknown || !may_be(cell, expected_form(outcome.verdict))) return false;
  if (outcome.verdict != Verdict::kAllow || outcome.answered_by == 0) return true;
  return std::ranges::any_of(matrix.targets[cell.to].pods,
                             [&](const auto& pod) { return net::stable_hash(pod.str()) == outcome.answered_by; });
}

Result<ProbeReport> probe(const RunningLab& lab, const explain::World& world, const ProbeOptions& options) {
  if (::geteuid() != 0) return fail(ErrorKind::kUnsupported, "probes start in the pods' namespaces, which needs root");
  ProbeReport report{.matrix = explain::matrix(world, options.matrix), .outcomes = {}, .disagree = {}};
  const explain::Matrix& matrix = report.matrix;
  auto sources = TRY(find_sources(lab, matrix));
  report.silent = wait_for_programs(lab, *world.snapshot, options.matrix.to, options.patience);
  auto started = std::chrono::steady_clock::now();
  report.outcomes.resize(matrix.cells.size());

  // By name: what each source is told first. A name without an address ends its cells here.
  NameAnswers names;
  if (matrix.via == explain::Via::kDns)
    names = TRY(resolve_names(lab, sources, matrix, options.timeout, options.patience));
  std::vector<ProbeTask> tasks;
  std::vector<uint32_t> cell_of;
  for (size_t i = 0; i < matrix.cells.size(); ++i) {
    const explain::Cell& cell = matrix.cells[i];
    ProbeTask task{cell.from, matrix.targets[cell.to].address, cell.port, cell.protocol};
    if (matrix.via == explain::Via::kDns) {
      const NameAnswer& answer = names.of(cell.from, cell.to);
      const auto& address = wants_v6(matrix, cell, options.matrix.family) ? answer.address6 : answer.address;
      if (address.is_unspecified()) {
        report.outcomes[i] = {answer.answered ? Verdict::kRefuse : Verdict::kDeny, 0, answer.latency_us, 0};
        continue;
      }
      task.address = address;
    } else if (wants_v6(matrix, cell, options.matrix.family) && task.address.is_v4()) {
      return fail(ErrorKind::kInternal, "{}: no address of the asked family", matrix.targets[cell.to].name);
    }
    if (task.protocol == net::Protocol::kSctp) continue;
    tasks.push_back(task);
    cell_of.push_back(static_cast<uint32_t>(i));
  }
  auto expects_answer = [&](size_t task) {
    const explain::Cell& cell = matrix.cells[cell_of[task]];
    return !may_be(cell, explain::Verdict::kDeny);
  };
  auto outcomes = TRY(probe_from_nodes(lab, sources, tasks, options.timeout, options.patience, expects_answer));
  for (size_t i = 0; i < tasks.size(); ++i) report.outcomes[cell_of[i]] = outcomes[i];
  for (size_t i = 0; i < matrix.cells.size(); ++i)
    if (!agrees(matrix, matrix.cells[i], report.outcomes[i])) report.disagree.push_back(i);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  return report;
}

void write_json(const ProbeReport& report, const std::function<void(std::string_view)>& write) {
  write(fmt::format(R"({{"probes":{},"agree":{},"seconds":{:.3f},"disagree":[)", report.outcomes.size(),
                    report.outcomes.size() - report.disagree.size(), report.seconds));
  auto list = [&](size_t count, auto index_of) {
    std::string piece;
    for (size_t i = 0; i < count; ++i) {
      piece += (i ? ",\n" : "\n") + cell_json(report, index_of(i));
      if (piece.size() < 64 * 1024) continue;
      write(piece);
      piece.clear();
    }
    write(piece);
  };
  list(report.disagree.size(), [&](size_t i) { return report.disagree[i]; });
  write("],\"cells\":[");
  list(report.outcomes.size(), [](size_t i) { return i; });
  std::string silent;
  for (const SilentPort& each : report.silent)
    silent += fmt::format(R"({}{{"pod":"{}","port":{},"protocol":"{}"}})", silent.empty() ? "" : ",", each.pod.str(),
                          each.port.port, net::protocol_name(each.port.protocol));
  write("],\"silent\":[" + silent + "]}\n");
}

std::vector<std::string> describe_disagreements(const ProbeReport& report, size_t limit) {
  std::vector<std::string> out;
  for (size_t i = 0; i < report.disagree.size() && i < limit; ++i) {
    const explain::Cell& cell = report.matrix.cells[report.disagree[i]];
    const ProbeOutcome& outcome = report.outcomes[report.disagree[i]];
    std::string observed(verdict_word(outcome.verdict));
    if (outcome.verdict == Verdict::kAllow && outcome.answered_by && may_be(cell, explain::Verdict::kAllow))
      observed = "an answer by " + who_answered(report.matrix, outcome.answered_by);
    if (outcome.error) observed += fmt::format(" ({})", std::strerror(outcome.error));
    for (const SilentPort& silent : report.silent)
      if (report.matrix.targets[cell.to].pods.contains(silent.pod))
        observed += "; the program in the pod does not listen: " + silent.str();
    out.push_back(fmt::format("{} -> {} {}/{}: expected {}, observed {}", report.matrix.sources[cell.from].pod.str(),
                              report.matrix.targets[cell.to].name, cell.port, net::protocol_name(cell.protocol),
                              explain::verdict_word(cell.expected), observed));
  }
  return out;
}

}  // namespace carrick::lab
