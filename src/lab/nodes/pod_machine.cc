#include "lab/nodes/pod_machine.h"

#include <algorithm>

#include "base/result.h"

namespace carrick::lab {
namespace {

using Kind = ContainerLife::Kind;
using State = ContainerLife::State;

constexpr std::chrono::seconds kFirstPause(10), kLongestPause(300);
constexpr std::chrono::minutes kForgetsAfter(10);

}  // namespace

PodMachine::PodMachine(const k8s::Pod& pod)
    : policy_(pod.spec.restartPolicy.empty() ? "Always" : pod.spec.restartPolicy),
      backoff_name_(fmt::format("{}_{}({})", pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid)) {
  for (const k8s::Container& init : pod.spec.initContainers)
    containers_.push_back({.kind = init.restartPolicy == "Always" ? Kind::kSidecar : Kind::kInit,
                           .name = init.name,
                           .passed_startup = !init.startupProbe});
  inits_ = containers_.size();
  for (const k8s::Container& main : pod.spec.containers)
    containers_.push_back({.name = main.name,
                           .reason = inits_ > 0 ? "PodInitializing" : "ContainerCreating",
                           .passed_startup = !main.startupProbe});
}

const k8s::Container& PodMachine::spec(const k8s::Pod& pod, size_t index) const {
  return index < inits_ ? pod.spec.initContainers[index] : pod.spec.containers[index - inits_];
}

// Whether this end was its last.
bool PodMachine::stays_ended(const ContainerLife& life) const {
  if (life.state != State::kTerminated) return false;
  const bool good = life.end->exit_code == 0;
  switch (life.kind) {
    case Kind::kInit:
      return good || policy_ == "Never";
    case Kind::kSidecar:
      return mains_done();
    case Kind::kMain:
      return policy_ == "Never" || (policy_ == "OnFailure" && good);
  }
  return true;
}

bool PodMachine::mains_done() const {
  return std::all_of(containers_.begin() + static_cast<ptrdiff_t>(inits_), containers_.end(),
                     [](const ContainerLife& life) { return life.final; });
}

bool PodMachine::failed_for_good() const {
  return std::ranges::any_of(containers_, [](const ContainerLife& life) {
    return life.kind == Kind::kInit && life.final && life.end && life.end->exit_code != 0;
  });
}

// An init container is done when it has ended well, a sidecar when it has started up.
bool PodMachine::initialized() const {
  return std::all_of(containers_.begin(), containers_.begin() + static_cast<ptrdiff_t>(inits_),
                     [](const ContainerLife& life) {
                       if (life.kind == Kind::kSidecar) return life.ran && life.passed_startup;
                       return life.final && life.end && life.end->exit_code == 0;
                     });
}

std::vector<size_t> PodMachine::due(LifeTime now) const {
  std::vector<size_t> out;
  if (terminating_ || failed_for_good()) return out;
  const auto take = [&](size_t index) {
    const ContainerLife& life = containers_[index];
    if (life.state != State::kRunning && !life.final && life.not_before <= now) out.push_back(index);
  };
  for (size_t i = 0; i < inits_; ++i) {
    const ContainerLife& life = containers_[i];
    take(i);
    const bool done = life.kind == Kind::kSidecar ? life.ran && life.passed_startup : life.final;
    if (!done) return out;
  }
  for (size_t i = inits_; i < containers_.size(); ++i) take(i);
  return out;
}

std::optional<LifeTime> PodMachine::next_look(LifeTime now) const {
  std::optional<LifeTime> next;
  if (terminating_) return next;
  for (const ContainerLife& life : containers_)
    if (life.state != State::kRunning && !life.final && life.not_before > now && (!next || life.not_before < *next))
      next = life.not_before;
  return next;
}

void PodMachine::started(size_t index, LifeTime now) {
  ContainerLife& life = containers_[index];
  if (life.ran) ++life.restarts;
  if (life.end) life.last_end = life.end;
  life.end.reset();
  life.ran = true;
  life.state = State::kRunning;
  life.started = now;
}

void PodMachine::waits(size_t index, const std::string& reason, const std::string& message, LifeTime again) {
  ContainerLife& life = containers_[index];
  if (life.end) life.last_end = life.end;
  life.end.reset();
  life.state = State::kWaiting;
  life.reason = reason;
  life.message = message;
  life.not_before = again;
}

void PodMachine::ended(size_t index, int exit_code, LifeTime now, const std::string& reason,
                       const std::string& message) {
  ContainerLife& life = containers_[index];
  life.end = TerminatedState{.exit_code = exit_code,
                             .reason = !reason.empty()  ? reason
                                       : exit_code == 0 ? "Completed"
                                                        : "Error",
                             .message = message,
                             .started = life.started,
                             .finished = now};
  life.state = State::kTerminated;
  life.final = terminating_ || stays_ended(life);
  if (life.final) {
    // Who goes last takes the sidecars that have ended already with it.
    for (ContainerLife& other : containers_) other.final = other.final || stays_ended(other);
    return;
  }
  if (now - life.started >= kForgetsAfter) life.pause = std::chrono::seconds(0);
  life.not_before = now + life.pause;
  if (life.pause.count() > 0)
    waits(
        index, "CrashLoopBackOff",
        fmt::format("back-off {} restarting failed container={} pod={}",
                    life.pause >= kLongestPause ? "5m0s"
                    : life.pause.count() >= 60 ? fmt::format("{}m{}s", life.pause.count() / 60, life.pause.count() % 60)
                                               : fmt::format("{}s", life.pause.count()),
                    life.name, backoff_name_),
        life.not_before);
  life.pause = life.pause.count() == 0 ? kFirstPause : std::min(life.pause * 2, kLongestPause);
}

std::vector<size_t> PodMachine::to_end() const {
  std::vector<size_t> out;
  if (!mains_done() && !failed_for_good()) return out;
  for (size_t i = 0; i < inits_; ++i)
    if (containers_[i].kind == Kind::kSidecar && containers_[i].state == State::kRunning) out.push_back(i);
  return out;
}

std::string PodMachine::phase() const {
  if (failed_for_good()) return "Failed";
  if (!initialized() && !mains_done()) return "Pending";
  const auto begin = containers_.begin() + static_cast<ptrdiff_t>(inits_);
  const bool any_ran = std::any_of(begin, containers_.end(), [](const ContainerLife& life) { return life.ran; });
  if (!any_ran) return "Pending";
  if (!mains_done()) return "Running";
  if (std::any_of(containers_.begin(), containers_.end(),
                  [](const ContainerLife& life) { return life.state == State::kRunning; }))
    return "Running";  // sidecars are on their way out
  const bool good = std::all_of(begin, containers_.end(),
                                [](const ContainerLife& life) { return life.end && life.end->exit_code == 0; });
  return good ? "Succeeded" : "Failed";
}

void PodMachine::resume_initialized() {
  for (size_t i = 0; i < inits_; ++i) {
    ContainerLife& life = containers_[i];
    if (life.kind != Kind::kInit) continue;
    life.ran = life.final = true;
    life.state = State::kTerminated;
    life.end = TerminatedState{.reason = "Completed"};
  }
}

}  // namespace carrick::lab
