#include "controllers/endpoints/slice_writer.h"

#include <algorithm>

#include "k8s/codec.h"

namespace carrick::controllers {

namespace {

struct Draft {
  std::optional<Stored<k8s::EndpointSlice>> old;
  std::string address_type;
  std::vector<k8s::EndpointPort> ports;
  std::vector<k8s::Endpoint> endpoints;
};

using EndpointKey = std::tuple<std::string, std::string>;  // address, pod uid

EndpointKey key_of(const k8s::Endpoint& endpoint) {
  return {endpoint.addresses.empty() ? "" : endpoint.addresses.front(),
          endpoint.targetRef ? endpoint.targetRef->uid : ""};
}

// Distributes the endpoints of one group over the drafts that have its type and ports, then over new ones.
void distribute(EndpointGroup group, size_t max_endpoints, std::vector<Draft*> slices, std::vector<Draft>& made) {
  std::map<EndpointKey, k8s::Endpoint*> wanted;
  for (auto& endpoint : group.endpoints) wanted[key_of(endpoint)] = &endpoint;
  for (auto* slice : slices) {
    for (const auto& endpoint : (*slice->old)->endpoints) {
      const auto at = wanted.find(key_of(endpoint));
      if (at == wanted.end()) continue;
      slice->endpoints.push_back(*at->second);
      wanted.erase(at);
    }
  }
  for (auto& endpoint : group.endpoints) {
    const auto at = wanted.find(key_of(endpoint));
    if (at == wanted.end() || at->second != &endpoint) continue;
    auto room =
        std::ranges::find_if(slices, [&](const Draft* slice) { return slice->endpoints.size() < max_endpoints; });
    if (room != slices.end()) {
      (*room)->endpoints.push_back(std::move(endpoint));
      continue;
    }
    if (made.empty() || made.back().endpoints.size() >= max_endpoints ||
        made.back().address_type != group.address_type || made.back().ports != group.ports) {
      made.push_back({std::nullopt, group.address_type, group.ports, {}});
    }
    made.back().endpoints.push_back(std::move(endpoint));
  }
}

Result<void> write(Desk& desk, const SliceOwner& owner, const Draft& draft) {
  const auto& type = k8s::resource<k8s::EndpointSlice>();
  k8s::EndpointSlice content;
  content.endpoints = draft.endpoints;
  content.ports = draft.ports;
  auto labels_held = [&](const k8s::ObjectMeta& metadata) {
    return metadata.labels == owner.labels && metadata.annotations == owner.annotations;
  };
  if (draft.old && (*draft.old)->endpoints == draft.endpoints && (*draft.old)->ports == draft.ports &&
      labels_held((*draft.old)->metadata))
    return {};

  json::object encoded = k8s::encode(content);
  json::object slice =
      draft.old ? *draft.old->document : new_document(type, owner.service.namespace_, "", owner.name_prefix);
  auto take = [&](const char* field) {
    slice[field] = encoded.contains(field) ? encoded[field] : json::value(json::array{});
  };
  take("endpoints");
  take("ports");
  slice["addressType"] = draft.address_type;
  auto& metadata = child(slice, "metadata");
  metadata.erase("labels");
  set_labels(metadata, owner.labels);
  metadata.erase("annotations");
  for (const auto& [key, value] : owner.annotations) child(metadata, "annotations")[key] = value;
  if (draft.old) {
    TRY_VOID(desk.cluster.update(type, std::move(slice)));
    return {};
  }
  metadata["ownerReferences"] = json::array{owner.owner_reference};
  TRY_VOID(desk.cluster.create(type, std::move(slice)));
  return {};
}

}  // namespace

Result<void> write_slices(Desk& desk, const SliceOwner& owner, std::vector<Stored<k8s::EndpointSlice>> existing,
                          std::vector<EndpointGroup> groups, const std::vector<std::string>& types) {
  std::vector<Draft> drafts, made;
  for (auto& slice : existing) {
    if (slice->metadata.deletionTimestamp) continue;
    const auto address_type = slice->addressType;
    const auto ports = slice->ports;
    drafts.push_back({std::move(slice), address_type, ports, {}});
  }
  for (auto& group : groups) {
    std::vector<Draft*> fitting;
    for (auto& draft : drafts) {
      if (draft.address_type == group.address_type && draft.ports == group.ports) fitting.push_back(&draft);
    }
    distribute(std::move(group), owner.max_endpoints, std::move(fitting), made);
  }
  // "A selector that matches nothing still gives one slice with 0 endpoints and 0 ports": an old slice becomes it.
  for (const auto& type : types) {
    auto used = [&](const Draft& draft) { return draft.address_type == type && !draft.endpoints.empty(); };
    if (std::ranges::any_of(drafts, used) || std::ranges::any_of(made, used)) continue;
    const auto old = std::ranges::find(drafts, type, &Draft::address_type);
    Draft empty{std::nullopt, type, {}, {}};
    if (old != drafts.end()) {
      empty.old = std::move(old->old);
      drafts.erase(old);
    }
    made.push_back(std::move(empty));
  }
  // A slice that lost all its endpoints takes new ones (ports may change, the address type may not).
  for (auto& draft : made) {
    if (draft.old) continue;
    const auto spent = std::ranges::find_if(
        drafts, [&](const Draft& d) { return d.endpoints.empty() && d.address_type == draft.address_type; });
    if (spent == drafts.end()) continue;
    draft.old = std::move(spent->old);
    drafts.erase(spent);
  }
  for (const auto& draft : made) TRY_VOID(write(desk, owner, draft));
  for (const auto& draft : drafts) {
    if (!draft.endpoints.empty()) TRY_VOID(write(desk, owner, draft));
  }
  for (const auto& draft : drafts) {
    if (!draft.endpoints.empty()) continue;
    const auto removed = desk.cluster.remove(k8s::resource<k8s::EndpointSlice>(), (*draft.old)->metadata.key());
    if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  }
  return {};
}

}  // namespace carrick::controllers
