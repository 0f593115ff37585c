#include "apiserver/rbac.h"

#include <algorithm>

#include "apiserver/document.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr const char* kRbac = "rbac.authorization.k8s.io/v1";
constexpr std::string_view kServiceAccount = "system:serviceaccount:";

const k8s::ResourceType& type_of(const char* kind) { return *k8s::find_by_kind(kRbac, kind); }

bool is_master(const User& user) { return std::ranges::find(user.groups, "system:masters") != user.groups.end(); }

bool has(const json::object& rule, std::string_view list, std::string_view value) {
  const json::array* values = array_at(rule, list);
  return values && std::ranges::any_of(*values, [&](const json::value& one) {
           return one.is_string() && (one.get_string() == "*" || one.get_string() == value);
         });
}

bool has_resource(const json::object& rule, const Attributes& asked) {
  if (asked.subresource.empty()) return has(rule, "resources", asked.resource);
  return has(rule, "resources", asked.resource + "/" + asked.subresource) ||
         has(rule, "resources", "*/" + asked.subresource);
}

bool has_path(const json::object& rule, std::string_view path) {
  const json::array* paths = array_at(rule, "nonResourceURLs");
  return paths && std::ranges::any_of(*paths, [&](const json::value& one) {
           if (!one.is_string()) return false;
           const std::string_view pattern = one.get_string();
           return pattern == path ||
                  (pattern.ends_with('*') && path.starts_with(pattern.substr(0, pattern.size() - 1)));
         });
}

bool allows(const json::object& rule, const Attributes& asked) {
  if (!has(rule, "verbs", asked.verb)) return false;
  if (!asked.path.empty()) return has_path(rule, asked.path);
  if (!has(rule, "apiGroups", asked.group) || !has_resource(rule, asked)) return false;
  const json::array* names = array_at(rule, "resourceNames");
  return !names || names->empty() || std::ranges::any_of(*names, [&](const json::value& name) {
    return name.is_string() && name.get_string() == asked.name;
  });
}

// The subject that makes the binding one of the user, as it is written; empty when there is none.
std::string subject_of(const json::object& binding, const User& user) {
  const json::array* subjects = array_at(binding, "subjects");
  for (const json::value& value : subjects ? *subjects : json::array{}) {
    const json::object* subject = value.if_object();
    if (!subject) continue;
    const std::string_view kind = text_at(*subject, "kind"), name = text_at(*subject, "name");
    const std::string_view namespace_ = text_at(*subject, "namespace");
    if (kind == "User" && name == user.name) return fmt::format("User \"{}\"", name);
    if (kind == "Group" && std::ranges::find(user.groups, name) != user.groups.end())
      return fmt::format("Group \"{}\"", name);
    if (kind == "ServiceAccount" && user.name == fmt::format("{}{}:{}", kServiceAccount, namespace_, name))
      return fmt::format("ServiceAccount \"{}/{}\"", name, namespace_);
  }
  return {};
}

// Calls `visit` with each rule that the user has in the namespace (empty: cluster-wide rules only), and why, until it
// says true.
template <class Visit>
void for_each_rule(const Store& store, const User& user, std::string_view namespace_, Visit visit) {
  const auto look = [&](const char* kind, std::string_view in) {
    for (const Record& record : store.list(type_of(kind), in)) {
      const json::object& binding = record->document;
      const std::string subject = subject_of(binding, user);
      if (subject.empty()) continue;
      const bool cluster = text_at(binding, "roleRef.kind") == "ClusterRole";
      const std::string name(text_at(binding, "roleRef.name"));
      const Record role = cluster       ? store.get(type_of("ClusterRole"), {"", name})
                          : !in.empty() ? store.get(type_of("Role"), {std::string(in), name})
                                        : nullptr;
      const json::array* rules = role ? array_at(role->document, "rules") : nullptr;
      for (const json::value& rule : rules ? *rules : json::array{})
        if (rule.is_object() && visit(rule.get_object(), [&] {
              return fmt::format("RBAC: allowed by {} \"{}{}\" of {} \"{}\" to {}", kind,
                                 text_at(binding, "metadata.name"), in.empty() ? "" : "/" + std::string(in),
                                 cluster ? "ClusterRole" : "Role", name, subject);
            }))
          return true;
    }
    return false;
  };
  if (look("ClusterRoleBinding", "") || namespace_.empty()) return;
  look("RoleBinding", namespace_);
}

}  // namespace

User with_implied_groups(User user) {
  const auto add = [&user](std::string group) {
    if (std::ranges::find(user.groups, group) == user.groups.end()) user.groups.push_back(std::move(group));
  };
  if (user.name.starts_with(kServiceAccount)) {
    const std::string_view rest = std::string_view(user.name).substr(kServiceAccount.size());
    add("system:serviceaccounts");
    add("system:serviceaccounts:" + std::string(rest.substr(0, rest.find(':'))));
  }
  add(user.name == "system:anonymous" ? "system:unauthenticated" : "system:authenticated");
  return user;
}

Attributes attributes_of(const Request& request, const Route* route) {
  const std::string& method = request.method;
  Attributes out;
  if (!route) {
    out.verb = method == "HEAD" ? "get" : lower(method);
    for (const std::string& segment : request.target.segments) out.path += "/" + segment;
    if (out.path.empty()) out.path = "/";
    return out;
  }
  const bool one = !route->name.empty();
  if (method == "GET" || method == "HEAD")
    out.verb = request.target.query.flag("watch") ? "watch" : one ? "get" : "list";
  else if (method == "POST")
    out.verb = "create";
  else if (method == "PUT")
    out.verb = "update";
  else if (method == "PATCH")
    out.verb = "patch";
  else
    out.verb = one ? "delete" : "deletecollection";
  out.group = route->type->group;
  out.resource = route->type->plural;
  out.subresource = route->subresource.substr(0, route->subresource.find('/'));
  // Who may look into a namespace may be allowed to see the namespace itself.
  out.namespace_ = out.group.empty() && out.resource == "namespaces" ? route->name : route->namespace_;
  out.name = route->name;
  return out;
}

Decision authorize(const Store& store, const User& user, const Attributes& attributes) {
  if (is_master(user)) return {true, ""};
  Decision decision;
  for_each_rule(store, user, attributes.namespace_, [&](const json::object& rule, const auto& why) {
    if (!allows(rule, attributes)) return false;
    decision = {true, why()};
    return true;
  });
  return decision;
}

Status refused(const User& user, const Attributes& asked) {
  if (!asked.path.empty())
    return {.code = 403,
            .reason = "Forbidden",
            .message = fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"", user.name, asked.verb, asked.path)};
  const std::string resource = asked.subresource.empty() ? asked.resource : asked.resource + "/" + asked.subresource;
  std::string subject = asked.group.empty() ? asked.resource : asked.resource + "." + asked.group;
  if (!asked.name.empty()) subject += fmt::format(" \"{}\"", asked.name);
  const bool in_namespace = !asked.namespace_.empty() && asked.resource != "namespaces";
  return {.code = 403,
          .reason = "Forbidden",
          .message = fmt::format("{} is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}",
                                 subject, user.name, asked.verb, resource, asked.group,
                                 in_namespace ? fmt::format("in the namespace \"{}\"", asked.namespace_)
                                              : std::string("at the cluster scope")),
          .name = asked.name,
          .group = asked.group,
          .kind = asked.resource};
}

json::object rules_of(const Store& store, const User& user, std::string_view namespace_) {
  json::array resources, paths;
  const auto add = [&](const json::object& rule) {
    json::object out{{"verbs", rule.contains("verbs") ? rule.at("verbs") : json::value(json::array{})}};
    const bool path = has_entries(rule, "nonResourceURLs");
    for (std::string_view name : {"apiGroups", "resources", "resourceNames", "nonResourceURLs"})
      if (rule.contains(name) && (name == "nonResourceURLs") == path) out[name] = rule.at(name);
    (path ? paths : resources).push_back(std::move(out));
  };
  const json::array all{"*"};
  if (is_master(user)) {
    add({{"verbs", all}, {"apiGroups", all}, {"resources", all}});
    add({{"verbs", all}, {"nonResourceURLs", all}});
  }
  for_each_rule(store, user, namespace_, [&](const json::object& rule, const auto&) {
    add(rule);
    return false;
  });
  return {{"resourceRules", std::move(resources)}, {"nonResourceRules", std::move(paths)}, {"incomplete", false}};
}

}  // namespace carrick::apiserver
