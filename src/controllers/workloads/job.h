#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// Runs pods until enough of them have succeeded, or too many have failed.
class JobController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "job-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;
};

}  // namespace carrick::controllers
