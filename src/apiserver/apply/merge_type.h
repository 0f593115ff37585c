#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/fields.h"

// How server-side apply sees one value of an object: has it one owner, or one for each of its parts? Built-in kinds
// know it from the published schemas, custom resources from their own, anything else is taken as it looks.
namespace carrick::apiserver {

class MergeType {
 public:
  enum class Shape {
    kLeaf,    // one owner: a scalar, or something atomic
    kObject,  // an owner a member
    kSet,     // a list, an owner a value
    kKeyed,   // a list, its elements known by keys, each of them a kObject
  };

  MergeType() = default;  // nothing is known: objects are kObject, the rest kLeaf
  static MergeType of(const k8s::ResourceType& type);
  // Of a custom resource: an openAPIV3Schema, which must outlive this.
  static MergeType of_schema(const k8s::json::object& schema);

  Shape shape(const k8s::json::value& value) const;
  MergeType member(std::string_view name) const;  // of a kObject
  bool names(std::string_view name) const;        // the schema itself has a field of that name
  MergeType element() const;                      // of a kKeyed
  std::vector<std::string> keys() const;          // of a kKeyed

 private:
  const k8s::ObjectFields* object_ = nullptr;
  const k8s::Field* field_ = nullptr;  // object_ is its type
  bool element_ = false;               // of the list or map that field_ is
  const k8s::json::object* schema_ = nullptr;
};

// The step to an element of a kKeyed list, and to a value of a kSet. nullopt: a key is missing.
std::optional<std::string> key_step(const MergeType& list, const k8s::json::value& element);
std::string value_step(const k8s::json::value& value);

}  // namespace carrick::apiserver
