#pragma once

#include "apiserver/document.h"

// Words of one node of a schema.
namespace carrick::apiserver::schema_node {

inline const json::object* child(const json::object& node, std::string_view word) {
  const json::value* value = node.if_contains(word);
  return value ? value->if_object() : nullptr;
}
inline bool says(const json::object& node, std::string_view word) {
  const json::value* value = node.if_contains(word);
  return value && value->is_bool() && value->get_bool();
}
inline std::string_view text(const json::object& node, std::string_view word) {
  const json::value* value = node.if_contains(word);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}
// What a member called `name` has to be; null: the schema has no such member.
inline const json::object* member(const json::object& node, std::string_view name) {
  if (const json::object* properties = child(node, "properties"))
    if (const json::object* found = child(*properties, name)) return found;
  return child(node, "additionalProperties");
}
inline bool keeps_unknown(const json::object& node) {
  return says(node, "x-kubernetes-preserve-unknown-fields") || says(node, "additionalProperties");
}
// Every object has these, whatever its schema says.
inline bool is_envelope(std::string_view name) { return name == "apiVersion" || name == "kind" || name == "metadata"; }

}  // namespace carrick::apiserver::schema_node
