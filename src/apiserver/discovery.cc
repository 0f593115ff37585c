#include "apiserver/discovery.h"

#include <algorithm>

namespace carrick::apiserver {
namespace {

struct GroupVersion {
  std::string group, version;
  std::vector<const k8s::ResourceType*> types;
  std::string name() const { return group.empty() ? version : group + "/" + version; }
};

// Kinds that are asked, not stored (api_review.cc).
const std::vector<k8s::ResourceType>& review_types() {
  const auto make = [](std::string group, std::string plural, std::string kind, bool namespaced) {
    k8s::ResourceType type{.group = std::move(group),
                           .version = "v1",
                           .plural = std::move(plural),
                           .kind = std::move(kind),
                           .namespaced = namespaced};
    type.singular = type.plural.substr(0, type.plural.size() - 1);
    return type;
  };
  static const std::vector<k8s::ResourceType> types{
      make("authentication.k8s.io", "selfsubjectreviews", "SelfSubjectReview", false),
      make("authorization.k8s.io", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false),
      make("authorization.k8s.io", "selfsubjectrulesreviews", "SelfSubjectRulesReview", false),
      make("authorization.k8s.io", "subjectaccessreviews", "SubjectAccessReview", false),
      make("authorization.k8s.io", "localsubjectaccessreviews", "LocalSubjectAccessReview", true),
  };
  return types;
}

bool is_review(const k8s::ResourceType& type) {
  return type.group == "authentication.k8s.io" || type.group == "authorization.k8s.io";
}

const std::vector<GroupVersion>& group_versions() {
  static const std::vector<GroupVersion> all = [] {
    std::vector<GroupVersion> out;
    const auto add = [&out](const k8s::ResourceType& type) {
      const auto found = std::ranges::find_if(
          out, [&](const GroupVersion& gv) { return gv.group == type.group && gv.version == type.version; });
      GroupVersion& gv = found == out.end() ? out.emplace_back(GroupVersion{type.group, type.version, {}}) : *found;
      gv.types.push_back(&type);
    };
    for (const k8s::ResourceType& type : k8s::resource_types()) add(type);
    for (const k8s::ResourceType& type : review_types()) add(type);
    return out;
  }();
  return all;
}

json::array verbs_of(const k8s::ResourceType& type) {
  if (is_review(type)) return {"create"};
  if (type.group.empty() && type.plural == "namespaces")
    return {"create", "delete", "get", "list", "patch", "update", "watch"};
  return {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
}

struct Subresource {
  std::string name, group, version, kind;
  json::array verbs;
};

std::vector<Subresource> subresources_of(const k8s::ResourceType& type) {
  std::vector<Subresource> out;
  if (type.has_status) out.push_back({"status", type.group, type.version, type.kind, {"get", "patch", "update"}});
  if (type.has_scale) out.push_back({"scale", "autoscaling", "v1", "Scale", {"get", "patch", "update"}});
  if (!type.group.empty()) return out;
  if (type.plural == "pods") {
    out.push_back({"binding", "", "v1", "Binding", {"create"}});
    out.push_back({"eviction", "policy", "v1", "Eviction", {"create"}});
    out.push_back({"attach", "", "v1", "PodAttachOptions", {"create", "get"}});
    out.push_back({"exec", "", "v1", "PodExecOptions", {"create", "get"}});
    out.push_back({"log", "", "v1", "Pod", {"get"}});
    out.push_back({"portforward", "", "v1", "PodPortForwardOptions", {"create", "get"}});
  }
  if (type.plural == "namespaces") out.push_back({"finalize", "", "v1", "Namespace", {"update"}});
  return out;
}

json::array to_array(const std::vector<std::string>& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

json::object kind_of(std::string_view group, std::string_view version, std::string_view kind) {
  return {{"group", group}, {"version", version}, {"kind", kind}};
}

json::object aggregated_resource(const k8s::ResourceType& type) {
  json::object out{{"resource", type.plural},
                   {"responseKind", kind_of(type.group, type.version, type.kind)},
                   {"scope", type.namespaced ? "Namespaced" : "Cluster"},
                   {"singularResource", type.singular},
                   {"verbs", verbs_of(type)}};
  if (!type.shortNames.empty()) out["shortNames"] = to_array(type.shortNames);
  if (!type.categories.empty()) out["categories"] = to_array(type.categories);
  json::array subresources;
  for (Subresource& sub : subresources_of(type))
    subresources.push_back(json::object{{"subresource", sub.name},
                                        {"responseKind", kind_of(sub.group, sub.version, sub.kind)},
                                        {"verbs", std::move(sub.verbs)}});
  if (!subresources.empty()) out["subresources"] = std::move(subresources);
  return out;
}

json::object aggregated(std::string_view version, bool core) {
  json::array items;
  for (const GroupVersion& gv : group_versions()) {
    if (gv.group.empty() != core) continue;
    json::array resources;
    for (const k8s::ResourceType* type : gv.types) resources.push_back(aggregated_resource(*type));
    json::object entry{{"version", gv.version}, {"resources", std::move(resources)}, {"freshness", "Current"}};
    const auto same = std::ranges::find_if(
        items, [&](const json::value& item) { return text_at(item.get_object(), "metadata.name") == gv.group; });
    if (same != items.end()) {
      same->get_object()["versions"].get_array().push_back(std::move(entry));
      continue;
    }
    json::object metadata{{"name", gv.group}, {"creationTimestamp", nullptr}};
    if (core) metadata.erase("name");
    json::array versions;
    versions.push_back(std::move(entry));
    items.push_back(json::object{{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
  }
  return {{"kind", "APIGroupDiscoveryList"},
          {"apiVersion", "apidiscovery.k8s.io/" + std::string(version)},
          {"metadata", json::object{}},
          {"items", std::move(items)}};
}

// The first clause that we can serve. v2 only to those who ask for v2: an older client takes no other version.
std::optional<std::string> aggregated_version(const std::vector<MediaType>& accept) {
  for (const MediaType& media : accept) {
    if (media.as == "APIGroupDiscoveryList" && media.type == "application/json" &&
        media.group == "apidiscovery.k8s.io") {
      if (media.version == "v2" || media.version == "v2beta1") return media.version;
      continue;
    }
    if (media.as.empty() && (media.type == "application/json" || media.type == "*/*" || media.type == "application/*"))
      return std::nullopt;
  }
  return std::nullopt;
}

DiscoveryAnswer aggregated_answer(const std::string& version, bool core) {
  return {aggregated(version, core),
          "application/json;g=apidiscovery.k8s.io;v=" + version + ";as=APIGroupDiscoveryList"};
}

json::object group_object(std::string_view group) {
  json::array versions;
  for (const GroupVersion& gv : group_versions())
    if (gv.group == group) versions.push_back(json::object{{"groupVersion", gv.name()}, {"version", gv.version}});
  json::value preferred = versions.front();
  return {{"name", group}, {"versions", std::move(versions)}, {"preferredVersion", std::move(preferred)}};
}

const GroupVersion* find(std::string_view group, std::string_view version) {
  for (const GroupVersion& gv : group_versions())
    if (gv.group == group && gv.version == version) return &gv;
  return nullptr;
}

std::string openapi_path(const GroupVersion& gv) { return (gv.group.empty() ? "api/" : "apis/") + gv.name(); }

json::object patch_operation(const k8s::ResourceType& type) {
  json::array parameters;
  for (std::string_view name : {"dryRun", "fieldManager", "fieldValidation"})
    parameters.push_back(json::object{
        {"name", name}, {"in", "query"}, {"schema", json::object{{"type", "string"}, {"uniqueItems", true}}}});
  return {{"x-kubernetes-action", "patch"},
          {"x-kubernetes-group-version-kind", kind_of(type.group, type.version, type.kind)},
          {"parameters", std::move(parameters)},
          {"responses", json::object{{"200", json::object{{"description", "OK"}}}}}};
}

}  // namespace

DiscoveryAnswer discover_core(const std::vector<MediaType>& accept, std::string_view server_address) {
  if (const auto version = aggregated_version(accept)) return aggregated_answer(*version, true);
  json::array addresses;
  addresses.push_back(json::object{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}});
  return {
      {{"kind", "APIVersions"}, {"versions", json::array{"v1"}}, {"serverAddressByClientCIDRs", std::move(addresses)}}};
}

DiscoveryAnswer discover_groups(const std::vector<MediaType>& accept) {
  if (const auto version = aggregated_version(accept)) return aggregated_answer(*version, false);
  json::array groups;
  std::vector<std::string> seen{""};
  for (const GroupVersion& gv : group_versions()) {
    if (std::ranges::find(seen, gv.group) != seen.end()) continue;
    seen.push_back(gv.group);
    groups.push_back(group_object(gv.group));
  }
  return {{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}}};
}

std::optional<json::object> discover_group(std::string_view group) {
  if (group.empty() ||
      std::ranges::none_of(group_versions(), [&](const GroupVersion& gv) { return gv.group == group; }))
    return std::nullopt;
  json::object out = group_object(group);
  out["kind"] = "APIGroup";
  out["apiVersion"] = "v1";
  return out;
}

std::optional<json::object> discover_version(std::string_view group, std::string_view version) {
  const GroupVersion* gv = find(group, version);
  if (!gv) return std::nullopt;
  json::array resources;
  for (const k8s::ResourceType* type : gv->types) {
    json::object entry{{"name", type->plural},
                       {"singularName", type->singular},
                       {"namespaced", type->namespaced},
                       {"kind", type->kind},
                       {"verbs", verbs_of(*type)}};
    if (!type->shortNames.empty()) entry["shortNames"] = to_array(type->shortNames);
    if (!type->categories.empty()) entry["categories"] = to_array(type->categories);
    resources.push_back(std::move(entry));
    for (Subresource& sub : subresources_of(*type)) {
      json::object child{{"name", type->plural + "/" + sub.name},
                         {"singularName", ""},
                         {"namespaced", type->namespaced},
                         {"kind", sub.kind},
                         {"verbs", std::move(sub.verbs)}};
      if (sub.group != type->group || sub.version != type->version) {
        child["group"] = sub.group;
        child["version"] = sub.version;
      }
      resources.push_back(std::move(child));
    }
  }
  return json::object{{"kind", "APIResourceList"},
                      {"apiVersion", "v1"},
                      {"groupVersion", gv->name()},
                      {"resources", std::move(resources)}};
}

json::object openapi_index() {
  json::object paths;
  for (const GroupVersion& gv : group_versions())
    paths[openapi_path(gv)] = json::object{{"serverRelativeURL", "/openapi/v3/" + openapi_path(gv) + "?hash=1"}};
  return {{"paths", std::move(paths)}};
}

std::optional<json::object> openapi_version(std::string_view group, std::string_view version) {
  const GroupVersion* gv = find(group, version);
  if (!gv) return std::nullopt;
  json::object paths;
  for (const k8s::ResourceType* type : gv->types) {
    const std::string path = "/" + openapi_path(*gv) + (type->namespaced ? "/namespaces/{namespace}/" : "/") +
                             type->plural + (is_review(*type) ? "" : "/{name}");
    paths[path] = json::object{{is_review(*type) ? "post" : "patch", patch_operation(*type)}};
  }
  return json::object{{"openapi", "3.0.0"},
                      {"info", json::object{{"title", "Kubernetes"}, {"version", "v1.33.0"}}},
                      {"paths", std::move(paths)},
                      {"components", json::object{{"schemas", json::object{}}}}};
}

}  // namespace carrick::apiserver
