#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// SVC-A13: an IPAddress that says it is a Service's, which does not have it, goes a minute after it was made. Its
// Service may only just be coming.
class OrphanAddresses : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "orphan-addresses"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
