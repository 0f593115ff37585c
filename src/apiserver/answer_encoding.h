#pragma once

#include "apiserver/api.h"

// Answers are made as JSON. A client that takes no JSON at all gets protobuf or YAML, translated on the way out.
namespace carrick::apiserver {

enum class Encoding { kJson, kProtobuf, kYaml };
// The one for an Accept header: JSON whenever it is acceptable.
Encoding encoding_for(std::string_view accept);

// Of JSON answers; others, and watches, stay as they are. What has no protobuf form is answered 406.
Response encoded(Response response, Encoding encoding);

// As people write it: keys sorted, two blanks a level.
std::string yaml_text(const json::value& value);

}  // namespace carrick::apiserver
