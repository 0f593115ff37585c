#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// Events go an hour after they were last said, as in every cluster: a long-lived lab must not fill its store with them.
class EventExpiry : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "event-expiry"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
