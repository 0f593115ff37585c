#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// Pods with numbers: made from 0 up, each when those before it are available, taken away from the top down (Parallel:
// all at once), updated from the top down. Each keeps its name, hostname and subdomain. Follows kubernetes'
// stateful_set_control.go.
class StatefulSetController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "statefulset-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
