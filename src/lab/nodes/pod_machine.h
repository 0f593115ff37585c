#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "k8s/core.h"

// Which containers of a pod are to run, as the kubelet decides it. Pure: no clock, no process.
namespace carrick::lab {

using LifeTime = std::chrono::system_clock::time_point;

struct TerminatedState {
  int exit_code = 0;
  std::string reason, message;  // Completed, Error, StartError
  LifeTime started{}, finished{};
  bool operator==(const TerminatedState&) const = default;
};

struct ContainerLife {
  enum class Kind { kInit, kSidecar, kMain } kind = Kind::kMain;
  enum class State { kWaiting, kRunning, kTerminated } state = State::kWaiting;
  std::string name;
  std::string reason = "PodInitializing", message;  // of kWaiting
  LifeTime started{};                               // of kRunning
  std::optional<TerminatedState> end, last_end;     // `end` of kTerminated; last_end of the run before this state
  int restarts = 0;
  bool passed_startup = false;  // its startup probe, or it has none
  bool final = false;           // will not be started again
  // Back-off: none after the first end, then 10 s, doubled up to 5 minutes; forgotten after 10 minutes of running.
  std::chrono::seconds pause{0};
  LifeTime not_before{};
  bool ran = false;
};

class PodMachine {
 public:
  explicit PodMachine(const k8s::Pod& pod);

  // Init containers come first, then spec.containers.
  const std::vector<ContainerLife>& containers() const { return containers_; }
  size_t inits() const { return inits_; }
  const k8s::Container& spec(const k8s::Pod& pod, size_t index) const;

  // What is to be started now; each is to be answered by one of the four below.
  std::vector<size_t> due(LifeTime now) const;
  // When to ask again though nothing has happened.
  std::optional<LifeTime> next_look(LifeTime now) const;
  void started(size_t index, LifeTime now);
  void waits(size_t index, const std::string& reason, const std::string& message,
             LifeTime again);  // cannot be started yet
  void ended(size_t index, int exit_code, LifeTime now, const std::string& reason = "",
             const std::string& message = "");
  void passed_startup(size_t index) { containers_[index].passed_startup = true; }
  // Sidecars that nobody needs any more.
  std::vector<size_t> to_end() const;
  // Nothing is started any more.
  void terminate() { terminating_ = true; }

  bool initialized() const;
  std::string phase() const;  // Pending, Running, Succeeded, Failed
  // Completed containers of other processes' lives (lab-nodes has been started again).
  void resume_initialized();

 private:
  bool stays_ended(const ContainerLife& life) const;
  bool failed_for_good() const;
  bool mains_done() const;
  std::string policy_, backoff_name_;
  std::vector<ContainerLife> containers_;
  size_t inits_ = 0;
  bool terminating_ = false;
};

}  // namespace carrick::lab
