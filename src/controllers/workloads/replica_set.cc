#include "controllers/workloads/replica_set.h"

#include <algorithm>
#include <tuple>

#include "controllers/workloads/pods.h"

namespace carrick::controllers {

namespace {

int64_t deletion_cost(const k8s::Pod& pod) {
  const auto at = pod.metadata.annotations.find("controller.kubernetes.io/pod-deletion-cost");
  return at == pod.metadata.annotations.end() ? 0 : std::atoll(at->second.c_str());
}

std::string ready_since(const k8s::Pod& pod) {
  for (const auto& condition : pod.status.conditions) {
    if (condition.type == "Ready") return condition.lastTransitionTime.value_or("");
  }
  return "";
}

// Those to delete first come first: the order of kubernetes' ActivePodsWithRanks. Names break ties, for the same end
// state whatever the order of events was.
void sort_for_deletion(PodList& pods) {
  std::map<std::string, int> on_node;
  for (const auto& pod : pods) ++on_node[pod->spec.nodeName];
  auto rank = [&](const Stored<k8s::Pod>& pod) {
    const int phase = pod->status.phase == "Running" ? 2 : pod->status.phase == "Unknown" ? 1 : 0;
    return std::tuple(!pod->spec.nodeName.empty(), phase, is_ready(*pod), deletion_cost(*pod),
                      -on_node[pod->spec.nodeName]);
  };
  std::ranges::sort(pods, [&](const auto& a, const auto& b) {
    const auto rank_a = rank(a), rank_b = rank(b);
    if (rank_a != rank_b) return rank_a < rank_b;
    const auto newest_first_a = std::tuple(ready_since(*a), a->metadata.creationTimestamp, a->metadata.name);
    const auto newest_first_b = std::tuple(ready_since(*b), b->metadata.creationTimestamp, b->metadata.name);
    return newest_first_a > newest_first_b;
  });
}

struct Counts {
  int32_t replicas = 0, labelled = 0, ready = 0, available = 0;
  std::optional<Time> next;  // when one more becomes available
};

Counts count(const PodList& active, const k8s::ReplicaSet& set, Time now) {
  Counts counts;
  for (const auto& pod : active) {
    ++counts.replicas;
    if (k8s::matches(set.spec.template_.metadata.labels, pod->metadata.labels)) ++counts.labelled;
    const auto from = available_from(*pod, set.spec.minReadySeconds);
    if (!from) continue;
    ++counts.ready;
    if (*from <= now)
      ++counts.available;
    else
      counts.next = counts.next ? std::min(*counts.next, *from) : *from;
  }
  return counts;
}

PodList active_pods(const Mirror& mirror, const std::string& uid) {
  auto pods = owned_pods(mirror, uid);
  std::erase_if(pods, [](const auto& pod) { return !is_active(*pod); });
  return pods;
}

Result<void> scale(Desk& desk, const PodOwner& owner, const Stored<k8s::ReplicaSet>& set, PodList active) {
  const int32_t want = set->spec.replicas.value_or(1);
  const auto* pod_template = object_at(*set.document, {"spec", "template"});
  if (!pod_template) return fail(ErrorKind::kInvalid, "ReplicaSet {} has no spec.template", owner.metadata.key().str());
  for (auto have = static_cast<int32_t>(active.size()); have < want; ++have) {
    TRY_VOID(create_pod(desk, owner, pod_from_template(*pod_template, owner), "replicaset-controller"));
  }
  if (static_cast<int32_t>(active.size()) <= want) return {};
  sort_for_deletion(active);
  active.resize(active.size() - want);
  for (const auto& pod : active) TRY_VOID(delete_pod(desk, owner, *pod, "replicaset-controller"));
  return {};
}

}  // namespace

void ReplicaSetController::observe(const Change& change) {
  if (change.is<k8s::ReplicaSet>()) queue.add(change.key);
  // Its own creations and bindings change nothing that it counts.
  const auto *was = change.was<k8s::Pod>(), *is = change.becomes<k8s::Pod>();
  if (!was || !is || !same_for_owner(*was, *is)) observe_pod_owner(queue, change, "ReplicaSet", &pacing_);
  observe_ownerless_pod<k8s::ReplicaSet>(queue, mirror(), change);
}

Result<void> ReplicaSetController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::ReplicaSet>(key);
  if (!found) return {};
  const Stored<k8s::ReplicaSet> set = *found;
  const PodOwner owner{k8s::resource<k8s::ReplicaSet>(), set->metadata};
  PodList active = TRY(claim_pods(desk_, owner, set->spec.selector));
  std::erase_if(active, [](const auto& pod) { return !is_active(*pod); });
  pacing_.worked(key, active.size());

  Result<void> scaled;
  if (!set->metadata.deletionTimestamp && static_cast<int32_t>(active.size()) != set->spec.replicas.value_or(1)) {
    scaled = scale(desk_, owner, set, std::move(active));
    active = active_pods(mirror(), set->metadata.uid);
  }
  const auto counts = count(active, *set, now());
  if (counts.next) queue.add_at(key, *counts.next);
  json::object status{{"replicas", counts.replicas}, {"observedGeneration", set->metadata.generation}};
  if (counts.labelled) status["fullyLabeledReplicas"] = counts.labelled;
  if (counts.ready) status["readyReplicas"] = counts.ready;
  if (counts.available) status["availableReplicas"] = counts.available;
  if (!scaled) {
    json::array conditions;
    if (const auto* old = array_at(*set.document, {"status", "conditions"})) conditions = *old;
    set_condition(conditions, "ReplicaFailure", true, "FailedCreate", scaled.error().message, now());
    status["conditions"] = std::move(conditions);
  }
  TRY_VOID(write_status(cluster(), owner.type, set.document, std::move(status)));
  return scaled;
}

}  // namespace carrick::controllers
