#pragma once

#include <string_view>

#include "k8s/meta.h"

// Reading and filling parts of a JSON document whose shape is not certain: a part of another type counts as absent.
// Adding a member may move its siblings: pointers into an object end with the next member that it gets.
namespace carrick::k8s {

// Absent and null mean the same in the API.
inline json::value* member(json::object& object, std::string_view name) {
  json::value* value = object.if_contains(name);
  return value && !value->is_null() ? value : nullptr;
}
inline const json::value* member(const json::object& object, std::string_view name) {
  return member(const_cast<json::object&>(object), name);
}

inline json::object* child(json::object& object, std::string_view name) {
  json::value* value = member(object, name);
  return value ? value->if_object() : nullptr;
}
inline const json::object* child(const json::object& object, std::string_view name) {
  return child(const_cast<json::object&>(object), name);
}

// Creates the object when it is absent; null when something else is there.
inline json::object* ensure(json::object& object, std::string_view name) {
  if (!member(object, name)) return &object[name].emplace_object();
  return child(object, name);
}

inline std::string_view text(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value && value->is_string() ? std::string_view(value->get_string()) : std::string_view{};
}

inline const json::array* list(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value ? value->if_array() : nullptr;
}

inline bool is_true(const json::object& object, std::string_view name) {
  const json::value* value = member(object, name);
  return value && value->is_bool() && value->get_bool();
}

template <class Value>
void set_default(json::object& object, std::string_view name, Value&& value) {
  if (!member(object, name)) object[name] = std::forward<Value>(value);
}

// An empty string counts as absent, as it does for fields that Go keeps in plain strings.
inline void set_default_text(json::object& object, std::string_view name, std::string_view value) {
  const json::value* old = member(object, name);
  if (!old || (old->is_string() && old->get_string().empty())) object[name] = json::string_view(value);
}

template <class Visit>
void each_object(json::object& object, std::string_view name, Visit&& visit) {
  json::value* value = member(object, name);
  if (!value || !value->is_array()) return;
  for (json::value& item : value->get_array())
    if (item.is_object()) visit(item.get_object());
}

}  // namespace carrick::k8s
