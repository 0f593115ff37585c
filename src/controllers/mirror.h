#pragma once

#include <ranges>
#include <set>
#include <tuple>
#include <unordered_map>

#include "controllers/documents.h"
#include "k8s/apps.h"
#include "k8s/core.h"
#include "k8s/discovery.h"

namespace carrick::controllers {

// One object as stored and as decoded.
template <class T>
struct Stored {
  Document document;
  std::shared_ptr<const T> object;
  const T* operator->() const { return object.get(); }
  const T& operator*() const { return *object; }
};

template <class T>
using Shelf = std::map<k8s::NamespacedName, Stored<T>>;

// What one event changed. The typed views are null for kinds without a struct here, and on the side that does not
// exist.
struct Change {
  const k8s::ResourceType* type = nullptr;
  k8s::NamespacedName key;
  Document before, now;
  std::shared_ptr<const void> before_object, now_object;

  template <class T>
  bool is() const {
    return type == &k8s::resource<T>();
  }
  template <class T>
  const T* was() const {
    return is<T>() ? static_cast<const T*>(before_object.get()) : nullptr;
  }
  template <class T>
  const T* becomes() const {
    return is<T>() ? static_cast<const T*>(now_object.get()) : nullptr;
  }
};

// The controllers' view of the cluster: every object of the kinds they look into, decoded once per event, and the
// indexes that keep each reconcile proportional to what it looks at.
class Mirror {
 public:
  Change apply(const ObjectEvent& event);

  template <class T>
  const Shelf<T>& all() const {
    return std::get<Shelf<T>>(shelves_);
  }
  template <class T>
  const Stored<T>* find(const k8s::NamespacedName& key) const {
    const auto& shelf = all<T>();
    const auto at = shelf.find(key);
    return at == shelf.end() ? nullptr : &at->second;
  }
  template <class T>
  auto in_namespace(const std::string& namespace_) const {
    const auto& shelf = all<T>();
    return std::ranges::subrange(shelf.lower_bound({namespace_, ""}), shelf.lower_bound({namespace_ + '\0', ""}));
  }

  using Keys = std::set<k8s::NamespacedName>;
  const Keys& pods_of(const std::string& owner_uid) const { return lookup(pods_by_owner_, owner_uid); }
  const Keys& pods_on(const std::string& node) const { return lookup(pods_by_node_, node); }
  const Keys& ownerless_pods(const std::string& namespace_) const { return lookup(ownerless_pods_, namespace_); }
  const Keys& replica_sets_of(const std::string& owner_uid) const { return lookup(replica_sets_by_owner_, owner_uid); }
  const Keys& ownerless_replica_sets(const std::string& namespace_) const {
    return lookup(ownerless_replica_sets_, namespace_);
  }
  const Keys& slices_of(const k8s::NamespacedName& service) const { return lookup(slices_by_service_, service.str()); }
  // Pods of the namespace that carry all these labels. An empty selector selects nothing (a Service's selector).
  std::vector<const Stored<k8s::Pod>*> pods_selected(const std::string& namespace_,
                                                     const k8s::StringMap& selector) const;

 private:
  using Index = std::unordered_map<std::string, Keys>;
  static const Keys& lookup(const Index& index, const std::string& key);
  template <class T>
  Change put(Change change);
  void index(const k8s::Pod& pod, bool add);
  void index(const k8s::ReplicaSet& set, bool add);
  void index(const k8s::EndpointSlice& slice, bool add);
  template <class T>
  void index(const T&, bool) {}

  std::tuple<Shelf<k8s::Namespace>, Shelf<k8s::Node>, Shelf<k8s::Pod>, Shelf<k8s::Service>, Shelf<k8s::EndpointSlice>,
             Shelf<k8s::Deployment>, Shelf<k8s::ReplicaSet>, Shelf<k8s::StatefulSet>, Shelf<k8s::DaemonSet>,
             Shelf<k8s::Job>>
      shelves_;
  Index pods_by_owner_, pods_by_node_, ownerless_pods_, replica_sets_by_owner_, ownerless_replica_sets_,
      slices_by_service_;
  Index pods_by_label_;  // "namespace\nkey\nvalue"
};

// The reference with controller: true, or null.
const k8s::OwnerReference* controller_of(const k8s::ObjectMeta& metadata);

}  // namespace carrick::controllers
