#pragma once

#include <map>
#include <string>

#include "k8s/fields.h"

// The kinds that Carrick offers as OpenAPI schemas, made from the table of fields (k8s/fields.h).
namespace carrick::apiserver {

enum class Dialect { kSwagger2, kOpenapi3 };

// Schemas by name ("io.k8s.api.core.v1.PodSpec"), each with everything that it refers to.
class SchemaSet {
 public:
  explicit SchemaSet(Dialect dialect) : dialect_(dialect) {}

  // Gives the name.
  std::string add(const k8s::ObjectFields& object);
  // A schema of somebody else's making.
  void add(const std::string& name, k8s::json::object schema) { schemas_.emplace(name, std::move(schema)); }
  bool contains(const std::string& name) const { return schemas_.contains(name); }
  // {"$ref": ...}
  k8s::json::object reference(std::string_view name) const;
  k8s::json::object& at(const std::string& name) { return schemas_.at(name); }
  k8s::json::object take();

 private:
  k8s::json::object field_schema(const k8s::Field& field, std::string_view doc);
  k8s::json::object value_schema(const k8s::Field& field);
  std::string add_special(const char* name, const char* type, const char* format);

  Dialect dialect_;
  std::map<std::string, k8s::json::object> schemas_;
};

std::string schema_name(const k8s::ObjectFields& object);

}  // namespace carrick::apiserver
