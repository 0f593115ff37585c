#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apiserver/document.h"
#include "apiserver/offer.h"
#include "apiserver/request.h"
#include "k8s/resources.h"

// What the server offers, in the forms that clients ask for (API-S2).
namespace carrick::apiserver {

// /api and /apis: legacy lists, or aggregated discovery when the Accept header asks for exactly a version we know.
struct DiscoveryAnswer {
  json::object document;
  std::string content_type = "application/json";
};
DiscoveryAnswer discover_core(const std::vector<MediaType>& accept, std::string_view server_address);
DiscoveryAnswer discover_groups(CustomKinds custom, const std::vector<MediaType>& accept);
std::optional<json::object> discover_group(CustomKinds custom, std::string_view group);  // /apis/GROUP
// APIResourceList
std::optional<json::object> discover_version(CustomKinds custom, std::string_view group, std::string_view version);

}  // namespace carrick::apiserver
