#include "controllers/workloads/deployment.h"

#include "controllers/workloads/deployment_rollout.h"

namespace carrick::controllers {

namespace {

// Recreate starts the new pods when the last old one has ended.
bool old_pods_live(const Mirror& mirror, const Rollout& rollout) {
  for (const auto& set : rollout.old) {
    for (const auto& pod : owned_pods(mirror, set->metadata.uid)) {
      if (!is_finished(*pod)) return true;
    }
  }
  return false;
}

Result<void> recreate(Desk& desk, const Rollout& rollout) {
  for (const auto& set : rollout.old) {
    if (set->spec.replicas.value_or(1) > 0) TRY_VOID(scale_replica_set(desk, rollout, set, 0));
  }
  if (old_pods_live(desk.mirror, rollout)) return {};
  TRY_VOID(ensure_current(desk, rollout));
  const Rollout fresh = TRY(read_rollout(desk, rollout.deployment));
  if (fresh.current) TRY_VOID(scale_replica_set(desk, fresh, *fresh.current, fresh.replicas()));
  return {};
}

// The current one first (it may surge), then the old ones, each step from what is then true.
Result<void> roll(Desk& desk, const Rollout& rollout) {
  TRY_VOID(ensure_current(desk, rollout));
  Rollout fresh = TRY(read_rollout(desk, rollout.deployment));
  if (!fresh.current) return {};
  const int32_t size =
      (*fresh.current)->spec.replicas.value_or(1) > fresh.replicas() ? fresh.replicas() : replicas_of_current(fresh);
  TRY_VOID(scale_replica_set(desk, fresh, *fresh.current, size));
  fresh = TRY(read_rollout(desk, rollout.deployment));
  return roll_old(desk, fresh);
}

Result<void> advance(Desk& desk, const Rollout& rollout) {
  const auto& spec = rollout.deployment->spec;
  // What it writes notes this Deployment again.
  if (spec.paused || was_scaled(rollout)) return scale_in_proportion(desk, rollout);
  TRY_VOID(rollout.recreate() ? recreate(desk, rollout) : roll(desk, rollout));
  const Rollout fresh = TRY(read_rollout(desk, rollout.deployment));
  TRY_VOID(mark_revision(desk, fresh));
  return remove_history(desk, fresh);
}

}  // namespace

void DeploymentController::observe(const Change& change) {
  if (change.is<k8s::Deployment>()) queue.add(change.key);
  for (const auto* set : {change.was<k8s::ReplicaSet>(), change.becomes<k8s::ReplicaSet>()}) {
    if (!set) continue;
    const auto* owner = controller_of(set->metadata);
    if (owner && owner->kind == "Deployment") queue.add({set->metadata.namespace_, owner->name});
    if (owner || set->metadata.deletionTimestamp) continue;
    for (const auto& [key, deployment] : mirror().in_namespace<k8s::Deployment>(set->metadata.namespace_)) {
      if (k8s::matches(deployment->spec.selector, set->metadata.labels)) queue.add(key);
    }
  }
  // Recreate waits for the last old pod; rolling updates hear of pods through the status of their ReplicaSets.
  const auto* pod = change.was<k8s::Pod>();
  const auto* owner = pod && !change.now ? controller_of(pod->metadata) : nullptr;
  if (!owner || owner->kind != "ReplicaSet") return;
  const auto* set = mirror().find<k8s::ReplicaSet>({pod->metadata.namespace_, owner->name});
  const auto* deployment = set ? controller_of(set->object->metadata) : nullptr;
  if (deployment && deployment->kind == "Deployment") queue.add({pod->metadata.namespace_, deployment->name});
}

Result<void> DeploymentController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Deployment>(key);
  if (!found) return {};
  const Stored<k8s::Deployment> deployment = *found;
  Result<void> advanced;
  if (!deployment->metadata.deletionTimestamp && selects_something(deployment->spec.selector)) {
    const Rollout rollout = TRY(read_rollout(desk_, deployment));
    advanced = advance(desk_, rollout);
  }
  // Its own writes (the revision) are in the mirror by now.
  found = mirror().find<k8s::Deployment>(key);
  if (!found) return advanced;
  const Rollout rollout = TRY(read_rollout(desk_, Stored<k8s::Deployment>(*found)));
  std::optional<Time> next;
  TRY_VOID(write_status(cluster(), k8s::resource<k8s::Deployment>(), rollout.deployment.document,
                        rollout_status(rollout, now(), next)));
  if (next) queue.add_at(key, *next);
  return advanced;
}

}  // namespace carrick::controllers
