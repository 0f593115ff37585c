#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "k8s/core.h"
#include "lab/config.h"
#include "lab/host/process.h"
#include "lab/nodes/documents.h"
#include "lab/nodes/sandbox.h"

namespace carrick::lab {

// A container whose `command` names a program of this machine runs as that program; every other one is played by the
// responder.
bool runs_as_process(const k8s::Container& container);

// The process that makes or enters a container. Still to come: the command, after "--".
SpawnRequest container_request(const LabConfig& config, const Sandbox& sandbox, const std::string& container);
std::string pod_cgroup(const LabConfig& config, const Sandbox& sandbox);
std::string container_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container);
// Of the run before this one.
std::string previous_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container);

// The processes of one pod, in its namespaces and a cgroup of its own below the node's. Destroying it kills them.
class Containers {
 public:
  // `changed` is called (from the io_context) after every start and end.
  Containers(boost::asio::io_context& io, const LabConfig& config, const Sandbox& sandbox,
             std::shared_ptr<const k8s::Pod> pod, std::function<void()> changed);
  ~Containers();
  void start();
  // SIGTERM to each process; none is started again.
  void terminate();
  bool any_running() const;
  // False once the process of spec.containers[index] has ended, until it is started again.
  bool is_running(size_t index) const;
  // Its process ended at once saying that the program is not there (exit codes 126, 127): the image's, not this
  // machine's.
  bool falls_back_to_responder(size_t index) const;
  // Fills the states of the containers that are processes; others are left as they are.
  void describe(std::vector<ContainerState>& states) const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace carrick::lab
