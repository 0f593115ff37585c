#include "apiserver/openapi/documents.h"

#include <algorithm>

#include "apiserver/custom/custom_kind.h"
#include "apiserver/openapi/schemas.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr std::string_view kVersion = "v1.33.0";

std::string path_of(const GroupVersion& gv) { return (gv.group.empty() ? "api/" : "apis/") + gv.name(); }

json::object kind_of(const k8s::ResourceType& type) {
  return {{"group", type.group}, {"version", type.version}, {"kind", type.kind}};
}

// gateway.networking.k8s.io/v1 Gateway is io.k8s.networking.gateway.v1.Gateway.
std::string custom_name(const k8s::ResourceType& type) {
  std::string out;
  for (std::string_view label : split(type.group, '.'))
    out = out.empty() ? std::string(label) : std::string(label) + "." + out;
  return out + "." + type.version + "." + type.kind;
}

std::string add_custom(SchemaSet& schemas, const CustomKind& kind) {
  const k8s::ResourceType& type = kind.type;
  json::object schema = kind.schema.text();
  if (schema.empty()) schema = {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}};
  json::object& properties = child_object(schema, "properties");
  for (std::string_view name : {"apiVersion", "kind"})
    if (!properties.contains(name)) properties[name] = json::object{{"type", "string"}};
  const k8s::Field* metadata = k8s::fields_of("v1", "ConfigMap")->find("metadata");
  properties["metadata"] = schemas.reference(schemas.add(*metadata->object));
  const std::string name = custom_name(type);
  schemas.add(name, std::move(schema));
  return name;
}

// The schema of the kind itself, marked as such. Empty when nothing is known of it.
std::string add_kind(SchemaSet& schemas, const Offered& offered) {
  const k8s::ResourceType& type = *offered.type;
  std::string name;
  if (offered.custom) {
    name = add_custom(schemas, *offered.custom);
  } else {
    const k8s::ObjectFields* fields = k8s::fields_of(type.apiVersion(), type.kind);
    if (!fields) return {};
    name = schemas.add(*fields);
  }
  json::array kinds;
  kinds.push_back(kind_of(type));
  schemas.at(name)["x-kubernetes-group-version-kind"] = std::move(kinds);
  return name;
}

json::object content(json::object schema, std::string_view media = "application/json") {
  return {{"content", json::object{{media, json::object{{"schema", std::move(schema)}}}}}};
}

json::object operation(const k8s::ResourceType& type, std::string_view action, const json::object& schema) {
  json::array parameters;
  const bool writes = action == "patch" || action == "put" || action == "post";
  for (std::string_view name : {"dryRun", "fieldManager", "fieldValidation"})
    if (writes || (name == "dryRun" && action == "delete"))
      parameters.push_back(json::object{
          {"name", name}, {"in", "query"}, {"schema", json::object{{"type", "string"}, {"uniqueItems", true}}}});
  json::object answer = schema.empty() ? json::object{} : content(schema);
  answer["description"] = "OK";
  json::object out{{"x-kubernetes-action", action},
                   {"x-kubernetes-group-version-kind", kind_of(type)},
                   {"responses", json::object{{"200", std::move(answer)}}}};
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!schema.empty() && (action == "put" || action == "post")) out["requestBody"] = content(schema, "*/*");
  return out;
}

json::object paths_of(const GroupVersion& gv, const std::vector<json::object>& schemas) {
  json::object paths;
  for (size_t i = 0; i < gv.kinds.size(); ++i) {
    const k8s::ResourceType& type = *gv.kinds[i].type;
    const json::object& schema = schemas[i];
    const std::string collection =
        "/" + path_of(gv) + (type.namespaced ? "/namespaces/{namespace}/" : "/") + type.plural;
    json::object many{{"post", operation(type, "post", schema)}};
    if (!is_review(type)) {
      many["get"] = operation(type, "list", {});
      many["delete"] = operation(type, "deletecollection", {});
      json::object one;
      for (std::string_view verb : {"get", "put", "patch", "delete"}) one[verb] = operation(type, verb, schema);
      paths[collection + "/{name}"] = std::move(one);
    }
    paths[collection] = std::move(many);
  }
  return paths;
}

}  // namespace

json::object openapi_index(CustomKinds custom, uint64_t definitions_revision) {
  json::object paths;
  for (const GroupVersion& gv : group_versions(custom))
    paths[path_of(gv)] = json::object{
        {"serverRelativeURL", fmt::format("/openapi/v3/{}?hash={:X}", path_of(gv), definitions_revision + 1)}};
  return {{"paths", std::move(paths)}};
}

std::optional<json::object> openapi_version(CustomKinds custom, std::string_view group, std::string_view version) {
  const auto all = group_versions(custom);
  const auto gv = std::ranges::find_if(
      all, [&](const GroupVersion& candidate) { return candidate.group == group && candidate.version == version; });
  if (gv == all.end()) return std::nullopt;
  SchemaSet schemas(Dialect::kOpenapi3);
  std::vector<json::object> references;
  for (const Offered& kind : gv->kinds) {
    const std::string name = add_kind(schemas, kind);
    references.push_back(name.empty() ? json::object{} : schemas.reference(name));
  }
  return json::object{{"openapi", "3.0.0"},
                      {"info", json::object{{"title", "Kubernetes"}, {"version", kVersion}}},
                      {"paths", paths_of(*gv, references)},
                      {"components", json::object{{"schemas", schemas.take()}}}};
}

json::object swagger(CustomKinds custom) {
  SchemaSet schemas(Dialect::kSwagger2);
  for (const GroupVersion& gv : group_versions(custom))
    for (const Offered& kind : gv.kinds) add_kind(schemas, kind);
  return {{"swagger", "2.0"},
          {"info", json::object{{"title", "Kubernetes"}, {"version", kVersion}}},
          {"paths", json::object{}},
          {"definitions", schemas.take()}};
}

}  // namespace carrick::apiserver
