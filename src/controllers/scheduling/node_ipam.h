#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// IPAM-1/2: one pod CIDR of each family for every node, never changed once set. The node whose name ends in number i
// gets block i, so the plan does not depend on the order in which nodes come; others get the lowest free block.
class NodeIpam : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "node-ipam-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  Result<std::vector<net::Prefix>> choose(const std::string& node) const;
  void report_overlaps(const k8s::Node& node) const;

  std::map<net::Prefix, std::string> taken_;  // pod CIDR -> node
};

// IPAM-5. kInvalid with the two that overlap.
Result<void> check_no_overlap(const Options& options);

}  // namespace carrick::controllers
