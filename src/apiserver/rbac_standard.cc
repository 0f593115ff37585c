#include "apiserver/document.h"
#include "apiserver/rbac.h"
#include "base/text.h"

// Names and meaning as of the roles that kube-apiserver makes.
namespace carrick::apiserver {
namespace {

using Objects = std::vector<std::pair<const k8s::ResourceType*, json::object>>;

json::array words(std::string_view text) {
  json::array out;
  for (std::string_view word : split(text, ' ')) out.emplace_back(word == "core" ? "" : word);
  return out;
}

json::object resources(std::string_view groups, std::string_view names, std::string_view verbs) {
  return {{"verbs", words(verbs)}, {"apiGroups", words(groups)}, {"resources", words(names)}};
}

json::object paths(std::string_view urls) { return {{"verbs", words("get")}, {"nonResourceURLs", words(urls)}}; }

json::object metadata(std::string_view name) {
  return {{"name", name}, {"labels", json::object{{"kubernetes.io/bootstrapping", "rbac-defaults"}}}};
}

void add(Objects& out, std::string_view name, json::array rules, std::string_view groups = {}) {
  out.emplace_back(k8s::find_by_kind("rbac.authorization.k8s.io/v1", "ClusterRole"),
                   json::object{{"metadata", metadata(name)}, {"rules", std::move(rules)}});
  if (groups.empty()) return;
  json::array subjects;
  for (std::string_view group : split(groups, ' '))
    subjects.push_back(json::object{{"kind", "Group"}, {"apiGroup", "rbac.authorization.k8s.io"}, {"name", group}});
  json::object role{{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", "ClusterRole"}, {"name", name}};
  out.emplace_back(
      k8s::find_by_kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
      json::object{{"metadata", metadata(name)}, {"subjects", std::move(subjects)}, {"roleRef", std::move(role)}});
}

json::array list_of(std::initializer_list<json::object> rules) {
  json::array out;
  for (const json::object& rule : rules) out.push_back(rule);
  return out;
}

constexpr std::string_view kRead = "get list watch";
constexpr std::string_view kWrite = "create delete deletecollection get list patch update watch";
constexpr std::string_view kGroups = "core apps autoscaling batch discovery.k8s.io networking.k8s.io policy";
constexpr std::string_view kNamespaced =
    "configmaps endpoints persistentvolumeclaims pods pods/log pods/status services services/status replicasets "
    "replicasets/scale deployments deployments/scale statefulsets statefulsets/scale daemonsets jobs cronjobs "
    "endpointslices networkpolicies ingresses ingresses/status poddisruptionbudgets horizontalpodautoscalers "
    "serviceaccounts controllerrevisions";
constexpr std::string_view kReadOnly = "events limitranges resourcequotas namespaces";

}  // namespace

Objects standard_roles() {
  const json::object view = resources(kGroups, std::string(kNamespaced) + " " + std::string(kReadOnly), kRead);
  const json::object edit = resources(kGroups, kNamespaced, kWrite);
  const json::object inside = resources(
      "core",
      "pods/attach pods/exec pods/portforward pods/proxy services/proxy secrets pods/eviction serviceaccounts/token",
      kWrite);
  const json::object bind = resources("rbac.authorization.k8s.io", "roles rolebindings", kWrite);
  const json::object ask = resources("authorization.k8s.io", "localsubjectaccessreviews", "create");
  const json::object events = resources("core events.k8s.io", "events", "create patch update");
  const json::object leases = resources("coordination.k8s.io", "leases", kWrite);
  Objects out;
  add(out, "cluster-admin",
      list_of({resources("*", "*", "*"), {{"verbs", words("*")}, {"nonResourceURLs", words("*")}}}), "system:masters");
  add(out, "view", list_of({view}));
  add(out, "edit", list_of({view, edit, inside, events, leases}));
  add(out, "admin", list_of({view, edit, inside, events, leases, bind, ask}));
  add(out, "system:discovery",
      list_of({paths("/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")}),
      "system:authenticated");
  add(out, "system:public-info-viewer", list_of({paths("/healthz /livez /readyz /version /version/")}),
      "system:authenticated system:unauthenticated");
  add(out, "system:basic-user",
      list_of({resources("authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews", "create"),
               resources("authentication.k8s.io", "selfsubjectreviews", "create")}),
      "system:authenticated");
  add(out, "system:service-account-issuer-discovery",
      list_of({paths(
          "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")}),
      "system:serviceaccounts");
  add(out, "system:auth-delegator",
      list_of({resources("authentication.k8s.io", "tokenreviews", "create"),
               resources("authorization.k8s.io", "subjectaccessreviews", "create")}));
  add(out, "system:node",
      list_of({resources("core discovery.k8s.io networking.k8s.io policy.networking.k8s.io", "*", kRead), events,
               leases, resources("core", "nodes nodes/status pods/status", "create get list patch update watch"),
               resources("core", "pods", "create delete get list watch"),
               resources("core", "serviceaccounts/token", "create")}),
      "system:nodes");
  return out;
}

}  // namespace carrick::apiserver
