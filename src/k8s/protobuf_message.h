#pragma once

#include "base/result.h"
#include "k8s/fields.h"

// Messages of the published schemas, without the envelope (protobuf.h).
namespace carrick::k8s {

Result<json::object> decode_message(const ObjectFields& fields, std::string_view message);
// What the schema does not have, and values of another type than the schema says, are left out.
std::string encode_message(const ObjectFields& fields, const json::object& document);

}  // namespace carrick::k8s
