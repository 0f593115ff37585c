#include "lab/nodes/probes.h"

#include <algorithm>
#include <map>
#include <optional>

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

constexpr auto kUntilReadyPeriod = std::chrono::milliseconds(200);

}  // namespace

const char* probe_name(ProbeKind kind) {
  return kind == ProbeKind::kStartup ? "Startup" : kind == ProbeKind::kReadiness ? "Readiness" : "Liveness";
}

struct Probes::State : std::enable_shared_from_this<State> {
  struct Run {
    Run(asio::io_context& io, k8s::Probe of, ProbeKind as) : timer(io), probe(std::move(of)), kind(as) {}
    asio::steady_timer timer;
    k8s::Probe probe;
    ProbeKind kind;
    int successes = 0, failures = 0;
    bool passes = false;
    std::string sentence;
    std::chrono::milliseconds period() const {
      return std::chrono::seconds(probe.periodSeconds > 0 ? probe.periodSeconds : 10);
    }
  };
  struct Of {
    k8s::Container container;
    std::vector<std::shared_ptr<Run>> runs;
  };

  State(asio::io_context& io_, Door door_) : io(io_), door(std::move(door_)) {}

  asio::io_context& io;
  Door door;
  std::map<size_t, Of> containers;

  bool is_current(size_t index, const std::shared_ptr<Run>& run) {
    const auto it = containers.find(index);
    return it != containers.end() && std::ranges::find(it->second.runs, run) != it->second.runs.end();
  }

  void add(size_t index, const std::optional<k8s::Probe>& probe, ProbeKind kind) {
    if (!probe) return;
    auto run = std::make_shared<Run>(io, *probe, kind);
    containers[index].runs.push_back(run);
    const bool waits = kind != ProbeKind::kReadiness;
    if (waits && probe->initialDelaySeconds > 0)
      return wait(index, run, std::chrono::seconds(probe->initialDelaySeconds));
    ask(index, run);
  }

  void wait(size_t index, const std::shared_ptr<Run>& run, std::chrono::milliseconds pause) {
    run->timer.expires_after(pause);
    run->timer.async_wait([self = shared_from_this(), index, run](boost::system::error_code error) {
      if (!error && self->is_current(index, run)) self->ask(index, run);
    });
  }

  void ask(size_t index, const std::shared_ptr<Run>& run) {
    door.make(index, run->probe, [self = shared_from_this(), index, run](const std::string& sentence) {
      if (self->is_current(index, run)) self->answered(index, *run, run, sentence);
    });
  }

  void answered(size_t index, Run& run, const std::shared_ptr<Run>& held, const std::string& sentence) {
    const bool good = sentence.empty(), passed = run.passes;
    run.successes = good ? run.successes + 1 : 0;
    run.failures = good ? 0 : run.failures + 1;
    if (run.successes >= std::max(1, run.probe.successThreshold)) run.passes = true;
    const bool exhausted = run.failures >= (run.probe.failureThreshold > 0 ? run.probe.failureThreshold : 3);
    if (exhausted) run.passes = false;
    const bool news = run.passes != passed || (!run.passes && sentence != run.sentence);
    run.sentence = sentence;
    switch (run.kind) {
      case ProbeKind::kStartup:
        if (run.passes) return started_up(index);
        if (exhausted) return door.judged(index, run.kind, false, sentence);  // the container ends
        break;
      case ProbeKind::kLiveness:
        if (exhausted) return door.judged(index, run.kind, false, sentence);
        break;
      case ProbeKind::kReadiness:
        if (news) door.judged(index, run.kind, run.passes, sentence);
        break;
    }
    if (!is_current(index, held)) return;
    wait(index, held, run.kind == ProbeKind::kReadiness && !run.passes ? kUntilReadyPeriod : run.period());
  }

  void started_up(size_t index) {
    const k8s::Container container = containers[index].container;
    containers[index].runs.clear();
    door.judged(index, ProbeKind::kStartup, true, "");
    if (!containers.contains(index)) return;
    add(index, container.readinessProbe, ProbeKind::kReadiness);
    add(index, container.livenessProbe, ProbeKind::kLiveness);
  }
};

Probes::Probes(asio::io_context& io, Door door) : state_(std::make_shared<State>(io, std::move(door))) {}

Probes::~Probes() {
  for (auto& [index, of] : state_->containers)
    for (const auto& run : of.runs) run->timer.cancel();
  state_->containers.clear();
}

void Probes::begin(size_t index, const k8s::Container& container, bool played) {
  end(index);
  state_->containers[index].container = container;
  if (played)
    state_->add(index, container.readinessProbe, ProbeKind::kReadiness);
  else if (container.startupProbe)
    state_->add(index, container.startupProbe, ProbeKind::kStartup);
  else
    state_->started_up(index);
}

void Probes::end(size_t index) {
  const auto it = state_->containers.find(index);
  if (it == state_->containers.end()) return;
  for (const auto& run : it->second.runs) run->timer.cancel();
  state_->containers.erase(it);
}

}  // namespace carrick::lab
