#pragma once

#include <optional>

#include "apiserver/document.h"
#include "apiserver/offer.h"

// /openapi/v3 and /openapi/v2, made when they are asked for: they cost nothing until then, and nothing afterwards.
namespace carrick::apiserver {

// Version 3: an index whose hashes change with the definitions of custom kinds, and a document a group and version.
json::object openapi_index(CustomKinds custom, uint64_t definitions_revision);
std::optional<json::object> openapi_version(CustomKinds custom, std::string_view group, std::string_view version);

// Version 2: everything in one document.
json::object swagger(CustomKinds custom);
// The same as clients before kubectl 1.29 read it: openapi.v2.Document of gnostic in protobuf. Paths are left out.
std::string swagger_protobuf(const json::object& swagger);

}  // namespace carrick::apiserver
