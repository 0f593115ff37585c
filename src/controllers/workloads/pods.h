#pragma once

#include "controllers/controller.h"
#include "controllers/pacing.h"

// What all workload controllers do with pods.
namespace carrick::controllers {

bool is_ready(const k8s::Pod& pod);
bool is_finished(const k8s::Pod& pod);  // phase Succeeded or Failed
inline bool is_being_deleted(const k8s::Pod& pod) { return pod.metadata.deletionTimestamp.has_value(); }
inline bool is_active(const k8s::Pod& pod) { return !is_finished(pod) && !is_being_deleted(pod); }

// Since when a pod is (or will be) available: Ready for min_ready seconds. Nothing while it is not Ready.
std::optional<Time> available_from(const k8s::Pod& pod, int32_t min_ready_seconds);

// Who owns pods: type and metadata of the workload.
struct PodOwner {
  const k8s::ResourceType& type;
  const k8s::ObjectMeta& metadata;
};

using PodList = std::vector<Stored<k8s::Pod>>;  // copies: they stay while the mirror moves on

// The pods of a workload, in the order of their names. Pods of the namespace that nobody owns and that match are
// adopted, own pods that no longer match are let go. Nothing is adopted by a workload that is being deleted.
Result<PodList> claim_pods(Desk& desk, const PodOwner& owner, const k8s::LabelSelector& selector);
PodList owned_pods(const Mirror& mirror, const std::string& owner_uid);

// A new pod from `spec.template` of the workload's document; an empty name lets the store choose one.
json::object pod_from_template(const json::object& pod_template, const PodOwner& owner, std::string_view name = {});

Result<void> create_pod(Desk& desk, const PodOwner& owner, json::object pod, std::string_view source);
Result<void> delete_pod(Desk& desk, const PodOwner& owner, const k8s::Pod& pod, std::string_view source);

// True when a change of a pod changes nothing that its workload counts.
bool same_for_owner(const k8s::Pod& a, const k8s::Pod& b);
// Notes the workload of this kind that a changed pod belongs (or belonged) to.
void observe_pod_owner(WorkQueue& queue, const Change& change, std::string_view kind, const Pacing* pacing = nullptr);
// An ownerless pod that some workload of its namespace may want to adopt: notes those whose selector matches.
template <class Workload>
void observe_ownerless_pod(WorkQueue& queue, const Mirror& mirror, const Change& change) {
  const auto* pod = change.becomes<k8s::Pod>();
  if (!pod || controller_of(pod->metadata) || is_being_deleted(*pod)) return;
  for (const auto& [key, workload] : mirror.in_namespace<Workload>(pod->metadata.namespace_)) {
    if (k8s::matches(workload->spec.selector, pod->metadata.labels)) queue.add(key);
  }
}

// A selector that selects nothing by mistake of its author must not own the whole namespace.
inline bool selects_something(const k8s::LabelSelector& selector) {
  return !selector.matchLabels.empty() || !selector.matchExpressions.empty();
}

// An int or a percentage of `total`; the API rounds surge up and unavailability down.
int32_t resolve(const std::optional<k8s::IntOrString>& value, int32_t fallback_percent, int32_t total, bool round_up);

}  // namespace carrick::controllers
