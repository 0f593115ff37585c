#include "controllers/memory_cluster.h"

#include "controllers/documents.h"
#include "k8s/core.h"
#include "k8s/objects.h"
#include "net/ip.h"

namespace carrick::controllers {

namespace {

k8s::NamespacedName key_of(const k8s::ResourceType& type, const json::object& document) {
  return {type.namespaced ? std::string(text_at(document, {"metadata", "namespace"})) : std::string(),
          std::string(text_at(document, {"metadata", "name"}))};
}

bool is_empty_list(const json::object& document, std::initializer_list<std::string_view> path) {
  const auto* list = array_at(document, path);
  return !list || list->empty();
}

bool may_go(const k8s::ResourceType& type, const json::object& document) {
  const bool space = &type == &k8s::resource<k8s::Namespace>();
  return is_empty_list(document, {"metadata", "finalizers"}) &&
         (!space || is_empty_list(document, {"spec", "finalizers"}));
}

void add_finalizer(json::object& metadata, std::string_view name) {
  auto& finalizers = metadata["finalizers"];
  if (!finalizers.is_array()) finalizers.emplace_array();
  for (const auto& finalizer : finalizers.get_array()) {
    if (finalizer.is_string() && finalizer.get_string() == name) return;
  }
  finalizers.get_array().push_back(json::string(name));
}

// Everything but metadata and status: what `generation` counts.
bool same_spec(const json::object& a, const json::object& b) {
  auto others = [](const json::object& document) {
    size_t count = 0;
    for (const auto& pair : document) count += pair.key() != "metadata" && pair.key() != "status";
    return count;
  };
  if (others(a) != others(b)) return false;
  for (const auto& pair : a) {
    if (pair.key() == "metadata" || pair.key() == "status") continue;
    const auto* other = b.if_contains(pair.key());
    if (!other || *other != pair.value()) return false;
  }
  return true;
}

// A graceful deletion of a pod: seconds it has left.
int64_t grace_of(const json::object& pod, const DeleteOptions& options) {
  const auto phase = text_at(pod, {"status", "phase"});
  if (text_at(pod, {"spec", "nodeName"}).empty() || phase == "Succeeded" || phase == "Failed") return 0;
  if (options.grace_period_seconds) return *options.grace_period_seconds;
  return number_at(pod, {"spec", "terminationGracePeriodSeconds"}).value_or(30);
}

}  // namespace

std::string MemoryCluster::make_uid() {
  const uint64_t hash = net::stable_hash(std::to_string(++uids_));
  return fmt::format("{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}", hash >> 32, (hash >> 16) & 0xffff, hash & 0xfff,
                     uids_ & 0xfff, uids_);
}

void MemoryCluster::tell(ObjectEvent event) {
  for (size_t i = 0; i < callbacks_.size(); ++i) callbacks_[i](event);
}

Document MemoryCluster::get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const {
  const auto shelf = shelves_.find(&type);
  if (shelf == shelves_.end()) return nullptr;
  const auto at = shelf->second.find(key);
  return at == shelf->second.end() ? nullptr : at->second;
}

std::vector<Document> MemoryCluster::list(const k8s::ResourceType& type, std::string_view namespace_) const {
  std::vector<Document> documents;
  const auto shelf = shelves_.find(&type);
  if (shelf == shelves_.end()) return documents;
  auto at = namespace_.empty() ? shelf->second.begin() : shelf->second.lower_bound({std::string(namespace_), ""});
  for (; at != shelf->second.end() && (namespace_.empty() || at->first.namespace_ == namespace_); ++at)
    documents.push_back(at->second);
  return documents;
}

Result<Document> MemoryCluster::store(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                      json::object document, const Document& old) {
  child(document, "metadata")["resourceVersion"] = std::to_string(++revision_);
  auto stored = std::make_shared<const json::object>(std::move(document));
  shelves_[&type][key] = stored;
  tell({old ? ObjectEvent::Type::kModified : ObjectEvent::Type::kAdded, &type, stored, old});
  return stored;
}

void MemoryCluster::erase(const k8s::ResourceType& type, const k8s::NamespacedName& key, json::object last) {
  child(last, "metadata")["resourceVersion"] = std::to_string(++revision_);
  shelves_[&type].erase(key);
  tell({ObjectEvent::Type::kDeleted, &type, std::make_shared<const json::object>(std::move(last)), nullptr});
}

Result<Document> MemoryCluster::create(const k8s::ResourceType& type, json::object document) {
  auto& metadata = child(document, "metadata");
  if (text_at(metadata, {"name"}).empty()) {
    if (text_at(metadata, {"generateName"}).empty())
      return fail(ErrorKind::kInvalid, "{}: metadata.name is required", type.kind);
    metadata["name"] =
        fmt::format("{}{}", text_at(metadata, {"generateName"}), document_hash(json::value(++names_)).substr(0, 5));
  }
  const auto key = key_of(type, document);
  if (get(type, key)) return fail(ErrorKind::kAlreadyExists, "{} \"{}\" already exists", type.plural, key.name);
  if (type.namespaced) {
    const auto space = get(k8s::resource<k8s::Namespace>(), {"", key.namespace_});
    if (!space) return fail(ErrorKind::kNotFound, "namespaces \"{}\" not found", key.namespace_);
    if (value_at(*space, {"metadata", "deletionTimestamp"})) {
      return fail(ErrorKind::kForbidden, "{} \"{}\" is forbidden: namespace {} is being terminated", type.plural,
                  key.name, key.namespace_);
    }
  }
  metadata["uid"] = make_uid();
  metadata["creationTimestamp"] = now;
  metadata["generation"] = 1;
  if (&type == &k8s::resource<k8s::Namespace>()) {
    child(metadata, "labels")["kubernetes.io/metadata.name"] = key.name;
    child(document, "spec")["finalizers"] = json::array{"kubernetes"};
    child(document, "status")["phase"] = "Active";
  }
  if (&type == &k8s::resource<k8s::Pod>() && !object_at(document, {"status", "phase"}))
    child(document, "status")["phase"] = "Pending";
  k8s::apply_defaults(type, document);
  if (admission_) TRY_VOID(admission_(type, document, nullptr));
  return store(type, key, std::move(document), nullptr);
}

namespace {

Result<void> check_lock(const k8s::ResourceType& type, const k8s::NamespacedName& key, const json::object& document,
                        const Document& old) {
  if (!old) return fail(ErrorKind::kNotFound, "{} \"{}\" not found", type.plural, key.name);
  const auto version = text_at(document, {"metadata", "resourceVersion"});
  if (!version.empty() && version != text_at(*old, {"metadata", "resourceVersion"})) {
    return fail(ErrorKind::kConflict,
                "{} \"{}\": the object has been modified; please apply your changes to the latest version", type.plural,
                key.name);
  }
  return {};
}

}  // namespace

Result<Document> MemoryCluster::update(const k8s::ResourceType& type, json::object document) {
  const auto key = key_of(type, document);
  Document old = get(type, key);
  TRY_VOID(check_lock(type, key, document, old));
  const auto* old_metadata = object_at(*old, {"metadata"});
  for (const char* field : {"uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
                            "resourceVersion"}) {
    auto& metadata = child(document, "metadata");
    if (const auto* value = old_metadata->if_contains(field))
      metadata[field] = *value;
    else
      metadata.erase(field);
  }
  if (type.has_status) {
    if (const auto* status = old->if_contains("status"))
      document["status"] = *status;
    else
      document.erase("status");
  }
  k8s::apply_defaults(type, document);
  if (admission_) TRY_VOID(admission_(type, document, old.get()));
  // Only now: a member that the above adds to the document may move the others.
  auto& metadata = child(document, "metadata");
  if (!same_spec(document, *old)) metadata["generation"] = number_at(*old, {"metadata", "generation"}).value_or(0) + 1;
  // A pod that has lost its last finalizer still has its grace period.
  const bool leaving =
      metadata.contains("deletionTimestamp") && number_at(metadata, {"deletionGracePeriodSeconds"}).value_or(0) == 0;
  if (leaving && may_go(type, document)) {
    auto last = std::make_shared<const json::object>(document);
    erase(type, key, std::move(document));
    return last;
  }
  if (document == *old) return old;
  return store(type, key, std::move(document), old);
}

Result<Document> MemoryCluster::update_status(const k8s::ResourceType& type, json::object document) {
  const auto key = key_of(type, document);
  Document old = get(type, key);
  TRY_VOID(check_lock(type, key, document, old));
  json::object changed = *old;
  if (auto* status = document.if_contains("status"))
    changed["status"] = std::move(*status);
  else
    changed.erase("status");
  if (changed == *old) return old;
  return store(type, key, std::move(changed), old);
}

Result<void> MemoryCluster::remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                   const DeleteOptions& options) {
  Document old = get(type, key);
  if (!old) return fail(ErrorKind::kNotFound, "{} \"{}\" not found", type.plural, key.name);
  if (!options.uid.empty() && options.uid != text_at(*old, {"metadata", "uid"})) {
    return fail(ErrorKind::kConflict, "{} \"{}\": the uid in the precondition does not match", type.plural, key.name);
  }
  json::object changed = *old;
  auto& metadata = child(changed, "metadata");
  if (options.propagation == "Foreground") add_finalizer(metadata, "foregroundDeletion");
  if (options.propagation == "Orphan") add_finalizer(metadata, "orphan");
  const bool pod = &type == &k8s::resource<k8s::Pod>();
  const int64_t grace = pod ? grace_of(changed, options) : 0;
  if (grace == 0 && may_go(type, changed)) {
    erase(type, key, std::move(changed));
    return {};
  }
  if (!metadata.contains("deletionTimestamp")) metadata["deletionTimestamp"] = now;
  metadata["deletionGracePeriodSeconds"] = grace;
  if (&type == &k8s::resource<k8s::Namespace>()) child(changed, "status")["phase"] = "Terminating";
  if (changed == *old) return {};
  TRY_VOID(store(type, key, std::move(changed), old));
  return {};
}

}  // namespace carrick::controllers
