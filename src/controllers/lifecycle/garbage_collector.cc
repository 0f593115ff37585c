#include "controllers/lifecycle/garbage_collector.h"

#include <algorithm>

namespace carrick::controllers {

namespace {

constexpr const char* kForeground = "foregroundDeletion";
constexpr const char* kOrphan = "orphan";

}  // namespace

GarbageCollector::Item GarbageCollector::read(const Change& change) const {
  Item item{change.type, change.key, {}, false, false, false};
  const auto& document = *change.now;
  item.deleting = value_at(document, {"metadata", "deletionTimestamp"}) != nullptr;
  if (const auto* finalizers = array_at(document, {"metadata", "finalizers"})) {
    for (const auto& finalizer : *finalizers) {
      item.foreground |= finalizer.is_string() && finalizer.get_string() == kForeground;
      item.orphan |= finalizer.is_string() && finalizer.get_string() == kOrphan;
    }
  }
  if (const auto* owners = array_at(document, {"metadata", "ownerReferences"})) {
    for (const auto& entry : *owners) {
      if (!entry.is_object()) continue;
      const auto& owner = entry.get_object();
      const auto* blocks = owner.if_contains("blockOwnerDeletion");
      item.owners.push_back({std::string(text_at(owner, {"uid"})),
                             is_known(text_at(owner, {"apiVersion"}), text_at(owner, {"kind"})),
                             blocks && blocks->is_bool() && blocks->get_bool()});
    }
  }
  return item;
}

bool GarbageCollector::is_known(std::string_view api_version, std::string_view kind) const {
  return k8s::find_by_kind(api_version, kind) || std::ranges::any_of(cluster().custom_types(), [&](const auto* type) {
           return type->kind == kind && type->apiVersion() == api_version;
         });
}

void GarbageCollector::forget(const std::string& uid) {
  const auto item = items_.find(uid);
  if (item == items_.end()) return;
  for (const auto& owner : item->second.owners) {
    const auto siblings = dependents_.find(owner.uid);
    if (siblings == dependents_.end()) continue;
    siblings->second.erase(uid);
    if (siblings->second.empty()) dependents_.erase(siblings);
    const auto owner_item = items_.find(owner.uid);
    if (owner_item != items_.end() && owner_item->second.deleting) queue.add({"", owner.uid});
  }
  items_.erase(item);
}

void GarbageCollector::observe(const Change& change) {
  const auto& document = change.now ? *change.now : *change.before;
  const std::string uid(text_at(document, {"metadata", "uid"}));
  if (uid.empty()) return;
  if (!change.now) {
    forget(uid);
    if (const auto dependents = dependents_.find(uid); dependents != dependents_.end()) {
      for (const auto& dependent : dependents->second) queue.add({"", dependent});
    }
    return;
  }
  Item item = read(change);
  const auto old = items_.find(uid);
  const bool owners_changed = old == items_.end() || old->second.owners != item.owners;
  if (owners_changed) {
    forget(uid);
    for (const auto& owner : item.owners) dependents_[owner.uid].insert(uid);
    if (!item.owners.empty()) queue.add({"", uid});
  }
  if (item.deleting && (item.foreground || item.orphan)) queue.add({"", uid});
  items_[uid] = std::move(item);
}

Result<void> GarbageCollector::remove(const std::string& uid, const Item& item, std::string propagation) {
  DeleteOptions options;
  options.uid = uid;
  options.propagation = std::move(propagation);
  auto removed = cluster().remove(*item.type, item.key, options);
  if (!removed && removed.error().kind == ErrorKind::kNotFound) return {};
  return removed;
}

Result<void> GarbageCollector::drop_finalizer(const Item& item, std::string_view finalizer) {
  const Document document = cluster().get(*item.type, item.key);
  if (!document) return {};
  json::object changed = *document;
  json::array kept;
  if (const auto* finalizers = array_at(changed, {"metadata", "finalizers"})) {
    for (const auto& entry : *finalizers) {
      if (!entry.is_string() || entry.get_string() != finalizer) kept.push_back(entry);
    }
  }
  child(changed, "metadata")["finalizers"] = std::move(kept);
  TRY_VOID(cluster().update(*item.type, std::move(changed)));
  return {};
}

Result<void> GarbageCollector::drop_owners(const Item& item, const std::unordered_set<std::string>& uids) {
  const Document document = cluster().get(*item.type, item.key);
  if (!document) return {};
  json::object changed = *document;
  json::array kept;
  if (const auto* owners = array_at(changed, {"metadata", "ownerReferences"})) {
    for (const auto& entry : *owners) {
      if (!entry.is_object() || !uids.contains(std::string(text_at(entry.get_object(), {"uid"}))))
        kept.push_back(entry);
    }
  }
  if (kept.empty())
    child(changed, "metadata").erase("ownerReferences");
  else
    child(changed, "metadata")["ownerReferences"] = std::move(kept);
  TRY_VOID(cluster().update(*item.type, std::move(changed)));
  return {};
}

Result<void> GarbageCollector::finish_foreground(const std::string& uid, const Item& item) {
  std::vector<std::string> dependents;
  if (const auto at = dependents_.find(uid); at != dependents_.end())
    dependents.assign(at->second.begin(), at->second.end());
  bool waiting = false;
  for (const auto& dependent_uid : dependents) {
    const auto at = items_.find(dependent_uid);
    if (at == items_.end()) continue;
    const Item dependent = at->second;
    if (!dependent.deleting) TRY_VOID(remove(dependent_uid, dependent, "Foreground"));
    const auto blocks = std::ranges::find(dependent.owners, uid, &Owner::uid);
    if (blocks != dependent.owners.end() && blocks->blocks && items_.contains(dependent_uid)) waiting = true;
  }
  return waiting ? Result<void>{} : drop_finalizer(item, kForeground);
}

Result<void> GarbageCollector::orphan_dependents(const std::string& uid, const Item& item) {
  std::vector<std::string> dependents;
  if (const auto at = dependents_.find(uid); at != dependents_.end())
    dependents.assign(at->second.begin(), at->second.end());
  for (const auto& dependent : dependents) {
    const auto at = items_.find(dependent);
    if (at == items_.end()) continue;
    const Item copy = at->second;
    TRY_VOID(drop_owners(copy, {uid}));
  }
  return drop_finalizer(item, kOrphan);
}

// Owners that are gone: all of them gone ends the object, some of them gone leaves it to the others.
Result<void> GarbageCollector::collect(const std::string& uid, const Item& item) {
  std::unordered_set<std::string> gone;
  bool solid = false;
  for (const auto& owner : item.owners) {
    if (owner.known_kind && !owner.uid.empty() && !items_.contains(owner.uid))
      gone.insert(owner.uid);
    else
      solid = true;
  }
  if (gone.empty()) return {};
  return solid ? drop_owners(item, gone) : remove(uid, item, "Background");
}

Result<void> GarbageCollector::reconcile(const k8s::NamespacedName& key) {
  const auto at = items_.find(key.name);
  if (at == items_.end()) return {};
  const Item item = at->second;  // a copy: its own writes come back through observe()
  if (item.deleting && item.orphan) return orphan_dependents(key.name, item);
  if (item.deleting && item.foreground) return finish_foreground(key.name, item);
  if (!item.deleting && !item.owners.empty()) return collect(key.name, item);
  return {};
}

}  // namespace carrick::controllers
