#pragma once

#include "controllers/controller.h"
#include "controllers/pacing.h"

namespace carrick::controllers {

// Services by one pair of their selector, so that a pod finds those that select it without asking all of them.
class ServiceIndex {
 public:
  void observe(const Change& change);
  std::vector<k8s::NamespacedName> selecting(const Mirror& mirror, const k8s::Pod& pod) const;

 private:
  std::map<std::string, std::set<k8s::NamespacedName>> by_pair_;  // "namespace\nkey\nvalue"
};

// What a controller per Service wants to hear of: gives the Services whose endpoints a change may touch.
void observe_for_services(ServiceIndex& index, const Mirror& mirror, const Change& change,
                          const std::function<void(const k8s::NamespacedName&)>& note);

// EndpointSlices of Services with a selector (SVC-A14). Changes as few slices as it can.
class EndpointSliceController : public Controller {
 public:
  explicit EndpointSliceController(Desk& desk) : Controller(desk), pacing_(desk.options) {}
  std::string_view name() const override { return "endpointslice-controller"; }
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  ServiceIndex index_;
  Pacing pacing_;
  bool writing_ = false;  // its own writes need no second look
};

}  // namespace carrick::controllers
