#pragma once

#include "apiserver/body.h"

namespace carrick::apiserver {

// Applies a patch body in one of the three JSON patch types to a document: json-patch+json (RFC 6902), merge-patch+json
// (RFC 7386), strategic-merge-patch+json. Others are 415.
StatusOr<k8s::json::object> apply_patch(std::string_view content_type, const k8s::ResourceType& type,
                                        const k8s::json::object& document, std::string_view body);

}  // namespace carrick::apiserver
