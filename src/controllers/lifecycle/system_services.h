#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// default/kubernetes with its endpoints (SVC-A2) and kube-system/kube-dns. Both come back when somebody deletes them.
class SystemServices : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "system-services"; }
  void start() override;
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  Result<void> ensure_endpoints();
};

}  // namespace carrick::controllers
