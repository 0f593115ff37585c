#include "controllers/lifecycle/namespaces.h"

#include <algorithm>
#include <array>

namespace carrick::controllers {

namespace {

constexpr std::array kSystemNamespaces{"default", "kube-system", "kube-public", "kube-node-lease"};
constexpr const char* kRootCa = "kube-root-ca.crt";

bool is_system(const std::string& name) {
  return std::ranges::find(kSystemNamespaces, name) != kSystemNamespaces.end();
}

}  // namespace

void NamespaceController::start() {
  for (const char* name : kSystemNamespaces) queue.add({"", name});
}

void NamespaceController::observe(const Change& change) {
  if (change.is<k8s::Namespace>()) {
    queue.add(change.key);
    return;
  }
  const auto& namespace_ = change.key.namespace_;
  if (namespace_.empty()) return;
  auto& content = content_[namespace_];
  if (change.now) {
    content[{change.type, change.key}] = value_at(*change.now, {"metadata", "deletionTimestamp"}) != nullptr;
  } else {
    content.erase({change.type, change.key});
  }
  const auto* space = mirror().find<k8s::Namespace>({"", namespace_});
  const bool wanted =
      !change.now && !desk_.options.ca_pem.empty() && (change.key.name == "default" || change.key.name == kRootCa);
  if (wanted || (space && space->object->metadata.deletionTimestamp)) queue.add({"", namespace_});
  if (content.empty()) content_.erase(namespace_);
}

Result<void> NamespaceController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Namespace>(key);
  if (!found) {
    if (!is_system(key.name)) return {};
    TRY_VOID(
        cluster().create(k8s::resource<k8s::Namespace>(), new_document(k8s::resource<k8s::Namespace>(), "", key.name)));
    return {};
  }
  const Stored<k8s::Namespace> space = *found;
  if (space->metadata.deletionTimestamp) return empty(space);
  return desk_.options.ca_pem.empty() ? Result<void>{} : ensure_content(key.name);
}

Result<void> NamespaceController::ensure_content(const std::string& namespace_) {
  const auto* accounts = k8s::find_by_kind("v1", "ServiceAccount");
  if (accounts && !cluster().get(*accounts, {namespace_, "default"})) {
    TRY_VOID(cluster().create(*accounts, new_document(*accounts, namespace_, "default")));
  }
  const auto& maps = k8s::resource<k8s::ConfigMap>();
  const auto old = cluster().get(maps, {namespace_, kRootCa});
  if (old && text_at(*old, {"data", "ca.crt"}) == desk_.options.ca_pem) return {};
  json::object map = old ? *old : new_document(maps, namespace_, kRootCa);
  child(map, "data")["ca.crt"] = desk_.options.ca_pem;
  if (old)
    TRY_VOID(cluster().update(maps, std::move(map)));
  else
    TRY_VOID(cluster().create(maps, std::move(map)));
  return {};
}

Result<void> NamespaceController::empty(const Stored<k8s::Namespace>& space) {
  const auto& name = space->metadata.name;
  std::vector<Content> doomed;
  if (const auto content = content_.find(name); content != content_.end()) {
    for (const auto& [item, leaving] : content->second) {
      if (!leaving) doomed.push_back(item);
    }
  }
  Result<void> outcome;
  for (const auto& item : doomed) {
    auto removed = cluster().remove(*item.type, item.key);
    if (!removed && removed.error().kind != ErrorKind::kNotFound) outcome = removed;
  }
  if (!outcome || content_.contains(name)) return outcome;  // the last one to leave notes this namespace again
  const auto* now_space = mirror().find<k8s::Namespace>(space->metadata.key());
  if (!now_space) return {};
  json::object changed = *now_space->document;
  child(changed, "spec")["finalizers"] = json::array{};
  TRY_VOID(cluster().update(k8s::resource<k8s::Namespace>(), std::move(changed)));
  return {};
}

}  // namespace carrick::controllers
