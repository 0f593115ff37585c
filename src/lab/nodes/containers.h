#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "k8s/core.h"
#include "lab/config.h"
#include "lab/host/process.h"
#include "lab/nodes/material_source.h"
#include "lab/nodes/pod_machine.h"
#include "lab/nodes/sandbox.h"

namespace carrick::lab {

// A container runs as a process whose image is a built-in program, or whose `command`
// names a program of this machine; every other one is played by the responder.
bool runs_as_process(const LabConfig& config, const k8s::Container& container);

// The process that makes or enters a container. Still to come: the command, after "--".
SpawnRequest container_request(const LabConfig& config, const Sandbox& sandbox, const std::string& container);
std::string container_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container);
// Of the run before this one.
std::string previous_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container);

// The containers of one pod from their start to their end: which run is PodMachine's to say, what they are made of
// PodMaterial's. Those with a program of their own are processes in a cgroup of the pod below its node's; the
// responder's run as long as the pod. Destroying it kills them.
class Containers {
 public:
  struct Around {
    watch::Client* client;
    // What the node knows of the pod and the Services that it sees.
    std::function<void(Material&)> complete;
    // How long an init container's program waits before it is asked again whether it may start; 0: now.
    std::function<std::chrono::milliseconds()> hold_init;
    // After every change of the machine, from the io_context.
    std::function<void()> changed;
  };
  // `taken_over`: what an earlier lab-nodes had initialized is not initialized again.
  Containers(boost::asio::io_context& io, const LabConfig& config, const Sandbox& sandbox,
             std::shared_ptr<const k8s::Pod> pod, Around around, bool taken_over);
  ~Containers();
  void start();
  // preStop, then SIGTERM to each process; none is started again.
  void terminate();
  bool any_running() const;

  const PodMachine& machine() const;
  bool is_played(size_t index) const;  // by the responder
  void passed_startup(size_t index);
  // The process is ended, with the grace that it is due, and by its policy started again.
  void restart(size_t index, const std::string& why);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace carrick::lab
