#pragma once

#include <string>
#include <string_view>

#include "k8s/meta.h"

// Reading and writing single fields of whole JSON documents. A field of an unexpected type reads as absent: documents
// are validated before they are stored, and printing must not fail on what validation does not look at.
namespace carrick::apiserver {

namespace json = k8s::json;

// "spec.template.spec"; array elements are not addressed. Null when absent.
const json::value* field(const json::object& document, std::string_view path);
const json::object* object_at(const json::object& document, std::string_view path);
const json::array* array_at(const json::object& document, std::string_view path);  // null when absent or no array
std::string_view text_at(const json::object& document, std::string_view path);     // empty when absent or no string
int64_t number_at(const json::object& document, std::string_view path, int64_t absent = 0);
bool flag_at(const json::object& document, std::string_view path, bool absent = false);

json::object& metadata_of(json::object& document);                       // made when absent
json::object& child_object(json::object& parent, std::string_view key);  // made when absent or no object
k8s::NamespacedName key_of(const json::object& document);
uint64_t revision_of(const json::object& document);                     // 0 when absent or not a number
bool is_terminating(const json::object& document);                      // deletionTimestamp is set
bool has_entries(const json::object& document, std::string_view path);  // a non-empty array or object

}  // namespace carrick::apiserver
