#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"

// Deployments, ReplicaSets, StatefulSets, DaemonSets and Jobs, after pkg/apis/apps and pkg/apis/batch of
// kube-apiserver 1.33.
namespace carrick::k8s {
namespace {

void check_template(const PodTemplateSpec& pod_template, Findings& findings) {
  check_labels(pod_template.metadata.labels, "spec.template.labels", findings);
  check_annotations(pod_template.metadata.annotations, "spec.template.annotations", findings);
  check_pod_spec(pod_template.spec, "spec.template.spec", false, findings);
}

void check_restarts_always(const PodTemplateSpec& pod_template, Findings& findings) {
  const std::string& policy = pod_template.spec.restartPolicy;
  if (policy == "OnFailure" || policy == "Never")
    findings.not_supported("spec.template.spec.restartPolicy", policy, {"Always"});
}

bool is_empty(const LabelSelector& selector) {
  return selector.matchLabels.empty() && selector.matchExpressions.empty();
}

void check_selector_fits(const LabelSelector& selector, const PodTemplateSpec& pod_template, Findings& findings) {
  if (!is_empty(selector) && !matches(selector, pod_template.metadata.labels))
    findings.invalid("spec.template.metadata.labels", pod_template.metadata.labels,
                     "`selector` does not match template `labels`");
}

// `kind` as the API's sentence names it (a ReplicaSet is told about deployments).
template <class Spec>
void check_workload(const json::object& document, const Spec& spec, std::string_view kind, Findings& findings) {
  const json::object* written = child(document, "spec");
  if (!written || !child(*written, "selector")) {
    findings.required("spec.selector");
  } else {
    check_selector(spec.selector, "spec.selector", findings);
    if (is_empty(spec.selector))
      findings.invalid("spec.selector", spec.selector, fmt::format("empty selector is invalid for {}", kind));
  }
  check_selector_fits(spec.selector, spec.template_, findings);
  check_template(spec.template_, findings);
  check_restarts_always(spec.template_, findings);
}

template <class T>
void check_selector_kept(const T& object, const json::object* old, Findings& findings) {
  if (!old) return;
  const Result<T> before = decode<T>(*old);
  if (before && before->spec.selector != object.spec.selector)
    findings.invalid("spec.selector", object.spec.selector, "field is immutable");
}

// Number of an IntOrString, "25%" as 25.
int amount(const IntOrString& value) {
  if (const int32_t* number = std::get_if<int32_t>(&value)) return *number;
  return std::atoi(std::get<std::string>(value).c_str());
}

void check_amount(const IntOrString& value, const std::string& field, Findings& findings) {
  if (const int32_t* number = std::get_if<int32_t>(&value))
    findings.not_negative(field, *number);
  else
    findings.invalid(field, value, check_percent(std::get<std::string>(value)));
}

void check_strategy(const DeploymentStrategy& strategy, Findings& findings) {
  const std::string field = "spec.strategy";
  if (!strategy.type.empty()) findings.check_supported(field, strategy.type, {"Recreate", "RollingUpdate"});
  if (!strategy.rollingUpdate) return;
  if (strategy.type == "Recreate")
    return findings.forbidden(field + ".rollingUpdate", "may not be specified when strategy `type` is 'Recreate'");
  const RollingUpdateDeployment& rolling = *strategy.rollingUpdate;
  const IntOrString unavailable = rolling.maxUnavailable.value_or(IntOrString("25%")),
                    surge = rolling.maxSurge.value_or(IntOrString("25%"));
  check_amount(unavailable, field + ".rollingUpdate.maxUnavailable", findings);
  check_amount(surge, field + ".rollingUpdate.maxSurge", findings);
  if (amount(unavailable) == 0 && amount(surge) == 0)
    findings.invalid(field + ".rollingUpdate.maxUnavailable", unavailable, "may not be 0 when `maxSurge` is 0");
  if (std::holds_alternative<std::string>(unavailable) && amount(unavailable) > 100)
    findings.invalid(field + ".rollingUpdate.maxUnavailable", unavailable, "must not be greater than 100%");
}

}  // namespace

void check_deployment(const json::object& document, const json::object* old, Findings& findings) {
  const Deployment deployment = decode<Deployment>(document).value();
  const DeploymentSpec& spec = deployment.spec;
  findings.not_negative("spec.replicas", spec.replicas.value_or(1));
  check_workload(document, spec, "deployment", findings);
  check_strategy(spec.strategy, findings);
  findings.not_negative("spec.minReadySeconds", spec.minReadySeconds);
  findings.not_negative("spec.revisionHistoryLimit", spec.revisionHistoryLimit.value_or(10));
  if (spec.progressDeadlineSeconds) {
    findings.not_negative("spec.progressDeadlineSeconds", *spec.progressDeadlineSeconds);
    if (*spec.progressDeadlineSeconds <= spec.minReadySeconds)
      findings.invalid("spec.progressDeadlineSeconds", *spec.progressDeadlineSeconds,
                       "must be greater than minReadySeconds");
  }
  check_selector_kept(deployment, old, findings);
}

void check_replicaset(const json::object& document, const json::object* old, Findings& findings) {
  const ReplicaSet set = decode<ReplicaSet>(document).value();
  findings.not_negative("spec.replicas", set.spec.replicas.value_or(1));
  findings.not_negative("spec.minReadySeconds", set.spec.minReadySeconds);
  check_workload(document, set.spec, "deployment", findings);
  check_selector_kept(set, old, findings);
}

void check_statefulset(const json::object& document, const json::object* old, Findings& findings) {
  const StatefulSet set = decode<StatefulSet>(document).value();
  const std::string& policy = set.spec.podManagementPolicy;
  if (!policy.empty() && policy != "OrderedReady" && policy != "Parallel")
    findings.invalid("spec.podManagementPolicy", policy, "must be 'OrderedReady' or 'Parallel'");
  findings.not_negative("spec.replicas", set.spec.replicas.value_or(1));
  if (!old && !set.spec.serviceName.empty())
    findings.invalid("spec.serviceName", set.spec.serviceName, check_dns1123_label(set.spec.serviceName));
  check_workload(document, set.spec, "statefulset", findings);
  if (!old) return;
  const json::object *now = child(document, "spec"), *before = child(*old, "spec");
  if (!now || !before) return;
  json::object left = *now, right = *before;
  for (const char* field : {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
                            "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}) {
    left.erase(field);
    right.erase(field);
  }
  if (left != right)
    findings.forbidden(
        "spec",
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
        "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden");
}

void check_daemonset(const json::object& document, const json::object* old, Findings& findings) {
  const DaemonSet set = decode<DaemonSet>(document).value();
  check_workload(document, set.spec, "daemonset", findings);
  check_selector_kept(set, old, findings);
}

void check_job(const json::object& document, const json::object* old, Findings& findings) {
  const Job job = decode<Job>(document).value();
  const JobSpec& spec = job.spec;
  findings.not_negative("spec.parallelism", spec.parallelism.value_or(1));
  findings.not_negative("spec.completions", spec.completions.value_or(1));
  findings.not_negative("spec.backoffLimit", spec.backoffLimit.value_or(6));
  if (spec.selector) {  // otherwise the server makes one when it has given the Job its uid
    check_selector(*spec.selector, "spec.selector", findings);
    check_selector_fits(*spec.selector, spec.template_, findings);
  }
  check_template(spec.template_, findings);
  const std::string& policy = spec.template_.spec.restartPolicy;
  if (policy == "Always" || policy.empty())
    findings.required("spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
  if (!old) return;
  const auto before = decode<Job>(*old);
  if (before && before->spec.selector && before->spec.selector != spec.selector)
    findings.invalid("spec.selector", spec.selector.value_or(LabelSelector{}), "field is immutable");
  if (before && before->spec.template_ != spec.template_)
    findings.add("Invalid", "spec.template", "Invalid value: core.PodTemplateSpec{...}", "field is immutable");
}

}  // namespace carrick::k8s
