#pragma once

#include <map>
#include <memory>
#include <string>

#include "kernel/netlink.h"
#include "lab/lab.h"
#include "lab/prober/engine.h"
#include "tests/support/scenario_world.h"

// One lab for all scenarios of a shape: their objects come, are judged by real connections, and go.
namespace carrick::cluster_tests {

class JudgeLab {
 public:
  // Brings it up; kInternal with what `lab up` said.
  static Result<std::unique_ptr<JudgeLab>> start(const std::string& name, const testing::Scenario& shape);
  ~JudgeLab();  // takes it down

  Result<void> apply(const std::vector<k8s::ManifestObject>& objects);
  Result<void> remove(const k8s::ManifestObject& object);
  // Everything that apply() made and remove() did not; nodes get back what they were.
  Result<void> clean();
  // Until the lab has made of the objects what the plan says, and every node has that in its kernel.
  Result<void> settle(const explain::World& plan);
  // A machine of the world outside that listens there (port 0: nowhere).
  Result<void> have_outside(const net::SocketAddress& place, net::Protocol protocol);
  // Sends an address to a node, as the routers of the world outside would.
  Result<void> route(const net::IpAddress& address, const std::string& node);
  // The lab as it is now; after settle().
  Result<explain::World> world() const;

  const lab::RunningLab& running() const { return running_; }

 private:
  JudgeLab(std::string name, lab::RunningLab running, watch::Credentials credentials)
      : name_(std::move(name)), running_(std::move(running)), credentials_(std::move(credentials)) {}
  bool is_made(const k8s::ManifestObject& object) const;
  Result<void> remember_node(const k8s::ManifestObject& object);
  Result<void> merge(const std::string& path, const k8s::json::object& patch);
  std::string what_is_missing(const explain::World& plan) const;

  std::string name_;
  lab::RunningLab running_;
  watch::Credentials credentials_;
  std::vector<k8s::ManifestObject> made_;
  std::vector<std::string> made_namespaces_;
  std::map<std::string, std::string> nodes_before_;  // JSON of their labels
  std::map<net::IpAddress, std::set<lab::Listener>> outside_;
  std::vector<kernel::Route> routes_;
};

}  // namespace carrick::cluster_tests
