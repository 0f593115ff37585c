#pragma once

#include <boost/json.hpp>

namespace carrick::k8s {

// Upstream's libraries write null where a list is absent or the last member went; the API reads both as absence.
inline boost::json::value without_nulls(const boost::json::value& value) {
  if (const auto* object = value.if_object()) {
    boost::json::object out;
    for (const auto& [name, item] : *object)
      if (!item.is_null()) out[name] = without_nulls(item);
    return out;
  }
  boost::json::value out = value;
  if (auto* array = out.if_array())
    for (boost::json::value& item : *array) item = without_nulls(item);
  return out;
}

}  // namespace carrick::k8s
