#pragma once

#include "controllers/endpoints/slices.h"

namespace carrick::controllers {

// v1 Endpoints of Services with a selector: deprecated, but kubectl and the e2e tests still read them beside the
// slices.
class LegacyEndpointsController : public Controller {
 public:
  explicit LegacyEndpointsController(Desk& desk) : Controller(desk), pacing_(desk.options) {}
  std::string_view name() const override { return "endpoint-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  ServiceIndex index_;
  Pacing pacing_;
  bool writing_ = false;
};

}  // namespace carrick::controllers
