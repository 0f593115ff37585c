#include <cmath>
#include <set>

#include "apiserver/custom/patterns.h"
#include "apiserver/custom/schema.h"
#include "apiserver/custom/schema_nodes.h"
#include "apiserver/table.h"
#include "net/ip.h"

namespace carrick::apiserver {
namespace {

using namespace schema_node;
using k8s::FieldError;
using k8s::Path;

constexpr size_t kMaxFindings = 100;

std::string shown(const json::value& value) {
  if (value.is_structured()) return value.is_array() ? "\"array\"" : "\"object\"";
  return json::serialize(value);
}

std::string kind_name(const json::value& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_bool()) return "boolean";
  if (value.is_null()) return "null";
  return k8s::is_integer(value) ? "integer" : "number";
}

bool has_type(const json::value& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer") return k8s::is_integer(value);
  return kind_name(value) == type;
}

size_t letters(std::string_view utf8) {
  size_t count = 0;
  for (const char c : utf8) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

// Formats that are not known are not checked, as the API does it.
bool has_format(const json::value& value, std::string_view format) {
  if (const auto* text = value.if_string()) {
    const std::string_view view = *text;
    if (format == "date-time") return parse_time(view).has_value() && view.size() >= 20;
    if (format == "ipv4" || format == "ipv6") {
      const auto address = net::IpAddress::parse(view);
      return address && (view.find(':') == view.npos) == (format == "ipv4");
    }
    if (format == "cidr") return view.find('/') != view.npos && net::Prefix::parse(view).has_value();
    return true;
  }
  if (format == "int32" && k8s::is_integer(value))
    return std::abs(value.to_number<double>()) <= 2147483648.0 && value.to_number<double>() != 2147483648.0;
  return true;
}

class Validator {
 public:
  explicit Validator(const Patterns& patterns) : patterns_(patterns) {}
  std::vector<FieldError> found;

  void object(const json::object& value, const json::object& node, const Path* path, bool root) {
    if (const json::array* required = array_at(node, "required"))
      for (const json::value& name : *required)
        if (name.is_string() && !value.contains(name.get_string()) && !(root && is_envelope(name.get_string())))
          add("Required", Path{path, name.get_string()}.str(), "Required value");
    count("properties", value.size(), node, "minProperties", "maxProperties", path);
    for (const auto& [name, item] : value) {
      if (root && is_envelope(name)) continue;
      const Path here{path, name};
      if (const json::object* below = member(node, name)) any(item, *below, &here);
    }
    junctors(json::value(value), node, path, root);
  }

 private:
  void add(std::string type, std::string field, std::string detail) {
    if (found.size() < kMaxFindings) found.push_back({std::move(type), std::move(field), std::move(detail)});
  }
  static std::string name_of(const Path* path) { return path ? path->str() : "<nil>"; }
  void invalid(const Path* path, const json::value& value, std::string_view why) {
    add("Invalid", name_of(path), fmt::format("Invalid value: {}: {} in body {}", shown(value), name_of(path), why));
  }

  void any(const json::value& value, const json::object& node, const Path* path) {
    if (found.size() >= kMaxFindings) return;
    const std::string_view type = text(node, "type");
    if (value.is_null()) {
      if (!says(node, "nullable") && !type.empty())
        invalid(path, "null", fmt::format("must be of type {}: \"null\"", type));
      return;
    }
    if (says(node, "x-kubernetes-int-or-string")) {
      if (!value.is_string() && !k8s::is_integer(value))
        return invalid(path, json::value(kind_name(value)),
                       fmt::format("must be of type integer,string: \"{}\"", kind_name(value)));
    } else if (!type.empty() && !has_type(value, type)) {
      // As the API: the value that is shown is its type.
      const std::string kind = kind_name(value);
      return add(
          "TypeInvalid", name_of(path),
          fmt::format("Invalid value: \"{0}\": {1} in body must be of type {2}: \"{0}\"", kind, name_of(path), type));
    }
    allowed(value, node, path);
    if (value.is_object()) return object(value.get_object(), node, path, false);
    if (value.is_array()) list(value.get_array(), node, path);
    if (value.is_string()) words(value, node, path);
    if (value.is_number()) numbers(value, node, path);
    junctors(value, node, path, false);
  }

  void allowed(const json::value& value, const json::object& node, const Path* path) {
    const json::array* values = array_at(node, "enum");
    if (values && std::ranges::find(*values, value) == values->end()) {
      std::string supported;
      for (const json::value& one : *values) supported += (supported.empty() ? "" : ", ") + json::serialize(one);
      add("NotSupported", name_of(path),
          fmt::format("Unsupported value: {}: supported values: {}", shown(value), supported));
    }
    if (const std::string_view format = text(node, "format"); !format.empty() && !has_format(value, format))
      invalid(path, value, fmt::format("must be of type {}: {}", format, shown(value)));
  }

  void count(const char* what, size_t have, const json::object& node, const char* least, const char* most,
             const Path* path) {
    const json::value *minimum = node.if_contains(least), *maximum = node.if_contains(most);
    if (minimum && minimum->is_number() && static_cast<double>(have) < minimum->to_number<double>())
      invalid(path, have, fmt::format("should have at least {} {}", json::serialize(*minimum), what));
    if (maximum && maximum->is_number() && static_cast<double>(have) > maximum->to_number<double>())
      add("TooMany", name_of(path),
          fmt::format("Too many: {}: must have at most {} {}", have, json::serialize(*maximum),
                      std::string_view(what) == "items" ? "items" : what));
  }

  void list(const json::array& items, const json::object& node, const Path* path) {
    count("items", items.size(), node, "minItems", "maxItems", path);
    if (const json::object* below = child(node, "items"))
      for (size_t i = 0; i < items.size(); ++i) {
        const Path here{path, {}, static_cast<int>(i)};
        any(items[i], *below, &here);
      }
    const std::string_view kind = text(node, "x-kubernetes-list-type");
    if (kind != "map" && kind != "set") return;
    const json::array* keys = kind == "map" ? array_at(node, "x-kubernetes-list-map-keys") : nullptr;
    std::set<std::string> seen;
    for (size_t i = 0; i < items.size(); ++i) {
      json::value identity = items[i];
      if (kind == "map" && keys && items[i].is_object()) {
        json::object parts;
        for (const json::value& key : *keys)
          if (key.is_string())
            if (const json::value* part = items[i].get_object().if_contains(key.get_string()))
              parts[key.get_string()] = *part;
        identity = std::move(parts);
      }
      const std::string text = json::serialize(identity);
      if (!seen.insert(text).second)
        add("Duplicate", Path{path, {}, static_cast<int>(i)}.str(), "Duplicate value: " + text);
    }
  }

  void words(const json::value& value, const json::object& node, const Path* path) {
    const std::string_view view = value.get_string();
    const size_t have = letters(view);
    const json::value *least = node.if_contains("minLength"), *most = node.if_contains("maxLength");
    if (least && least->is_number() && static_cast<double>(have) < least->to_number<double>())
      invalid(path, value, fmt::format("should be at least {} chars long", json::serialize(*least)));
    if (most && most->is_number() && static_cast<double>(have) > most->to_number<double>())
      add("TooLong", name_of(path), fmt::format("Too long: may not be more than {} bytes", json::serialize(*most)));
    const std::string_view pattern = text(node, "pattern");
    if (pattern.empty()) return;
    switch (patterns_.look(pattern, view)) {
      case Patterns::Verdict::kMatches:
        return;
      case Patterns::Verdict::kDiffers:
        return invalid(path, value, fmt::format("should match '{}'", pattern));
      case Patterns::Verdict::kTooHard:
        return invalid(path, value, fmt::format("cannot be compared with '{}': it would take too long", pattern));
    }
  }

  void numbers(const json::value& value, const json::object& node, const Path* path) {
    const double have = value.to_number<double>();
    if (const json::value* least = node.if_contains("minimum"); least && least->is_number()) {
      const bool open = says(node, "exclusiveMinimum");
      const double bound = least->to_number<double>();
      if (have < bound || (open && have == bound))
        invalid(path, value,
                fmt::format("should be greater than {}{}", open ? "" : "or equal to ", json::serialize(*least)));
    }
    if (const json::value* most = node.if_contains("maximum"); most && most->is_number()) {
      const bool open = says(node, "exclusiveMaximum");
      const double bound = most->to_number<double>();
      if (have > bound || (open && have == bound))
        invalid(path, value,
                fmt::format("should be less than {}{}", open ? "" : "or equal to ", json::serialize(*most)));
    }
    if (const json::value* factor = node.if_contains("multipleOf"); factor && factor->is_number()) {
      const double unit = factor->to_number<double>();
      if (unit > 0 && std::abs(std::remainder(have, unit)) > 1e-9)
        invalid(path, value, fmt::format("should be a multiple of {}", json::serialize(*factor)));
    }
  }

  bool good(const json::value& value, const json::value& node, const Path* path, bool root) const {
    if (!node.is_object()) return true;
    Validator inner(patterns_);
    if (root && value.is_object())
      inner.object(value.get_object(), node.get_object(), path, true);
    else
      inner.any(value, node.get_object(), path);
    return inner.found.empty();
  }

  void junctors(const json::value& value, const json::object& node, const Path* path, bool root) {
    const auto refuse = [&](std::string_view why) {
      add("Invalid", name_of(path),
          fmt::format("Invalid value: {}: \"{}\" {}", shown(value), path ? path->str() : "", why));
    };
    const auto matching = [&](const json::array& nodes) {
      return std::ranges::count_if(nodes, [&](const json::value& one) { return good(value, one, path, root); });
    };
    if (const json::array* all = array_at(node, "allOf"))
      if (matching(*all) != static_cast<std::ptrdiff_t>(all->size())) refuse("must validate all the schemas (allOf)");
    if (const json::array* some = array_at(node, "anyOf"); some && matching(*some) == 0)
      refuse("must validate at least one schema (anyOf)");
    if (const json::array* one = array_at(node, "oneOf")) {
      const auto found_good = matching(*one);
      if (found_good == 0) refuse("must validate one and only one schema (oneOf). Found none valid");
      if (found_good > 1)
        refuse(fmt::format("must validate one and only one schema (oneOf). Found {} valid alternatives", found_good));
    }
    if (const json::value* no = node.if_contains("not"); no && no->is_object() && good(value, *no, path, root))
      refuse("must not validate the schema (not)");
  }

  const Patterns& patterns_;
};

}  // namespace

std::vector<FieldError> Schema::validate(const json::object& document) const {
  if (empty()) return {};
  Validator validator(*patterns_);
  validator.object(document, text_, nullptr, true);
  return std::move(validator.found);
}

}  // namespace carrick::apiserver
