#pragma once

#include "apiserver/request.h"
#include "apiserver/status.h"

namespace carrick::apiserver {

struct Body {
  k8s::json::object document;
  std::vector<std::string> duplicates;  // paths of fields given twice; the last one counts
};

// The object in a request body: JSON, YAML or Kubernetes protobuf.
StatusOr<Body> decode_body(std::string_view content_type, std::string_view body);
// YAML, of which JSON is a part.
StatusOr<k8s::json::object> decode_yaml(std::string_view body);
// A patch body, which may be an array too.
StatusOr<k8s::json::value> decode_json(std::string_view body);

// Paths of fields that occur twice in one object, in the order of the text.
std::vector<std::string> duplicate_fields(std::string_view json_text);

}  // namespace carrick::apiserver
