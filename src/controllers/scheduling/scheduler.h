#pragma once

#include <unordered_map>

#include "controllers/controller.h"
#include "controllers/scheduling/placement.h"

namespace carrick::controllers {

// Gives each pod a node: those that may take it, of these the one with fewest pods of the same owner, then with fewest
// pods, then the first by name. Pods that fit nowhere say why (PodScheduled, FailedScheduling) and are looked at again
// when a node changes or a pod leaves one.
class Scheduler : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "default-scheduler"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  struct Load {
    int pods = 0;
    std::unordered_map<std::string, int> by_owner;  // owner uid
    std::map<HostPort, int> host_ports;
  };
  void account(const k8s::Pod& pod, int sign);
  bool host_ports_free(const std::string& node, const std::vector<HostPort>& wanted) const;
  // The chosen node, or the sentence that says why there is none.
  Result<std::string> choose(const Stored<k8s::Pod>& pod) const;
  Result<void> bind(const Stored<k8s::Pod>& pod, const std::string& node);
  Result<void> say_unschedulable(const Stored<k8s::Pod>& pod, const std::string& why);

  std::unordered_map<std::string, Load> loads_;  // by node; pods that have not finished
  std::set<k8s::NamespacedName> unschedulable_;
};

}  // namespace carrick::controllers
