#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// SVC-A15: Endpoints that a user made for a Service without a selector are copied into slices.
class MirroringController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "endpointslice-mirroring-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  bool writing_ = false;
};

}  // namespace carrick::controllers
