#include "controllers/endpoints/slices.h"

#include "controllers/endpoints/slice_writer.h"

namespace carrick::controllers {

namespace {

std::string pair_key(const std::string& namespace_, const std::string& key, const std::string& value) {
  return namespace_ + '\n' + key + '\n' + value;
}

SliceOwner slice_owner(const k8s::Service& service) {
  SliceOwner owner;
  owner.service = service.metadata.key();
  owner.name_prefix = service.metadata.name + "-";
  owner.labels = service.metadata.labels;
  owner.labels.erase(kHeadlessLabel);
  owner.labels[k8s::kServiceNameLabel] = service.metadata.name;
  owner.labels[kManagedByLabel] = kSliceController;
  if (is_headless(service)) owner.labels[kHeadlessLabel] = "";
  owner.owner_reference = owner_reference(k8s::resource<k8s::Service>(), service.metadata);
  return owner;
}

bool is_ours(const k8s::EndpointSlice& slice) {
  const auto by = slice.metadata.labels.find(kManagedByLabel);
  return by != slice.metadata.labels.end() && by->second == kSliceController;
}

std::string zone_of(const k8s::Node* node) {
  if (!node) return "\n";  // differs from every zone, so that coming and going count
  const auto zone = node->metadata.labels.find("topology.kubernetes.io/zone");
  return zone == node->metadata.labels.end() ? "" : zone->second;
}

}  // namespace

void ServiceIndex::observe(const Change& change) {
  auto place = [&](const k8s::Service* service) -> std::set<k8s::NamespacedName>* {
    if (!service || service->spec.selector.empty()) return nullptr;
    const auto& [key, value] = *service->spec.selector.begin();
    return &by_pair_[pair_key(service->metadata.namespace_, key, value)];
  };
  if (auto* old = place(change.was<k8s::Service>())) old->erase(change.key);
  if (auto* now = place(change.becomes<k8s::Service>())) now->insert(change.key);
}

std::vector<k8s::NamespacedName> ServiceIndex::selecting(const Mirror& mirror, const k8s::Pod& pod) const {
  std::vector<k8s::NamespacedName> services;
  for (const auto& [key, value] : pod.metadata.labels) {
    const auto at = by_pair_.find(pair_key(pod.metadata.namespace_, key, value));
    if (at == by_pair_.end()) continue;
    for (const auto& name : at->second) {
      const auto* service = mirror.find<k8s::Service>(name);
      if (service && k8s::matches(service->object->spec.selector, pod.metadata.labels)) services.push_back(name);
    }
  }
  return services;
}

void observe_for_services(ServiceIndex& index, const Mirror& mirror, const Change& change,
                          const std::function<void(const k8s::NamespacedName&)>& note) {
  if (change.is<k8s::Service>()) {
    index.observe(change);
    note(change.key);
  } else if (change.is<k8s::Pod>()) {
    const auto* was = change.was<k8s::Pod>();
    const auto* now = change.becomes<k8s::Pod>();
    if (was && now && same_endpoint(*was, *now)) return;
    for (const auto* pod : {was, now}) {
      if (!pod) continue;
      for (const auto& service : index.selecting(mirror, *pod)) note(service);
    }
  } else if (change.is<k8s::Node>()) {
    if (zone_of(change.was<k8s::Node>()) == zone_of(change.becomes<k8s::Node>())) return;
    for (const auto& key : mirror.pods_on(change.key.name)) {
      for (const auto& service : index.selecting(mirror, **mirror.find<k8s::Pod>(key))) note(service);
    }
  }
}

void EndpointSliceController::observe(const Change& change) {
  observe_for_services(index_, mirror(), change,
                       [this](const k8s::NamespacedName& service) { pacing_.note(queue, service); });
  if (writing_) return;
  for (const auto* slice : {change.was<k8s::EndpointSlice>(), change.becomes<k8s::EndpointSlice>()}) {
    if (!slice || !is_ours(*slice)) continue;
    const auto service = slice->metadata.labels.find(k8s::kServiceNameLabel);
    if (service != slice->metadata.labels.end()) queue.add({slice->metadata.namespace_, service->second});
  }
}

Result<void> EndpointSliceController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Service>(key);
  if (!found) return {};  // its slices go with it: garbage collection
  const Stored<k8s::Service> service = *found;
  const bool cleared = service->spec.type == "ExternalName";
  if (!cleared && !has_endpoints(*service)) return {};  // without a selector they are the user's affair
  std::vector<Stored<k8s::EndpointSlice>> existing;
  for (const auto& name : mirror().slices_of(key)) {
    const auto* slice = mirror().find<k8s::EndpointSlice>(name);
    if (is_ours(**slice)) existing.push_back(*slice);
  }
  pacing_.worked(key, mirror().pods_selected(key.namespace_, service->spec.selector).size());
  writing_ = true;
  auto written = write_slices(desk_, slice_owner(*service), std::move(existing),
                              cleared ? std::vector<EndpointGroup>{} : endpoint_groups(mirror(), *service),
                              cleared ? std::vector<std::string>{} : address_types(*service));
  writing_ = false;
  return written;
}

}  // namespace carrick::controllers
