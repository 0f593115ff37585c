#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "k8s/meta.h"

// The API's binary form: the bytes "k8s\0" and a runtime.Unknown that holds apiVersion, kind and the object as a
// message of the published proto2 schemas (k8s/fields.h has their numbers). Read into, and written from, the JSON
// document that the store holds; what JSON would leave out is left out here too.
namespace carrick::k8s {

// Known kinds, DeleteOptions of any group. Total: any bytes give a document or a kInvalid sentence.
Result<json::object> decode_protobuf(std::string_view bytes);

// Also lists ("PodList") of known kinds. kUnsupported for a kind without a schema (custom resources, tables).
Result<std::string> encode_protobuf(const json::object& document);
// One frame of a watch in this form: length, then the event around the object.
Result<std::string> encode_protobuf_event(std::string_view type, const json::object& document);

}  // namespace carrick::k8s
