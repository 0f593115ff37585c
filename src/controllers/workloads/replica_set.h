#pragma once

#include "controllers/controller.h"
#include "controllers/pacing.h"

namespace carrick::controllers {

// Keeps the number of pods that match. Scaling down takes first what serves least: unscheduled, not ready, newest.
class ReplicaSetController : public Controller {
 public:
  explicit ReplicaSetController(Desk& desk) : Controller(desk), pacing_(desk.options) {}
  std::string_view name() const override { return "replicaset-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  Pacing pacing_;
};

}  // namespace carrick::controllers
