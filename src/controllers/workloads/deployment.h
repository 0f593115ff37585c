#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// Moves pods from old ReplicaSets to the one of the current template, and says how far it got, in the conditions that
// `kubectl rollout status` and `kubectl wait` read. Follows kubernetes pkg/controller/deployment.
class DeploymentController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "deployment-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
