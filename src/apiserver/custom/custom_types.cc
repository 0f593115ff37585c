#include "apiserver/custom/custom_types.h"

#include <algorithm>

namespace carrick::apiserver {
namespace {

const k8s::ResourceType& definitions() {
  static const k8s::ResourceType* const type = k8s::find_by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
  return *type;
}

std::string key_of_type(const k8s::ResourceType& type) { return type.group + "/" + type.version + "/" + type.plural; }

}  // namespace

CustomTypes::CustomTypes(Store& store) : store_(store) {
  for (const auto& [key, record] : store_.objects(definitions())) define(record->document);
  store_.subscribe([this](const StoreEvent& event) {
    if (event.resource != &definitions()) return;
    revision_ = event.object->revision;
    if (event.type == controllers::ObjectEvent::Type::kDeleted)
      withdraw(text_at(event.object->document, "metadata.name"));
    else
      define(event.object->document);
  });
}

void CustomTypes::withdraw(std::string_view definition) {
  for (auto& [key, kind] : kinds_)
    if (kind->definition == definition) kind->served = kind->storage = false;
  list_served();
}

void CustomTypes::define(const json::object& definition) {
  withdraw(text_at(definition, "metadata.name"));
  std::vector<CustomKind*> versions;
  for (std::unique_ptr<CustomKind>& fresh : kinds_of(definition)) {
    std::unique_ptr<CustomKind>& slot = kinds_[key_of_type(fresh->type)];
    if (!slot) slot = std::make_unique<CustomKind>();
    const k8s::ResourceType* const before = slot->stored_as;
    *slot = std::move(*fresh);
    slot->stored_as = before;
    make_printer(*slot);
    versions.push_back(slot.get());
    by_type_[&slot->type] = slot.get();
  }
  // Where objects are does not move when another version becomes the one that is stored: only what is written does.
  const k8s::ResourceType* home = nullptr;
  for (const CustomKind* version : versions)
    if (version->stored_as) home = version->stored_as;
  for (const CustomKind* version : versions)
    if (!home && version->storage) home = &version->type;
  for (CustomKind* version : versions) version->stored_as = home;
  if (home) store_.adopt(*home);
  list_served();
}

void CustomTypes::list_served() {
  served_.clear();
  for (const auto& [key, kind] : kinds_)
    if (kind->served) served_.push_back(kind.get());
}

const k8s::ResourceType* CustomTypes::find(std::string_view group, std::string_view version,
                                           std::string_view plural) const {
  for (const CustomKind* kind : served_)
    if (kind->type.group == group && kind->type.version == version && kind->type.plural == plural) return &kind->type;
  return nullptr;
}

const CustomKind* CustomTypes::kind_of(const k8s::ResourceType& type) const {
  const auto found = by_type_.find(&type);
  return found == by_type_.end() ? nullptr : found->second;
}

const k8s::ResourceType& CustomTypes::stored_as(const k8s::ResourceType& type) const {
  const CustomKind* kind = kind_of(type);
  return kind && kind->stored_as ? *kind->stored_as : type;
}

const k8s::ResourceType* CustomTypes::storage_of(std::string_view definition) const {
  for (const auto& [key, kind] : kinds_)
    if (kind->definition == definition && kind->stored_as) return kind->stored_as;
  return nullptr;
}

Record CustomTypes::as_version(const k8s::ResourceType& type, Record record) const {
  const CustomKind* kind = kind_of(type);
  if (!kind || !record || text_at(record->document, "apiVersion") == type.apiVersion()) return record;
  json::object document = record->document;
  document["apiVersion"] = type.apiVersion();
  kind->schema.prune(document);
  kind->schema.fill_defaults(document);
  return make_record(std::move(document), record->revision);
}

std::string CustomTypes::names_conflict(const json::object& definition) const {
  const std::string_view group = text_at(definition, "spec.group"), own = text_at(definition, "metadata.name");
  for (const CustomKind* other : served_) {
    if (other->type.group != group || other->definition == own) continue;
    if (other->type.kind == text_at(definition, "spec.names.kind"))
      return fmt::format("\"{}\" is already in use", other->type.kind);
    const json::array* shorts = array_at(definition, "spec.names.shortNames");
    for (const json::value& name : shorts ? *shorts : json::array{})
      if (name.is_string() && std::ranges::find(other->type.shortNames, std::string_view(name.get_string())) !=
                                  other->type.shortNames.end())
        return fmt::format("\"{}\" is already in use", std::string_view(name.get_string()));
  }
  for (const k8s::ResourceType& type : k8s::resource_types())
    if (type.group == group && (type.plural == text_at(definition, "spec.names.plural") ||
                                type.kind == text_at(definition, "spec.names.kind")))
      return fmt::format("\"{}\" is already in use", type.plural);
  return {};
}

}  // namespace carrick::apiserver
