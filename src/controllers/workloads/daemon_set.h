#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// One pod on every node that may have one. The pod is born with its nodeName: the scheduler has nothing to choose.
class DaemonSetController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "daemonset-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
