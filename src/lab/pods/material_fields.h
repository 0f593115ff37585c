#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "k8s/document.h"
#include "lab/pods/pod_material.h"

// Parts of a pod's document that may be missing or of the wrong kind: then they are empty. Only for pod_*.cc.
namespace carrick::lab {

inline const boost::json::object* object_in(const boost::json::object& from, std::string_view name) {
  return k8s::child(from, name);
}
inline const boost::json::object* object_in(const boost::json::object* from, std::string_view name) {
  return from ? object_in(*from, name) : nullptr;
}
inline std::string text_in(const boost::json::object& from, std::string_view name) {
  const auto* value = from.if_contains(name);
  if (value && value->is_string()) return std::string(value->get_string());
  // Quantities may be written as numbers.
  if (value && (value->is_int64() || value->is_uint64() || value->is_double())) return boost::json::serialize(*value);
  return "";
}
inline std::string text_in(const boost::json::object* from, std::string_view name) {
  return from ? text_in(*from, name) : "";
}
inline bool flag_in(const boost::json::object& from, std::string_view name) { return k8s::is_true(from, name); }
inline std::optional<int64_t> number_in(const boost::json::object* from, std::string_view name) {
  const auto* value = from ? from->if_contains(name) : nullptr;
  if (!value || !value->is_int64()) return std::nullopt;
  return value->get_int64();
}
inline std::vector<const boost::json::object*> objects_in(const boost::json::object* from, std::string_view name) {
  std::vector<const boost::json::object*> out;
  const auto* value = from ? from->if_contains(name) : nullptr;
  if (value && value->is_array())
    for (const auto& each : value->get_array())
      if (const auto* object = each.if_object()) out.push_back(object);
  return out;
}

Result<std::string> pod_field(const boost::json::object& pod, const Material& material, std::string_view path);
Result<std::string> pod_resource(const boost::json::object& pod, const boost::json::object& source);

}  // namespace carrick::lab
