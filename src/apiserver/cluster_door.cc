#include "apiserver/cluster_door.h"

#include <algorithm>

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

Result<controllers::Document> to_document(StatusOr<Record> record) {
  if (!record) return std::unexpected(to_error(record.error()));
  return document_of(*record);
}

}  // namespace

ClusterDoor::ClusterDoor(Registry& registry) : registry_(registry) {}

controllers::Document ClusterDoor::get(const k8s::ResourceType& type, const k8s::NamespacedName& key) const {
  return document_of(registry_.store().get(type, key));
}

std::vector<controllers::Document> ClusterDoor::list(const k8s::ResourceType& type, std::string_view namespace_) const {
  std::vector<controllers::Document> out;
  for (const Record& record : registry_.store().list(type, namespace_)) out.push_back(document_of(record));
  return out;
}

std::vector<const k8s::ResourceType*> ClusterDoor::custom_types() const {
  std::vector<const k8s::ResourceType*> out;
  for (const CustomKind* kind : registry_.custom().served())
    for (const k8s::ResourceType* type : {&kind->type, kind->stored_as})
      if (std::ranges::find(out, type) == out.end()) out.push_back(type);
  return out;
}

Result<controllers::Document> ClusterDoor::create(const k8s::ResourceType& type, json::object document) {
  const std::string namespace_(text_at(document, "metadata.namespace"));
  return to_document(registry_.create(type, namespace_, std::move(document)));
}

Result<controllers::Document> ClusterDoor::update(const k8s::ResourceType& type, json::object document) {
  const k8s::NamespacedName key = key_of(document);
  return to_document(registry_.update(type, key, std::move(document), Part::kFinalize));
}

Result<controllers::Document> ClusterDoor::update_status(const k8s::ResourceType& type, json::object document) {
  const k8s::NamespacedName key = key_of(document);
  // Status alone: a controller's copy of the labels may be older than a user's.
  for (std::string_view name : {"labels", "annotations"}) metadata_of(document).erase(name);
  return to_document(registry_.update(type, key, std::move(document), Part::kStatus));
}

Result<void> ClusterDoor::remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                 const controllers::DeleteOptions& options) {
  if (auto removed = registry_.remove(type, key, options); !removed) return std::unexpected(to_error(removed.error()));
  return {};
}

void ClusterDoor::subscribe(std::function<void(const controllers::ObjectEvent&)> callback) {
  registry_.store().subscribe([callback = std::move(callback)](const StoreEvent& event) {
    callback({event.type, event.resource, document_of(event.object), document_of(event.previous)});
  });
}

}  // namespace carrick::apiserver
