#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>

// Parts of what an agent answers: empty or 0 when they are absent or something else.
namespace carrick::app {

inline std::string text(const boost::json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value && value->is_string() ? std::string(value->as_string()) : "";
}
inline int64_t number(const boost::json::object& object, std::string_view key) {
  auto* value = object.if_contains(key);
  return value && value->is_number() ? value->to_number<int64_t>() : 0;
}

}  // namespace carrick::app
