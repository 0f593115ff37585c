#include "apiserver/document.h"

#include <charconv>

namespace carrick::apiserver {

const json::value* field(const json::object& document, std::string_view path) {
  const json::object* at = &document;
  while (true) {
    const size_t dot = path.find('.');
    const json::value* value = at->if_contains(path.substr(0, dot));
    if (!value || value->is_null()) return nullptr;
    if (dot == std::string_view::npos) return value;
    at = value->if_object();
    if (!at) return nullptr;
    path.remove_prefix(dot + 1);
  }
}

const json::object* object_at(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  return value ? value->if_object() : nullptr;
}

const json::array* array_at(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  return value ? value->if_array() : nullptr;
}

std::string_view text_at(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  const json::string* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view{};
}

int64_t number_at(const json::object& document, std::string_view path, int64_t absent) {
  const json::value* value = field(document, path);
  if (!value) return absent;
  if (const auto* number = value->if_int64()) return *number;
  if (const auto* number = value->if_uint64()) return static_cast<int64_t>(*number);
  return absent;
}

bool flag_at(const json::object& document, std::string_view path, bool absent) {
  const json::value* value = field(document, path);
  const bool* flag = value ? value->if_bool() : nullptr;
  return flag ? *flag : absent;
}

json::object& child_object(json::object& parent, std::string_view key) {
  json::value& value = parent[key];
  if (!value.is_object()) value.emplace_object();
  return value.get_object();
}

json::object& metadata_of(json::object& document) { return child_object(document, "metadata"); }

k8s::NamespacedName key_of(const json::object& document) {
  return {std::string(text_at(document, "metadata.namespace")), std::string(text_at(document, "metadata.name"))};
}

uint64_t revision_of(const json::object& document) {
  const std::string_view text = text_at(document, "metadata.resourceVersion");
  uint64_t revision = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
  return error == std::errc{} && end == text.data() + text.size() ? revision : 0;
}

bool is_terminating(const json::object& document) { return field(document, "metadata.deletionTimestamp") != nullptr; }

bool has_entries(const json::object& document, std::string_view path) {
  const json::value* value = field(document, path);
  if (!value) return false;
  if (const auto* array = value->if_array()) return !array->empty();
  if (const auto* object = value->if_object()) return !object->empty();
  return false;
}

}  // namespace carrick::apiserver
