#pragma once

#include <unordered_map>

#include "controllers/controller.h"

namespace carrick::controllers {

// Namespaces that every cluster has, what every namespace has (ServiceAccount default, kube-root-ca.crt), and the end
// of a namespace: its content is deleted, then its finalizer goes.
class NamespaceController : public Controller {
 public:
  using Controller::Controller;
  std::string_view name() const override { return "namespace-controller"; }
  void start() override;
  void observe(const Change& change) override;
  Result<void> reconcile(const k8s::NamespacedName& key) override;

 private:
  struct Content {
    const k8s::ResourceType* type;
    k8s::NamespacedName key;
    auto operator<=>(const Content&) const = default;
  };
  Result<void> ensure_content(const std::string& namespace_);
  Result<void> empty(const Stored<k8s::Namespace>& space);

  std::unordered_map<std::string, std::map<Content, bool>> content_;  // value: it is being deleted
};

}  // namespace carrick::controllers
