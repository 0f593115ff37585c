#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/meta.h"

// A set of fields of one object, as metadata.managedFields writes it (FieldsV1): a tree whose steps are "f:name" of a
// field, `k:{"name":"a"}` of an element known by its keys, `v:"a"` of a value in a set. A step is a member of the set
// itself, or only on the way to others.
namespace carrick::apiserver {

class FieldSet {
 public:
  bool member = false;
  std::map<std::string, FieldSet, std::less<>> children;

  bool empty() const { return !member && children.empty(); }
  bool operator==(const FieldSet&) const = default;

  // Total: what is no object is left out.
  static FieldSet parse(const k8s::json::object& fields_v1);
  k8s::json::object to_json() const;

  void unite(const FieldSet& other);
  void subtract(const FieldSet& other);
  FieldSet intersection(const FieldSet& other) const;
  // Every step on the way to a member becomes one, the root excepted.
  FieldSet with_ancestors() const;
  // `.spec.containers[name="a"].image`, sorted.
  std::vector<std::string> paths() const;

 private:
  void collect(const std::string& path, std::vector<std::string>& out) const;
};

// One step as people read it: `.image`, `[name="a"]`, `[="a"]`.
std::string readable_step(std::string_view step);

}  // namespace carrick::apiserver
