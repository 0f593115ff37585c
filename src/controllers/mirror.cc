#include "controllers/mirror.h"

#include "base/log.h"
#include "k8s/codec.h"

namespace carrick::controllers {

namespace {

std::string label_key(const std::string& namespace_, const std::string& key, const std::string& value) {
  return namespace_ + '\n' + key + '\n' + value;
}

template <class Index, class Key>
void put_in(Index& index, const std::string& at, const Key& key, bool add) {
  if (add) {
    index[at].insert(key);
    return;
  }
  const auto bucket = index.find(at);
  if (bucket == index.end()) return;
  bucket->second.erase(key);
  if (bucket->second.empty()) index.erase(bucket);
}

k8s::NamespacedName key_of(const json::object& document) {
  return {std::string(text_at(document, {"metadata", "namespace"})),
          std::string(text_at(document, {"metadata", "name"}))};
}

}  // namespace

const k8s::OwnerReference* controller_of(const k8s::ObjectMeta& metadata) {
  for (const auto& reference : metadata.ownerReferences) {
    if (reference.controller.value_or(false)) return &reference;
  }
  return nullptr;
}

const Mirror::Keys& Mirror::lookup(const Index& index, const std::string& key) {
  static const Keys kNone;
  const auto at = index.find(key);
  return at == index.end() ? kNone : at->second;
}

void Mirror::index(const k8s::Pod& pod, bool add) {
  const auto key = pod.metadata.key();
  const auto* owner = controller_of(pod.metadata);
  put_in(owner ? pods_by_owner_ : ownerless_pods_, owner ? owner->uid : key.namespace_, key, add);
  if (!pod.spec.nodeName.empty()) put_in(pods_by_node_, pod.spec.nodeName, key, add);
  for (const auto& [label, value] : pod.metadata.labels) {
    put_in(pods_by_label_, label_key(key.namespace_, label, value), key, add);
  }
}

void Mirror::index(const k8s::ReplicaSet& set, bool add) {
  const auto key = set.metadata.key();
  const auto* owner = controller_of(set.metadata);
  put_in(owner ? replica_sets_by_owner_ : ownerless_replica_sets_, owner ? owner->uid : key.namespace_, key, add);
}

void Mirror::index(const k8s::EndpointSlice& slice, bool add) {
  const auto label = slice.metadata.labels.find(k8s::kServiceNameLabel);
  if (label == slice.metadata.labels.end()) return;
  put_in(slices_by_service_, k8s::NamespacedName{slice.metadata.namespace_, label->second}.str(), slice.metadata.key(),
         add);
}

template <class T>
Change Mirror::put(Change change) {
  auto& shelf = std::get<Shelf<T>>(shelves_);
  const auto at = shelf.find(change.key);
  if (at != shelf.end()) {
    change.before_object = at->second.object;
    index(*at->second.object, false);
  }
  if (change.now) {
    auto decoded = k8s::decode<T>(*change.now);
    if (decoded) {
      auto object = std::make_shared<const T>(std::move(*decoded));
      index(*object, true);
      change.now_object = object;
      shelf.insert_or_assign(change.key, Stored<T>{change.now, std::move(object)});
      return change;
    }
    // The store admitted it, so this is a defect of ours: one object is not acted upon, the others are.
    log::warn("controllers: {} {} is not understood: {}", change.type->kind, change.key.str(), decoded.error().message);
  }
  if (at != shelf.end()) shelf.erase(at);
  return change;
}

Change Mirror::apply(const ObjectEvent& event) {
  Change change{event.resource, key_of(*event.object), event.previous, event.object, {}, {}};
  if (event.type == ObjectEvent::Type::kDeleted) {
    change.before = event.object;
    change.now = nullptr;
  }
  const auto* type = event.resource;
  if (type == &k8s::resource<k8s::Pod>()) return put<k8s::Pod>(std::move(change));
  if (type == &k8s::resource<k8s::Node>()) return put<k8s::Node>(std::move(change));
  if (type == &k8s::resource<k8s::Service>()) return put<k8s::Service>(std::move(change));
  if (type == &k8s::resource<k8s::EndpointSlice>()) return put<k8s::EndpointSlice>(std::move(change));
  if (type == &k8s::resource<k8s::ReplicaSet>()) return put<k8s::ReplicaSet>(std::move(change));
  if (type == &k8s::resource<k8s::Deployment>()) return put<k8s::Deployment>(std::move(change));
  if (type == &k8s::resource<k8s::StatefulSet>()) return put<k8s::StatefulSet>(std::move(change));
  if (type == &k8s::resource<k8s::DaemonSet>()) return put<k8s::DaemonSet>(std::move(change));
  if (type == &k8s::resource<k8s::Job>()) return put<k8s::Job>(std::move(change));
  if (type == &k8s::resource<k8s::Namespace>()) return put<k8s::Namespace>(std::move(change));
  return change;
}

std::vector<const Stored<k8s::Pod>*> Mirror::pods_selected(const std::string& namespace_,
                                                           const k8s::StringMap& selector) const {
  const Keys* smallest = nullptr;
  for (const auto& [label, value] : selector) {
    const auto& bucket = lookup(pods_by_label_, label_key(namespace_, label, value));
    if (!smallest || bucket.size() < smallest->size()) smallest = &bucket;
  }
  std::vector<const Stored<k8s::Pod>*> pods;
  if (!smallest) return pods;
  for (const auto& key : *smallest) {
    const auto* pod = find<k8s::Pod>(key);
    if (k8s::matches(selector, pod->object->metadata.labels)) pods.push_back(pod);
  }
  return pods;
}

}  // namespace carrick::controllers
