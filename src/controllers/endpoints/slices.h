#pragma once

#include "controllers/controller.h"

namespace carrick::controllers {

// Services by one pair of their selector, so that a pod finds those that select it without asking all of them.
class ServiceIndex {
 public:
  void observe(const Change& change);
  std::vector<k8s::NamespacedName> selecting(const Mirror& mirror, const k8s::Pod& pod) const;

 private:
  std::map<std::string, std::set<k8s::NamespacedName>> by_pair_;  // "namespace\nkey\nvalue"
};

// What a controller per Service wants to hear of: notes the Services whose endpoints a change may touch.
void observe_for_services(WorkQueue& queue, ServiceIndex& index, const Mirror& mirror, const Change& change);

// EndpointSlices of Services with a selector (SVC-A14). Changes as few slices as it can.
class EndpointSliceController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "endpointslice-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  ServiceIndex index_;
  bool writing_ = false;  // its own writes need no second look
};

}  // namespace carrick::controllers
