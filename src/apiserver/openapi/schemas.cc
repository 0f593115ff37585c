#include "apiserver/openapi/schemas.h"

#include "apiserver/openapi/field_docs.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace json = k8s::json;
namespace {

// "core.Event" is Event of core.
std::string_view last_part(std::string_view name) { return name.substr(name.rfind('.') + 1); }

json::object typed(const char* type, const char* format = nullptr) {
  json::object out{{"type", type}};
  if (format) out["format"] = format;
  return out;
}

json::object list_of(json::object items) { return {{"type", "array"}, {"items", std::move(items)}}; }

}  // namespace

// k8s.io/api/core/v1.PodSpec is io.k8s.api.core.v1.PodSpec.
std::string schema_name(const k8s::ObjectFields& object) {
  const size_t slash = object.part.find('/');
  const std::string_view room = object.part.substr(0, slash), version = object.part.substr(slash + 1);
  const std::string_view home = room == "meta"            ? "io.k8s.apimachinery.pkg.apis"
                                : room == "apiextensions" ? "io.k8s.apiextensions-apiserver.pkg.apis"
                                                          : "io.k8s.api";
  return fmt::format("{}.{}.{}.{}", home, room, version, last_part(object.type_name));
}

json::object SchemaSet::reference(std::string_view name) const {
  const char* home = dialect_ == Dialect::kSwagger2 ? "#/definitions/" : "#/components/schemas/";
  return {{"$ref", home + std::string(name)}};
}

std::string SchemaSet::add_special(const char* name, const char* type, const char* format) {
  json::object schema;
  if (type) schema = typed(type, format);
  schemas_.emplace(name, std::move(schema));
  return name;
}

json::object SchemaSet::value_schema(const k8s::Field& field) {
  switch (field.value) {
    case 's':
      return typed("string");
    case 'i':
      return typed("integer", "int32");
    case 'l':
      return typed("integer", "int64");
    case 'b':
      return typed("boolean");
    case 'd':
      return typed("number", "double");
    case 'y':
      return typed("string", "byte");
    case 't':
      return reference(add_special("io.k8s.apimachinery.pkg.apis.meta.v1.Time", "string", "date-time"));
    case 'm':
      return reference(add_special("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", "string", "date-time"));
    case 'q':
      return reference(add_special("io.k8s.apimachinery.pkg.api.resource.Quantity", "string", nullptr));
    case 'x':
      return reference(add_special("io.k8s.apimachinery.pkg.util.intstr.IntOrString", "string", "int-or-string"));
    case 'e':
      return list_of(typed("string"));
    case 'B':
    case 'A':
    case 'S':  // a schema, or something simpler: no type says that
      return reference(add_special("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON", nullptr, nullptr));
    case 'o':
      return reference(add(*field.object));
    default:
      return typed("object");
  }
}

json::object SchemaSet::field_schema(const k8s::Field& field, std::string_view doc) {
  json::object out = value_schema(field);
  if (field.shape == k8s::Field::Shape::kList) {
    out = list_of(std::move(out));
  } else if (field.shape == k8s::Field::Shape::kMap) {
    out = {{"type", "object"}, {"additionalProperties", std::move(out)}};
  } else if (dialect_ == Dialect::kOpenapi3 && out.contains("$ref")) {
    // Version 3.0 has nothing beside a $ref.
    json::array all;
    all.push_back(std::move(out));
    out = {{"allOf", std::move(all)}};
  }
  if (!doc.empty()) out["description"] = doc;
  if (field.shape == k8s::Field::Shape::kList) {
    const bool keyed = !field.ownership.empty() && field.ownership != "set" && field.ownership != "atomic";
    out["x-kubernetes-list-type"] = keyed ? "map" : field.ownership.empty() ? "atomic" : field.ownership;
    if (keyed) {
      json::array keys;
      for (std::string_view key : split(field.ownership, ',')) keys.emplace_back(key);
      out["x-kubernetes-list-map-keys"] = std::move(keys);
    }
  } else if (!field.ownership.empty()) {
    out["x-kubernetes-map-type"] = field.ownership;
  }
  std::string strategy = field.merges_values || !field.merge_key.empty() ? "merge" : "";
  if (field.retains_keys) strategy += strategy.empty() ? "retainKeys" : ",retainKeys";
  if (!strategy.empty()) out["x-kubernetes-patch-strategy"] = strategy;
  if (!field.merge_key.empty()) out["x-kubernetes-patch-merge-key"] = field.merge_key;
  return out;
}

std::string SchemaSet::add(const k8s::ObjectFields& object) {
  const std::string name = schema_name(object);
  if (!schemas_.emplace(name, json::object{}).second)
    return name;  // also while it is being made: types refer to themselves
  json::object properties;
  json::array required;
  for (const auto& [key, field] : object.fields) {
    std::string_view doc = doc_of_field(last_part(object.type_name), key);
    if (key == "status" && field.value == 's') doc = "True, False or Unknown.";  // of a condition
    properties[key] = field_schema(field, doc);
    if (field.required) required.emplace_back(key);
  }
  json::object schema{{"type", "object"}};
  if (const std::string_view doc = doc_of_type(last_part(object.type_name)); !doc.empty()) schema["description"] = doc;
  if (!properties.empty()) schema["properties"] = std::move(properties);
  if (!required.empty()) schema["required"] = std::move(required);
  if (object.atomic) schema["x-kubernetes-map-type"] = "atomic";
  schemas_[name] = std::move(schema);
  return name;
}

json::object SchemaSet::take() {
  json::object out;
  for (auto& [name, schema] : schemas_) out[name] = std::move(schema);
  schemas_.clear();
  return out;
}

}  // namespace carrick::apiserver
