#pragma once

#include <span>
#include <string_view>

#include "k8s/meta.h"

namespace carrick::k8s {

// One entry of API discovery.
struct ResourceType {
  std::string group, version, plural, singular, kind;
  bool namespaced = true;
  std::vector<std::string> shortNames, categories;
  bool has_status = false, has_scale = false;
  std::string apiVersion() const { return group.empty() ? version : group + "/" + version; }
};

// Every kind the lab's API server offers.
std::span<const ResourceType> resource_types();
// Null when unknown. By kind also those that Carrick holds where a CustomResourceDefinition offers them.
const ResourceType* find_by_kind(std::string_view apiVersion, std::string_view kind);
const ResourceType* find_by_plural(std::string_view group, std::string_view version, std::string_view plural);
// "/apis/apps/v1/namespaces/shop/deployments"; without a namespace the collection over all of them.
std::string collection_path(const ResourceType& type, std::string_view namespace_ = {});
// The type of a kind that Carrick itself uses: resource<Pod>().
template <class T>
const ResourceType& resource();

}  // namespace carrick::k8s
