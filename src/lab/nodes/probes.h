#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>

#include "k8s/core.h"

namespace carrick::lab {

enum class ProbeKind { kStartup, kReadiness, kLiveness };
const char* probe_name(ProbeKind kind);

// When the probes of a pod's containers are made, and what their answers amount to, as the kubelet has it; but a
// container that is not ready is asked again after 200 ms, and none waits before its first readiness probe. Readiness
// and liveness wait until the container has started up.
class Probes {
 public:
  struct Door {
    // Gives an empty sentence when the probe passes, else why not.
    std::function<void(size_t index, const k8s::Probe&, std::function<void(std::string)>)> make;
    // Startup and readiness have changed, or a threshold of failures is reached: then startup and liveness mean the
    // container's end. Also when the sentence of a readiness that fails is another one.
    std::function<void(size_t index, ProbeKind, bool passes, const std::string& sentence)> judged;
  };
  Probes(boost::asio::io_context& io, Door door);
  ~Probes();
  // The container has started, again or for the first time. `played`: only its readiness is asked for.
  void begin(size_t index, const k8s::Container& container, bool played);
  void end(size_t index);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace carrick::lab
