#include "k8s/resources.h"

#include <unordered_map>

#include "k8s/apps.h"
#include "k8s/cluster_policy.h"
#include "k8s/core.h"
#include "k8s/discovery.h"
#include "k8s/networking.h"

namespace carrick::k8s {
namespace {

enum Scope : bool { kCluster = false, kNamespaced = true };
enum Subresources { kNone = 0, kStatus = 1, kScale = 2 };

ResourceType make(std::string_view api, const char* kind, const char* plural, Scope scope, int subresources = kNone,
                  std::vector<std::string> short_names = {}, std::vector<std::string> categories = {}) {
  ResourceType type;
  const size_t slash = api.find('/');
  if (slash != api.npos) type.group = api.substr(0, slash);
  type.version = slash == api.npos ? api : api.substr(slash + 1);
  type.kind = kind;
  type.plural = plural;
  for (char c : type.kind) type.singular += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  type.namespaced = scope;
  type.shortNames = std::move(short_names);
  type.categories = std::move(categories);
  type.has_status = subresources & kStatus;
  type.has_scale = subresources & kScale;
  return type;
}

// Names, scopes and short names as kube-apiserver 1.33 reports them in discovery.
std::vector<ResourceType> make_types() {
  const std::vector<std::string> all{"all"};
  const std::string rbac = "rbac.authorization.k8s.io/v1";
  const std::string networking = "networking.k8s.io/v1";
  return {
      make("v1", "Namespace", "namespaces", kCluster, kStatus, {"ns"}),
      make("v1", "Node", "nodes", kCluster, kStatus, {"no"}),
      make("v1", "Pod", "pods", kNamespaced, kStatus, {"po"}, all),
      make("v1", "Service", "services", kNamespaced, kStatus, {"svc"}, all),
      make("v1", "Endpoints", "endpoints", kNamespaced, kNone, {"ep"}),
      make("v1", "ConfigMap", "configmaps", kNamespaced, kNone, {"cm"}),
      make("v1", "Secret", "secrets", kNamespaced),
      make("v1", "ServiceAccount", "serviceaccounts", kNamespaced, kNone, {"sa"}),
      make("v1", "Event", "events", kNamespaced, kNone, {"ev"}),
      make("v1", "PersistentVolume", "persistentvolumes", kCluster, kStatus, {"pv"}),
      make("v1", "PersistentVolumeClaim", "persistentvolumeclaims", kNamespaced, kStatus, {"pvc"}),
      make("v1", "LimitRange", "limitranges", kNamespaced, kNone, {"limits"}),
      make("v1", "ResourceQuota", "resourcequotas", kNamespaced, kStatus, {"quota"}),
      make("v1", "PodTemplate", "podtemplates", kNamespaced),
      make("apps/v1", "Deployment", "deployments", kNamespaced, kStatus | kScale, {"deploy"}, all),
      make("apps/v1", "ReplicaSet", "replicasets", kNamespaced, kStatus | kScale, {"rs"}, all),
      make("apps/v1", "StatefulSet", "statefulsets", kNamespaced, kStatus | kScale, {"sts"}, all),
      make("apps/v1", "DaemonSet", "daemonsets", kNamespaced, kStatus, {"ds"}, all),
      make("apps/v1", "ControllerRevision", "controllerrevisions", kNamespaced),
      make("batch/v1", "Job", "jobs", kNamespaced, kStatus, {}, all),
      make("batch/v1", "CronJob", "cronjobs", kNamespaced, kStatus, {"cj"}, all),
      make("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", kNamespaced),
      make(networking, "NetworkPolicy", "networkpolicies", kNamespaced, kNone, {"netpol"}),
      make(networking, "Ingress", "ingresses", kNamespaced, kStatus, {"ing"}),
      make(networking, "IngressClass", "ingressclasses", kCluster),
      make(networking, "ServiceCIDR", "servicecidrs", kCluster, kStatus),
      make(networking, "IPAddress", "ipaddresses", kCluster, kNone, {"ip"}),
      make("coordination.k8s.io/v1", "Lease", "leases", kNamespaced),
      make("events.k8s.io/v1", "Event", "events", kNamespaced, kNone, {"ev"}),
      make("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", kNamespaced, kStatus, {"pdb"}),
      make(rbac, "Role", "roles", kNamespaced),
      make(rbac, "RoleBinding", "rolebindings", kNamespaced),
      make(rbac, "ClusterRole", "clusterroles", kCluster),
      make(rbac, "ClusterRoleBinding", "clusterrolebindings", kCluster),
      make("storage.k8s.io/v1", "StorageClass", "storageclasses", kCluster, kNone, {"sc"}),
      make("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", kCluster, kNone, {"pc"}),
      make("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", kCluster, kStatus,
           {"crd", "crds"}, {"api-extensions"}),
      make("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", kNamespaced, kStatus, {"hpa"}, all),
  };
}

// Kinds that Carrick holds where a CustomResourceDefinition offers them.
std::vector<ResourceType> make_custom_types() {
  return {make("policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy", "clusternetworkpolicies", kCluster, kStatus,
               {"cnp"})};
}

struct Table {
  std::vector<ResourceType> types = make_types(), custom = make_custom_types();
  // Several groups may use one name (core and events.k8s.io have Event).
  std::unordered_map<std::string_view, std::vector<const ResourceType*>> by_kind, by_plural;

  Table() {
    for (const ResourceType& type : types) {
      by_kind[type.kind].push_back(&type);
      by_plural[type.plural].push_back(&type);
    }
    for (const ResourceType& type : custom) by_kind[type.kind].push_back(&type);
  }
};

const Table& table() {
  static const Table instance;
  return instance;
}

bool has_api_version(const ResourceType& type, std::string_view api_version) {
  if (type.group.empty()) return api_version == type.version;
  return api_version.size() == type.group.size() + 1 + type.version.size() && api_version.starts_with(type.group) &&
         api_version[type.group.size()] == '/' && api_version.ends_with(type.version);
}

}  // namespace

std::span<const ResourceType> resource_types() { return table().types; }

const ResourceType* find_by_kind(std::string_view apiVersion, std::string_view kind) {
  const auto found = table().by_kind.find(kind);
  if (found == table().by_kind.end()) return nullptr;
  for (const ResourceType* type : found->second)
    if (has_api_version(*type, apiVersion)) return type;
  return nullptr;
}

const ResourceType* find_by_plural(std::string_view group, std::string_view version, std::string_view plural) {
  const auto found = table().by_plural.find(plural);
  if (found == table().by_plural.end()) return nullptr;
  for (const ResourceType* type : found->second)
    if (type->group == group && type->version == version) return type;
  return nullptr;
}

#define CARRICK_RESOURCE(T, api)                                   \
  template <>                                                      \
  const ResourceType& resource<T>() {                              \
    static const ResourceType* const type = find_by_kind(api, #T); \
    return *type;                                                  \
  }
CARRICK_RESOURCE(Namespace, "v1")
CARRICK_RESOURCE(Node, "v1")
CARRICK_RESOURCE(Pod, "v1")
CARRICK_RESOURCE(Service, "v1")
CARRICK_RESOURCE(ConfigMap, "v1")
CARRICK_RESOURCE(EndpointSlice, "discovery.k8s.io/v1")
CARRICK_RESOURCE(NetworkPolicy, "networking.k8s.io/v1")
CARRICK_RESOURCE(ClusterNetworkPolicy, "policy.networking.k8s.io/v1alpha2")
CARRICK_RESOURCE(Deployment, "apps/v1")
CARRICK_RESOURCE(ReplicaSet, "apps/v1")
CARRICK_RESOURCE(StatefulSet, "apps/v1")
CARRICK_RESOURCE(DaemonSet, "apps/v1")
CARRICK_RESOURCE(Job, "batch/v1")
#undef CARRICK_RESOURCE

std::string collection_path(const ResourceType& type, std::string_view namespace_) {
  std::string path = type.group.empty() ? "/api/" + type.version : "/apis/" + type.group + "/" + type.version;
  if (type.namespaced && !namespace_.empty()) path.append("/namespaces/").append(namespace_);
  return path + "/" + type.plural;
}

}  // namespace carrick::k8s
