#include "apiserver/openapi/documents.h"
#include "k8s/protobuf_wire.h"

// Field numbers as in openapiv2/OpenAPIv2.proto of github.com/google/gnostic-models.
namespace carrick::apiserver {
namespace {

using k8s::WireWriter;

std::string named(std::string_view name, std::string_view value) {
  WireWriter out;
  out.bytes(1, name);
  out.bytes(2, value);
  return out.take();
}

// Any: the value as YAML, of which JSON is a part.
std::string any(const json::value& value) {
  WireWriter out;
  out.bytes(2, json::serialize(value) + "\n");
  return out.take();
}

void text(WireWriter& out, uint32_t number, const json::object& schema, std::string_view name) {
  if (const json::value* value = schema.if_contains(name); value && value->is_string())
    out.bytes(number, value->get_string());
}

std::string schema_message(const json::object& schema) {
  WireWriter out;
  text(out, 1, schema, "$ref");
  text(out, 2, schema, "format");
  text(out, 4, schema, "description");
  if (const json::value* value = schema.if_contains("default")) out.bytes(5, any(*value));
  text(out, 13, schema, "pattern");
  if (const json::array* required = array_at(schema, "required"))
    for (const json::value& name : *required)
      if (name.is_string()) out.bytes(19, name.get_string());
  if (const json::array* values = array_at(schema, "enum"))
    for (const json::value& value : *values) out.bytes(20, any(value));
  if (const json::object* additional = object_at(schema, "additionalProperties")) {
    WireWriter item;
    item.bytes(1, schema_message(*additional));
    out.bytes(21, item.take());
  }
  if (schema.contains("type")) {
    WireWriter item;
    text(item, 1, schema, "type");
    out.bytes(22, item.take());
  }
  if (const json::object* items = object_at(schema, "items")) {
    WireWriter item;
    item.bytes(1, schema_message(*items));
    out.bytes(23, item.take());
  }
  if (const json::object* properties = object_at(schema, "properties")) {
    WireWriter all;
    for (const auto& [name, value] : *properties)
      if (value.is_object()) all.bytes(1, named(name, schema_message(value.get_object())));
    out.bytes(25, all.take());
  }
  for (const auto& [name, value] : schema)
    if (name.starts_with("x-")) out.bytes(31, named(name, any(value)));
  return out.take();
}

}  // namespace

std::string swagger_protobuf(const json::object& swagger) {
  WireWriter info, definitions, document;
  info.bytes(1, text_at(swagger, "info.title"));
  info.bytes(2, text_at(swagger, "info.version"));
  if (const json::object* schemas = object_at(swagger, "definitions"))
    for (const auto& [name, schema] : *schemas)
      if (schema.is_object()) definitions.bytes(1, named(name, schema_message(schema.get_object())));
  document.bytes(1, text_at(swagger, "swagger"));
  document.bytes(2, info.take());
  document.bytes(8, "");
  document.bytes(9, definitions.take());
  return document.take();
}

}  // namespace carrick::apiserver
