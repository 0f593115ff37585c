#include "apiserver/discovery.h"

#include <algorithm>

namespace carrick::apiserver {
namespace {

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
  if (type.plural == "serviceaccounts")
    out.push_back({"token", "authentication.k8s.io", "v1", "TokenRequest", {"create"}});
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

json::object aggregated(CustomKinds custom, std::string_view version, bool core) {
  json::array items;
  for (const GroupVersion& gv : group_versions(custom)) {
    if (gv.group.empty() != core) continue;
    json::array resources;
    for (const Offered& kind : gv.kinds) resources.push_back(aggregated_resource(*kind.type));
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

DiscoveryAnswer aggregated_answer(CustomKinds custom, const std::string& version, bool core) {
  return {aggregated(custom, version, core),
          "application/json;g=apidiscovery.k8s.io;v=" + version + ";as=APIGroupDiscoveryList"};
}

json::object group_object(const std::vector<GroupVersion>& all, std::string_view group) {
  json::array versions;
  for (const GroupVersion& gv : all)
    if (gv.group == group) versions.push_back(json::object{{"groupVersion", gv.name()}, {"version", gv.version}});
  json::value preferred = versions.front();
  return {{"name", group}, {"versions", std::move(versions)}, {"preferredVersion", std::move(preferred)}};
}

}  // namespace

DiscoveryAnswer discover_core(const std::vector<MediaType>& accept, std::string_view server_address) {
  if (const auto version = aggregated_version(accept)) return aggregated_answer({}, *version, true);
  json::array addresses;
  addresses.push_back(json::object{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", server_address}});
  return {
      {{"kind", "APIVersions"}, {"versions", json::array{"v1"}}, {"serverAddressByClientCIDRs", std::move(addresses)}}};
}

DiscoveryAnswer discover_groups(CustomKinds custom, const std::vector<MediaType>& accept) {
  if (const auto version = aggregated_version(accept)) return aggregated_answer(custom, *version, false);
  json::array groups;
  std::vector<std::string> seen{""};
  const auto all = group_versions(custom);
  for (const GroupVersion& gv : all) {
    if (std::ranges::find(seen, gv.group) != seen.end()) continue;
    seen.push_back(gv.group);
    groups.push_back(group_object(all, gv.group));
  }
  return {{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}}};
}

std::optional<json::object> discover_group(CustomKinds custom, std::string_view group) {
  const auto all = group_versions(custom);
  if (group.empty() || std::ranges::none_of(all, [&](const GroupVersion& gv) { return gv.group == group; }))
    return std::nullopt;
  json::object out = group_object(all, group);
  out["kind"] = "APIGroup";
  out["apiVersion"] = "v1";
  return out;
}

std::optional<json::object> discover_version(CustomKinds custom, std::string_view group, std::string_view version) {
  const auto all = group_versions(custom);
  const auto gv = std::ranges::find_if(
      all, [&](const GroupVersion& candidate) { return candidate.group == group && candidate.version == version; });
  if (gv == all.end()) return std::nullopt;
  json::array resources;
  for (const Offered& kind : gv->kinds) {
    const k8s::ResourceType* type = kind.type;
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

}  // namespace carrick::apiserver
