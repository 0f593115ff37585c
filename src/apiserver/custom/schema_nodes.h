#pragma once

#include "apiserver/document.h"
#include "k8s/document.h"

// Words of one node of a schema.
namespace carrick::apiserver::schema_node {

using k8s::child;
using k8s::text;
inline bool says(const json::object& node, std::string_view word) { return k8s::is_true(node, word); }
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
