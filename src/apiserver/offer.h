#pragma once

#include <span>
#include <string>
#include <vector>

#include "k8s/resources.h"

namespace carrick::apiserver {

struct CustomKind;
// Kinds that definitions made at run time (custom/custom_types.h).
using CustomKinds = std::span<const CustomKind* const>;

struct Offered {
  const k8s::ResourceType* type = nullptr;
  const CustomKind* custom = nullptr;  // null: built in
};

// What is offered under one path: /api/v1, /apis/apps/v1.
struct GroupVersion {
  std::string group, version;
  std::vector<Offered> kinds;
  std::string name() const { return group.empty() ? version : group + "/" + version; }
};
// The built-in kinds, those that are asked and not stored, and the custom ones. The first version of a group is the one
// that clients prefer.
std::vector<GroupVersion> group_versions(CustomKinds custom);

// Asked, not stored (api_review.cc).
bool is_review(const k8s::ResourceType& type);

}  // namespace carrick::apiserver
