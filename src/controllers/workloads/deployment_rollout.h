#pragma once

#include "controllers/workloads/pods.h"

// The pieces of a rollout: which ReplicaSets a Deployment has, and the arithmetic of surge and unavailability.
namespace carrick::controllers {

inline constexpr const char* kRevision = "deployment.kubernetes.io/revision";
inline constexpr const char* kTemplateHash = "pod-template-hash";

struct Rollout {
  Stored<k8s::Deployment> deployment;
  std::optional<Stored<k8s::ReplicaSet>> current;  // the ReplicaSet of the current template
  std::vector<Stored<k8s::ReplicaSet>> old;        // the others, oldest first

  int32_t replicas() const { return deployment->spec.replicas.value_or(1); }
  bool recreate() const { return deployment->spec.strategy.type == "Recreate"; }
  int32_t max_surge() const;
  int32_t max_unavailable() const;
  int32_t total_replicas() const;  // what all ReplicaSets are asked for
  int32_t available() const;       // what they have
  std::vector<Stored<k8s::ReplicaSet>> all() const;
};

// Adopts, lets go, and sorts the ReplicaSets of a Deployment.
Result<Rollout> read_rollout(Desk& desk, const Stored<k8s::Deployment>& deployment);

int64_t revision_of(const k8s::ObjectMeta& metadata);
int64_t newest_revision(const std::vector<Stored<k8s::ReplicaSet>>& sets);

// Makes the ReplicaSet of the current template, or brings the revision of the one that is there up to date.
Result<void> ensure_current(Desk& desk, const Rollout& rollout);
int32_t replicas_of_current(const Rollout& rollout);  // how many the current one may have now

// Asks a ReplicaSet for that many; also writes the annotations with the size of the whole.
Result<void> scale_replica_set(Desk& desk, const Rollout& rollout, const Stored<k8s::ReplicaSet>& set,
                               int32_t replicas);
// The Deployment was scaled in the middle of a rollout: every ReplicaSet gets its share.
Result<void> scale_in_proportion(Desk& desk, const Rollout& rollout);
bool was_scaled(const Rollout& rollout);

Result<void> roll_old(Desk& desk, const Rollout& rollout);
Result<void> remove_history(Desk& desk, const Rollout& rollout);
// The annotation of the Deployment follows its current ReplicaSet.
Result<void> mark_revision(Desk& desk, const Rollout& rollout);

// New status document; `next` is set to when time alone will change it (minReadySeconds is the ReplicaSet's affair;
// this is progressDeadlineSeconds).
json::object rollout_status(const Rollout& rollout, Time now, std::optional<Time>& next);

}  // namespace carrick::controllers
