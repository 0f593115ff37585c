#include <unordered_map>

#include "base/encoding.h"
#include "k8s/apps.h"
#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/fields.h"
#include "k8s/objects.h"
#include "k8s/pod_defaults.h"

// The defaults of kube-apiserver 1.33 (pkg/apis/*/v1/defaults.go), and what its create strategies always set.
namespace carrick::k8s {
namespace {

json::object* template_spec(json::object& spec) {
  json::object* pod_template = ensure(spec, "template");
  if (!pod_template) return nullptr;
  ensure(*pod_template, "metadata");
  return ensure(*pod_template, "spec");
}

void default_template(json::object& spec) {
  if (json::object* pod = template_spec(spec)) default_pod_spec(*pod);
}

void default_namespace(json::object& document) {
  ensure(document, "metadata");
  ensure(document, "spec");
  ensure(document, "status");
  json::object* metadata = child(document, "metadata");
  json::object* spec = child(document, "spec");
  json::object* status = child(document, "status");
  if (!metadata || !spec || !status) return;
  const bool leaving = member(*metadata, "deletionTimestamp");
  const std::string name(text(*metadata, "name"));
  if (!name.empty())
    if (json::object* labels = ensure(*metadata, "labels")) (*labels)["kubernetes.io/metadata.name"] = name;
  if (!leaving) set_default(*spec, "finalizers", json::array{"kubernetes"});
  set_default_text(*status, "phase", leaving ? "Terminating" : "Active");
}

void default_service(json::object& document) {
  ensure(document, "status");
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default_text(*spec, "sessionAffinity", "None");
  if (text(*spec, "sessionAffinity") == "None") spec->erase("sessionAffinityConfig");
  if (text(*spec, "sessionAffinity") == "ClientIP")
    if (json::object* config = ensure(*spec, "sessionAffinityConfig"))
      if (json::object* client = ensure(*config, "clientIP")) set_default(*client, "timeoutSeconds", 10800);
  set_default_text(*spec, "type", "ClusterIP");
  each_object(*spec, "ports", [](json::object& port) {
    set_default_text(port, "protocol", "TCP");
    const json::value* target = member(port, "targetPort");
    const json::value* number = member(port, "port");
    const bool empty = !target || *target == 0 || *target == "";
    if (empty && number) port["targetPort"] = json::value(*number);
  });
  const std::string type(text(*spec, "type"));
  const bool external = type == "NodePort" || type == "LoadBalancer";
  const json::array* external_ips = list(*spec, "externalIPs");
  if (external || (type == "ClusterIP" && external_ips && !external_ips->empty()))
    set_default_text(*spec, "externalTrafficPolicy", "Cluster");
  if (type == "ClusterIP" || external) set_default(*spec, "internalTrafficPolicy", "Cluster");
  if (type == "LoadBalancer") set_default(*spec, "allocateLoadBalancerNodePorts", true);
  json::object* status = child(document, "status");
  json::object* balancer = status ? ensure(*status, "loadBalancer") : nullptr;
  if (balancer)
    each_object(*balancer, "ingress", [](json::object& ingress) {
      if (!text(ingress, "ip").empty()) set_default(ingress, "ipMode", "VIP");
    });
}

void default_deployment(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default(*spec, "replicas", 1);
  set_default(*spec, "revisionHistoryLimit", 10);
  set_default(*spec, "progressDeadlineSeconds", 600);
  if (json::object* strategy = ensure(*spec, "strategy")) {
    set_default_text(*strategy, "type", "RollingUpdate");
    if (text(*strategy, "type") == "RollingUpdate")
      if (json::object* rolling = ensure(*strategy, "rollingUpdate")) {
        set_default(*rolling, "maxUnavailable", "25%");
        set_default(*rolling, "maxSurge", "25%");
      }
  }
  default_template(*spec);
  ensure(document, "status");
}

void default_replicaset(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default(*spec, "replicas", 1);
  default_template(*spec);
  ensure(document, "status");
  if (json::object* status = child(document, "status")) set_default(*status, "replicas", 0);
}

void default_daemonset(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default(*spec, "revisionHistoryLimit", 10);
  if (json::object* strategy = ensure(*spec, "updateStrategy")) {
    set_default_text(*strategy, "type", "RollingUpdate");
    if (text(*strategy, "type") == "RollingUpdate")
      if (json::object* rolling = ensure(*strategy, "rollingUpdate")) {
        set_default(*rolling, "maxUnavailable", 1);
        set_default(*rolling, "maxSurge", 0);
      }
  }
  default_template(*spec);
  ensure(document, "status");
  if (json::object* status = child(document, "status"))
    for (const char* count : {"currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady"})
      set_default(*status, count, 0);
}

void default_claim(json::object& claim) {
  if (json::object* spec = ensure(claim, "spec")) set_default_text(*spec, "volumeMode", "Filesystem");
  if (json::object* status = ensure(claim, "status")) set_default_text(*status, "phase", "Pending");
}

void default_statefulset(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default(*spec, "replicas", 1);
  set_default(*spec, "revisionHistoryLimit", 10);
  set_default_text(*spec, "podManagementPolicy", "OrderedReady");
  set_default(*spec, "serviceName", "");
  if (json::object* strategy = ensure(*spec, "updateStrategy")) {
    set_default_text(*strategy, "type", "RollingUpdate");
    if (text(*strategy, "type") == "RollingUpdate")
      if (json::object* rolling = ensure(*strategy, "rollingUpdate")) set_default(*rolling, "partition", 0);
  }
  if (json::object* retention = ensure(*spec, "persistentVolumeClaimRetentionPolicy")) {
    set_default_text(*retention, "whenDeleted", "Retain");
    set_default_text(*retention, "whenScaled", "Retain");
  }
  each_object(*spec, "volumeClaimTemplates", [](json::object& claim) {
    set_default_text(claim, "apiVersion", "v1");
    set_default_text(claim, "kind", "PersistentVolumeClaim");
    default_claim(claim);
  });
  default_template(*spec);
  ensure(document, "status");
  if (json::object* status = child(document, "status"))
    for (const char* count : {"replicas", "availableReplicas"}) set_default(*status, count, 0);
}

// The selector of a Job is made by the server from its uid, unless the Job says that it brings its own.
void generate_job_selector(json::object& metadata, json::object& spec) {
  const std::string uid(text(metadata, "uid")), name(text(metadata, "name"));
  if (uid.empty() || is_true(spec, "manualSelector") || member(spec, "selector")) return;
  json::object* pod_template = ensure(spec, "template");
  json::object* template_metadata = pod_template ? ensure(*pod_template, "metadata") : nullptr;
  json::object* labels = template_metadata ? ensure(*template_metadata, "labels") : nullptr;
  if (!labels) return;
  for (const char* prefix : {"batch.kubernetes.io/", ""}) {
    (*labels)[std::string(prefix) + "controller-uid"] = uid;
    (*labels)[std::string(prefix) + "job-name"] = name;
  }
  spec["selector"] = {{"matchLabels", {{"batch.kubernetes.io/controller-uid", uid}}}};
}

void default_job(json::object& document) {
  ensure(document, "metadata");
  ensure(document, "spec");
  ensure(document, "status");
  json::object* metadata = child(document, "metadata");
  json::object* spec = child(document, "spec");
  if (!metadata || !spec) return;
  const bool has_completions = member(*spec, "completions");
  if (!has_completions && !member(*spec, "parallelism")) (*spec)["completions"] = 1;
  set_default(*spec, "parallelism", 1);
  set_default(*spec, "backoffLimit", 6);
  set_default_text(*spec, "completionMode", "NonIndexed");
  set_default(*spec, "suspend", false);
  set_default(*spec, "podReplacementPolicy", member(*spec, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
  set_default(*spec, "manualSelector", false);
  default_template(*spec);
  generate_job_selector(*metadata, *spec);
  const json::object* pod_template = child(*spec, "template");
  const json::object* template_metadata = pod_template ? child(*pod_template, "metadata") : nullptr;
  const json::object* labels = template_metadata ? child(*template_metadata, "labels") : nullptr;
  if (labels && !labels->empty())
    if (const json::object* own = child(*metadata, "labels"); !own || own->empty()) (*metadata)["labels"] = *labels;
}

void default_cronjob(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default_text(*spec, "concurrencyPolicy", "Allow");
  set_default(*spec, "suspend", false);
  set_default(*spec, "successfulJobsHistoryLimit", 3);
  set_default(*spec, "failedJobsHistoryLimit", 1);
  json::object* job = ensure(*spec, "jobTemplate");
  if (json::object* job_spec = job ? ensure(*job, "spec") : nullptr) default_template(*job_spec);
  ensure(document, "status");
}

void default_networkpolicy(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  ensure(*spec, "podSelector");
  for (const char* direction : {"ingress", "egress"})
    each_object(*spec, direction, [](json::object& rule) {
      each_object(rule, "ports", [](json::object& port) { set_default(port, "protocol", "TCP"); });
    });
  const json::array* types = list(*spec, "policyTypes");
  if (types && !types->empty()) return;
  json::array defaults{"Ingress"};  // NP-2
  if (const json::array* egress = list(*spec, "egress"); egress && !egress->empty()) defaults.push_back("Egress");
  (*spec)["policyTypes"] = std::move(defaults);
}

void default_endpointslice(json::object& document) {
  each_object(document, "ports", [](json::object& port) {
    set_default(port, "name", "");
    set_default(port, "protocol", "TCP");
  });
  each_object(document, "endpoints", [](json::object& endpoint) { ensure(endpoint, "conditions"); });
  for (const char* required : {"endpoints", "ports"}) set_default(document, required, json::array{});
}

void default_endpoints(json::object& document) {
  each_object(document, "subsets", [](json::object& subset) {
    each_object(subset, "ports", [](json::object& port) { set_default_text(port, "protocol", "TCP"); });
  });
}

void default_node(json::object& document) {
  ensure(document, "spec");
  json::object* status = ensure(document, "status");
  if (!status || member(*status, "allocatable")) return;
  if (const json::value* capacity = member(*status, "capacity")) (*status)["allocatable"] = json::value(*capacity);
}

void default_secret(json::object& document) {
  set_default_text(document, "type", "Opaque");
  if (const json::object* plain = child(document, "stringData")) {  // write-only: the API moves it into data
    const json::object values = *plain;
    document.erase("stringData");
    if (json::object* data = ensure(document, "data"))
      for (const auto& [key, value] : values)
        if (value.is_string()) (*data)[key] = base64(value.get_string());
  }
}

void default_volume_kind(json::object& document) {
  if (json::object* spec = ensure(document, "spec")) {
    set_default_text(*spec, "volumeMode", "Filesystem");
    if (text(document, "kind") == "PersistentVolume")
      set_default_text(*spec, "persistentVolumeReclaimPolicy", "Retain");
  }
  if (json::object* status = ensure(document, "status")) set_default_text(*status, "phase", "Pending");
}

void default_binding(json::object& document) {
  constexpr std::string_view kGroup = "rbac.authorization.k8s.io";
  if (json::object* role = child(document, "roleRef")) set_default_text(*role, "apiGroup", kGroup);
  each_object(document, "subjects", [&](json::object& subject) {
    if (text(subject, "kind") != "ServiceAccount") set_default_text(subject, "apiGroup", kGroup);
  });
}

void default_storageclass(json::object& document) {
  set_default(document, "reclaimPolicy", "Delete");
  set_default(document, "volumeBindingMode", "Immediate");
}

void default_ingress(json::object& document) {
  ensure(document, "status");
  if (json::object* status = child(document, "status")) ensure(*status, "loadBalancer");
}

void default_autoscaler(json::object& document) {
  json::object* spec = ensure(document, "spec");
  if (!spec) return;
  set_default(*spec, "minReplicas", 1);
  const json::array* metrics = list(*spec, "metrics");
  if (!metrics || metrics->empty())
    (*spec)["metrics"] = {
        {{"type", "Resource"},
         {"resource", {{"name", "cpu"}, {"target", {{"type", "Utilization"}, {"averageUtilization", 80}}}}}}};
  ensure(document, "status");
}

void default_priorityclass(json::object& document) {
  set_default(document, "preemptionPolicy", "PreemptLowerPriority");
}

void default_pod_template(json::object& document) { default_template(document); }

using Defaulter = void (*)(json::object&);
const std::unordered_map<const ResourceType*, Defaulter>& defaulters() {
  static const std::unordered_map<const ResourceType*, Defaulter> table{
      {&resource<Namespace>(), default_namespace},
      {&resource<Node>(), default_node},
      {&resource<Pod>(), default_pod},
      {&resource<Service>(), default_service},
      {&resource<Deployment>(), default_deployment},
      {&resource<ReplicaSet>(), default_replicaset},
      {&resource<StatefulSet>(), default_statefulset},
      {&resource<DaemonSet>(), default_daemonset},
      {&resource<Job>(), default_job},
      {&resource<NetworkPolicy>(), default_networkpolicy},
      {&resource<EndpointSlice>(), default_endpointslice},
      {find_by_kind("batch/v1", "CronJob"), default_cronjob},
      {find_by_kind("v1", "Endpoints"), default_endpoints},
      {find_by_kind("v1", "Secret"), default_secret},
      {find_by_kind("v1", "PodTemplate"), default_pod_template},
      {find_by_kind("v1", "PersistentVolume"), default_volume_kind},
      {find_by_kind("v1", "PersistentVolumeClaim"), default_volume_kind},
      {find_by_kind("rbac.authorization.k8s.io/v1", "RoleBinding"), default_binding},
      {find_by_kind("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"), default_binding},
      {find_by_kind("storage.k8s.io/v1", "StorageClass"), default_storageclass},
      {find_by_kind("networking.k8s.io/v1", "Ingress"), default_ingress},
      {find_by_kind("autoscaling/v2", "HorizontalPodAutoscaler"), default_autoscaler},
      {find_by_kind("scheduling.k8s.io/v1", "PriorityClass"), default_priorityclass},
  };
  return table;
}

// Maps with text values keep a null as an empty text (as Go reads it); everywhere else null is absence. For a Service's
// selector the difference matters: {app: null} must not become a selector of everything.
void drop_nulls(json::object& object, const ObjectFields& fields) {
  for (auto entry = object.begin(); entry != object.end();) {
    if (entry->value().is_null()) {
      entry = object.stable_erase(entry);
      continue;
    }
    const Field* field = fields.find(entry->key());
    json::value& value = entry->value();
    ++entry;
    if (!field) continue;
    if (field->shape == Field::Shape::kMap && value.is_object() && field->value == 's')
      for (auto& [key, item] : value.get_object())
        if (item.is_null()) item = "";
    if (field->value != 'o') continue;
    if (field->shape == Field::Shape::kOne && value.is_object()) drop_nulls(value.get_object(), *field->object);
    if (field->shape == Field::Shape::kList && value.is_array())
      for (json::value& item : value.get_array())
        if (item.is_object()) drop_nulls(item.get_object(), *field->object);
  }
}

}  // namespace

void apply_defaults(const ResourceType& type, json::object& document) {
  if (const ObjectFields* fields = fields_of(type)) drop_nulls(document, *fields);
  const auto found = defaulters().find(&type);
  if (found != defaulters().end()) found->second(document);
}

}  // namespace carrick::k8s
