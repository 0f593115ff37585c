#pragma once

#include <map>
#include <unordered_map>

#include "apiserver/custom/custom_kind.h"
#include "apiserver/offer.h"
#include "apiserver/store.h"

namespace carrick::apiserver {

// The kinds that the stored CustomResourceDefinitions define, kept up with the store.
class CustomTypes {
 public:
  explicit CustomTypes(Store& store);
  CustomTypes(const CustomTypes&) = delete;
  CustomTypes& operator=(const CustomTypes&) = delete;

  // Null: no such kind, or none that is served.
  const k8s::ResourceType* find(std::string_view group, std::string_view version, std::string_view plural) const;
  // Those that are served, by group and version.
  CustomKinds served() const { return served_; }
  // Null for built-in kinds.
  const CustomKind* kind_of(const k8s::ResourceType& type) const;
  // The type that objects of `type` are kept as: another version, or itself.
  const k8s::ResourceType& stored_as(const k8s::ResourceType& type) const;
  // Every version's storage type of a definition; null when there is none.
  const k8s::ResourceType* storage_of(std::string_view definition) const;
  // Changes with every definition: the revision of the newest change.
  uint64_t revision() const { return revision_; }

  // The object as a version of its kind shows it.
  Record as_version(const k8s::ResourceType& type, Record record) const;
  // Whether names of this definition are taken by another one of its group; a sentence, or empty.
  std::string names_conflict(const json::object& definition) const;

 private:
  void define(const json::object& definition);
  void withdraw(std::string_view definition);
  void list_served();

  Store& store_;
  std::map<std::string, std::unique_ptr<CustomKind>> kinds_;  // by group/version/plural; those of old stay
  std::unordered_map<const k8s::ResourceType*, const CustomKind*> by_type_;
  std::vector<const CustomKind*> served_;
  uint64_t revision_ = 0;
};

}  // namespace carrick::apiserver
