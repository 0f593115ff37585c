#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "k8s/resources.h"

namespace carrick::controllers {

using Document = std::shared_ptr<const k8s::json::object>;

struct ObjectEvent {
  enum class Type { kAdded, kModified, kDeleted } type = Type::kAdded;
  const k8s::ResourceType* resource = nullptr;
  Document object;    // kDeleted: the last state, with the new resourceVersion
  Document previous;  // kModified: the state before
};

struct DeleteOptions {
  std::optional<int64_t> grace_period_seconds;
  std::string propagation;            // Background, Foreground, Orphan; empty = Background
  std::string uid, resource_version;  // preconditions; empty = none
};

// The door between controllers and whatever stores objects (the embedded API server's store; a fake in tests).
// Single-threaded: every call and every callback happens on the store's strand. Writes go through the same admission
// (defaults, validation, allocation) as requests from outside. Errors carry the API's sentence.
//
// How a deletion goes on (the garbage collector and the namespace controller rely on it):
//  * Foreground sets deletionTimestamp and adds the finalizer "foregroundDeletion"; Orphan does so with "orphan". The
//    collector does its part and takes the finalizer away by update(); an object that is being deleted and has lost its
//    last finalizer goes at once. Background removes the object; the collector then removes its dependents.
//  * Namespaces carry spec.finalizers ["kubernetes"]: remove() sets deletionTimestamp and phase Terminating; update()
//    with an empty spec.finalizers ends it.
class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual Document get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const = 0;  // null when absent
  // Kinds that definitions made at run time (CustomResourceDefinition). Their addresses stay. Of several versions of a
  // kind, one has the objects: the one that events name.
  virtual std::vector<const k8s::ResourceType*> custom_types() const { return {}; }
  virtual std::vector<Document> list(const k8s::ResourceType& type, std::string_view namespace_ = {}) const = 0;
  virtual Result<Document> create(const k8s::ResourceType& type, k8s::json::object document) = 0;
  // Optimistic lock when metadata.resourceVersion is set. kConflict when it is stale.
  virtual Result<Document> update(const k8s::ResourceType& type, k8s::json::object document) = 0;
  virtual Result<Document> update_status(const k8s::ResourceType& type, k8s::json::object document) = 0;
  virtual Result<void> remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                              const DeleteOptions& options = {}) = 0;
  // Called after each committed change, in order, before the writing call returns (so that a controller that wrote sees
  // its own write). Must not write from inside the callback: note the key, write later.
  virtual void subscribe(std::function<void(const ObjectEvent&)> callback) = 0;
};

}  // namespace carrick::controllers
