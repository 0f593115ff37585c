#include "controllers/workloads/deployment_rollout.h"

#include <algorithm>
#include <cmath>

#include "controllers/event_log.h"

namespace carrick::controllers {

namespace {

using Sets = std::vector<Stored<k8s::ReplicaSet>>;

constexpr const char* kDesiredReplicas = "deployment.kubernetes.io/desired-replicas";
constexpr const char* kMaxReplicas = "deployment.kubernetes.io/max-replicas";
constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

const auto& replica_sets() { return k8s::resource<k8s::ReplicaSet>(); }

int32_t asked(const Stored<k8s::ReplicaSet>& set) { return set->spec.replicas.value_or(1); }

json::object template_without_hash(const json::object& document) {
  json::object pod_template;
  if (const auto* from = object_at(document, {"spec", "template"})) pod_template = *from;
  auto& metadata = child(pod_template, "metadata");
  metadata.erase("creationTimestamp");
  if (auto* labels = metadata.if_contains("labels"); labels && labels->is_object())
    labels->get_object().erase(kTemplateHash);
  return pod_template;
}

std::vector<Stored<k8s::ReplicaSet>> sets_of(const Mirror& mirror, const std::string& uid) {
  Sets sets;
  for (const auto& key : mirror.replica_sets_of(uid)) sets.push_back(*mirror.find<k8s::ReplicaSet>(key));
  std::ranges::sort(sets, [](const auto& a, const auto& b) {
    return std::tuple(a->metadata.creationTimestamp, revision_of(a->metadata), a->metadata.name) <
           std::tuple(b->metadata.creationTimestamp, revision_of(b->metadata), b->metadata.name);
  });
  return sets;
}

Result<void> set_owner(Desk& desk, const Stored<k8s::ReplicaSet>& set, const k8s::ObjectMeta* owner,
                       const std::string& old_uid) {
  json::object changed = *set.document;
  json::array references;
  if (const auto* old = array_at(changed, {"metadata", "ownerReferences"})) {
    for (const auto& reference : *old) {
      if (reference.is_object() && text_at(reference.get_object(), {"uid"}) != old_uid) references.push_back(reference);
    }
  }
  if (owner) references.push_back(owner_reference(k8s::resource<k8s::Deployment>(), *owner));
  child(changed, "metadata")["ownerReferences"] = std::move(references);
  TRY_VOID(desk.cluster.update(replica_sets(), std::move(changed)));
  return {};
}

Result<void> claim_sets(Desk& desk, const k8s::Deployment& deployment) {
  const auto& metadata = deployment.metadata;
  if (metadata.deletionTimestamp || !selects_something(deployment.spec.selector)) return {};
  Sets adopt;
  for (const auto& key : desk.mirror.ownerless_replica_sets(metadata.namespace_)) {
    const auto* set = desk.mirror.find<k8s::ReplicaSet>(key);
    if (set->object->metadata.deletionTimestamp) continue;
    if (k8s::matches(deployment.spec.selector, set->object->metadata.labels)) adopt.push_back(*set);
  }
  for (const auto& set : adopt) TRY_VOID(set_owner(desk, set, &metadata, metadata.uid));
  for (const auto& set : sets_of(desk.mirror, metadata.uid)) {
    if (k8s::matches(deployment.spec.selector, set->metadata.labels) || set->metadata.deletionTimestamp) continue;
    TRY_VOID(set_owner(desk, set, nullptr, metadata.uid));
  }
  return {};
}

void copy_annotations(const Rollout& rollout, json::object& set) {
  for (const auto& [key, value] : rollout.deployment->metadata.annotations) {
    if (key == kLastApplied || key == kRevision || key == kDesiredReplicas || key == kMaxReplicas) continue;
    set_annotation(set, key, value);
  }
}

void annotate_size(const Rollout& rollout, json::object& set) {
  set_annotation(set, kDesiredReplicas, std::to_string(rollout.replicas()));
  set_annotation(set, kMaxReplicas, std::to_string(rollout.replicas() + rollout.max_surge()));
}

json::object new_replica_set(const Rollout& rollout, const std::string& hash) {
  const auto& deployment = rollout.deployment;
  json::object set =
      new_document(replica_sets(), deployment->metadata.namespace_, deployment->metadata.name + "-" + hash);
  json::object pod_template = template_without_hash(*deployment.document);
  child(child(pod_template, "metadata"), "labels")[kTemplateHash] = hash;
  auto& metadata = set["metadata"].get_object();
  metadata["labels"] = pod_template["metadata"].get_object()["labels"];
  metadata["ownerReferences"] = json::array{owner_reference(k8s::resource<k8s::Deployment>(), deployment->metadata)};
  json::object selector;
  if (const auto* from = object_at(*deployment.document, {"spec", "selector"})) selector = *from;
  child(selector, "matchLabels")[kTemplateHash] = hash;
  set["spec"] = json::object{{"replicas", replicas_of_current(rollout)},
                             {"selector", std::move(selector)},
                             {"template", std::move(pod_template)}};
  if (deployment->spec.minReadySeconds) set["spec"].get_object()["minReadySeconds"] = deployment->spec.minReadySeconds;
  copy_annotations(rollout, set);
  annotate_size(rollout, set);
  set_annotation(set, kRevision, std::to_string(newest_revision(rollout.old) + 1));
  return set;
}

}  // namespace

int32_t Rollout::max_surge() const {
  if (recreate()) return 0;
  const auto& rolling = deployment->spec.strategy.rollingUpdate;
  return resolve(rolling ? rolling->maxSurge : std::nullopt, 25, replicas(), true);
}

int32_t Rollout::max_unavailable() const {
  if (recreate()) return 0;
  const auto& rolling = deployment->spec.strategy.rollingUpdate;
  const int32_t value = resolve(rolling ? rolling->maxUnavailable : std::nullopt, 25, replicas(), false);
  // Both zero (0 % of few pods, rounded down) would never move.
  return std::min(value == 0 && max_surge() == 0 ? 1 : value, replicas());
}

std::vector<Stored<k8s::ReplicaSet>> Rollout::all() const {
  Sets sets = old;
  if (current) sets.push_back(*current);
  return sets;
}

int32_t Rollout::total_replicas() const {
  int32_t total = 0;
  for (const auto& set : all()) total += asked(set);
  return total;
}

int32_t Rollout::available() const {
  int32_t total = 0;
  for (const auto& set : all()) total += set->status.availableReplicas;
  return total;
}

int64_t revision_of(const k8s::ObjectMeta& metadata) {
  const auto at = metadata.annotations.find(kRevision);
  return at == metadata.annotations.end() ? 0 : std::atoll(at->second.c_str());
}

int64_t newest_revision(const Sets& sets) {
  int64_t newest = 0;
  for (const auto& set : sets) newest = std::max(newest, revision_of(set->metadata));
  return newest;
}

Result<Rollout> read_rollout(Desk& desk, const Stored<k8s::Deployment>& deployment) {
  TRY_VOID(claim_sets(desk, *deployment));
  Rollout rollout{deployment, std::nullopt, {}};
  const json::object wanted = template_without_hash(*deployment.document);
  for (auto& set : sets_of(desk.mirror, deployment->metadata.uid)) {
    if (!rollout.current && template_without_hash(*set.document) == wanted)
      rollout.current = std::move(set);
    else
      rollout.old.push_back(std::move(set));
  }
  return rollout;
}

Result<void> ensure_current(Desk& desk, const Rollout& rollout) {
  const auto& deployment = rollout.deployment;
  if (!rollout.current) {
    const json::object pod_template = template_without_hash(*deployment.document);
    // A name that another ReplicaSet (of an equal hash) has: the next salt.
    for (int64_t salt = 0; salt < 8; ++salt) {
      json::object set = new_replica_set(rollout, document_hash(pod_template, salt));
      const std::string set_name(text_at(set, {"metadata", "name"}));
      const auto made = desk.cluster.create(replica_sets(), std::move(set));
      if (made) {
        desk.events.normal(
            k8s::resource<k8s::Deployment>(), deployment->metadata, "deployment-controller", "ScalingReplicaSet",
            fmt::format("Scaled up replica set {} from 0 to {}", set_name, replicas_of_current(rollout)));
        return {};
      }
      if (made.error().kind != ErrorKind::kAlreadyExists) return std::unexpected(made.error());
    }
    return fail(ErrorKind::kTransient, "Deployment {}: no free name for its ReplicaSet",
                deployment->metadata.key().str());
  }
  const int64_t revision = newest_revision(rollout.old) + 1;
  json::object changed = *rollout.current->document;
  copy_annotations(rollout, changed);
  if (revision_of((*rollout.current)->metadata) < revision)
    set_annotation(changed, kRevision, std::to_string(revision));
  if (deployment->spec.minReadySeconds != (*rollout.current)->spec.minReadySeconds) {
    child(changed, "spec")["minReadySeconds"] = deployment->spec.minReadySeconds;
  }
  if (changed == *rollout.current->document) return {};
  TRY_VOID(desk.cluster.update(replica_sets(), std::move(changed)));
  return {};
}

int32_t replicas_of_current(const Rollout& rollout) {
  const int32_t want = rollout.replicas();
  if (rollout.recreate()) return want;
  const int32_t have = rollout.current ? asked(*rollout.current) : 0;
  const int32_t room = want + rollout.max_surge() - rollout.total_replicas();
  return room <= 0 ? have : have + std::min(room, want - have);
}

Result<void> scale_replica_set(Desk& desk, const Rollout& rollout, const Stored<k8s::ReplicaSet>& set,
                               int32_t replicas) {
  json::object changed = *set.document;
  annotate_size(rollout, changed);
  if (asked(set) != replicas) child(changed, "spec")["replicas"] = replicas;
  if (changed == *set.document) return {};
  TRY_VOID(desk.cluster.update(replica_sets(), std::move(changed)));
  if (asked(set) == replicas) return {};
  desk.events.normal(k8s::resource<k8s::Deployment>(), rollout.deployment->metadata, "deployment-controller",
                     "ScalingReplicaSet",
                     fmt::format("Scaled {} replica set {} from {} to {}", replicas > asked(set) ? "up" : "down",
                                 set->metadata.name, asked(set), replicas));
  return {};
}

bool was_scaled(const Rollout& rollout) {
  for (const auto& set : rollout.all()) {
    const auto at = set->metadata.annotations.find(kDesiredReplicas);
    if (asked(set) > 0 && at != set->metadata.annotations.end() && at->second != std::to_string(rollout.replicas()))
      return true;
  }
  return false;
}

Result<void> scale_in_proportion(Desk& desk, const Rollout& rollout) {
  Sets active;
  for (const auto& set : rollout.all()) {
    if (asked(set) > 0) active.push_back(set);
  }
  if (active.size() <= 1) {
    if (active.empty() && !rollout.current) return {};
    return scale_replica_set(desk, rollout, active.empty() ? *rollout.current : active.front(), rollout.replicas());
  }
  if (rollout.recreate()) return {};
  const int32_t allowed = rollout.replicas() > 0 ? rollout.replicas() + rollout.max_surge() : 0;
  const int32_t total = rollout.total_replicas();
  const int32_t change = allowed - total;
  // The largest first; what rounding leaves goes to it.
  std::ranges::sort(active, {}, [](const auto& set) { return std::tuple(-asked(set), set->metadata.name); });
  std::vector<int32_t> sizes;
  int32_t left = change;
  for (const auto& set : active) {
    int32_t share = static_cast<int32_t>(std::lround(double(asked(set)) * allowed / std::max(total, 1))) - asked(set);
    share = change > 0 ? std::clamp(share, 0, left) : std::clamp(share, left, 0);
    left -= share;
    sizes.push_back(asked(set) + share);
  }
  sizes.front() = std::max(0, sizes.front() + left);
  for (size_t i = 0; i < active.size(); ++i) TRY_VOID(scale_replica_set(desk, rollout, active[i], sizes[i]));
  return {};
}

Result<void> roll_old(Desk& desk, const Rollout& rollout) {
  const int32_t min_available = rollout.replicas() - rollout.max_unavailable();
  const int32_t current_missing =
      rollout.current ? std::max(0, asked(*rollout.current) - (*rollout.current)->status.availableReplicas) : 0;
  int32_t budget = rollout.total_replicas() - min_available - current_missing;
  if (budget <= 0) return {};
  // First the old pods that do not serve anyhow; then, as far as availability allows, those that do.
  std::vector<int32_t> sizes;
  for (const auto& set : rollout.old) {
    const int32_t idle = std::clamp(asked(set) - set->status.availableReplicas, 0, budget);
    budget -= idle;
    sizes.push_back(asked(set) - idle);
  }
  int32_t spare = std::min(budget, rollout.available() - min_available);
  for (size_t i = 0; i < sizes.size() && spare > 0; ++i) {
    const int32_t fewer = std::min(sizes[i], spare);
    sizes[i] -= fewer;
    spare -= fewer;
  }
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != asked(rollout.old[i])) TRY_VOID(scale_replica_set(desk, rollout, rollout.old[i], sizes[i]));
  }
  return {};
}

Result<void> remove_history(Desk& desk, const Rollout& rollout) {
  Sets idle;
  for (const auto& set : rollout.old) {
    const bool done =
        asked(set) == 0 && set->status.replicas == 0 && set->metadata.generation <= set->status.observedGeneration;
    if (done && !set->metadata.deletionTimestamp) idle.push_back(set);
  }
  std::ranges::sort(idle, {},
                    [](const auto& set) { return std::tuple(revision_of(set->metadata), set->metadata.name); });
  const int32_t keep = rollout.deployment->spec.revisionHistoryLimit.value_or(10);
  for (int64_t i = 0; i + keep < static_cast<int64_t>(idle.size()); ++i) {
    const auto removed = desk.cluster.remove(replica_sets(), idle[i]->metadata.key());
    if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  }
  return {};
}

Result<void> mark_revision(Desk& desk, const Rollout& rollout) {
  if (!rollout.current) return {};
  const int64_t revision = revision_of((*rollout.current)->metadata);
  const auto* deployment = desk.mirror.find<k8s::Deployment>(rollout.deployment->metadata.key());
  if (!deployment || revision_of(deployment->object->metadata) == revision) return {};
  json::object changed = *deployment->document;
  set_annotation(changed, kRevision, std::to_string(revision));
  TRY_VOID(desk.cluster.update(k8s::resource<k8s::Deployment>(), std::move(changed)));
  return {};
}

}  // namespace carrick::controllers
