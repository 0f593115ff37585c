#pragma once

#include "controllers/controller.h"
#include "controllers/endpoints/service_endpoints.h"

namespace carrick::controllers {

// Whose slices they are: what each of them carries besides its endpoints.
struct SliceOwner {
  k8s::NamespacedName service;
  std::string name_prefix;  // "<name>-"
  k8s::StringMap labels, annotations;
  json::object owner_reference;
  size_t max_endpoints = kMaxEndpointsPerSlice;
};

// Makes the owner's slices (those in `existing`) hold exactly `groups`; a type in `types` without any endpoint gets one
// empty slice. Slices that hold some of it already are kept, free places are filled before a new slice is made, and
// what is new is written before anything is removed.
Result<void> write_slices(Desk& desk, const SliceOwner& owner, std::vector<Stored<k8s::EndpointSlice>> existing,
                          std::vector<EndpointGroup> groups, const std::vector<std::string>& types);

}  // namespace carrick::controllers
