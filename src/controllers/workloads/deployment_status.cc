#include <algorithm>

#include "controllers/workloads/deployment_rollout.h"

namespace carrick::controllers {

namespace {

struct Counts {
  int32_t replicas = 0, updated = 0, ready = 0, available = 0;
  auto operator<=>(const Counts&) const = default;
};

Counts count(const Rollout& rollout) {
  Counts counts;
  for (const auto& set : rollout.all()) {
    counts.replicas += set->status.replicas;
    counts.ready += set->status.readyReplicas;
    counts.available += set->status.availableReplicas;
  }
  if (rollout.current) counts.updated = (*rollout.current)->status.replicas;
  return counts;
}

bool complete(const Rollout& rollout, const Counts& counts) {
  const int32_t want = rollout.replicas();
  return rollout.current && counts.updated == want && counts.replicas == want && counts.available == want;
}

// Progressing, in the words that `kubectl rollout status` knows.
void judge_progress(const Rollout& rollout, const Counts& counts, json::array& conditions, Time now,
                    std::optional<Time>& next) {
  const auto& deployment = *rollout.deployment;
  const int32_t deadline = deployment.spec.progressDeadlineSeconds.value_or(600);
  const std::string subject = rollout.current ? fmt::format("ReplicaSet \"{}\"", (*rollout.current)->metadata.name)
                                              : fmt::format("Deployment \"{}\"", deployment.metadata.name);
  if (complete(rollout, counts)) {
    set_condition(conditions, "Progressing", true, "NewReplicaSetAvailable", subject + " has successfully progressed.",
                  now, true);
    return;
  }
  if (deployment.spec.paused) return;
  const auto* condition = find_condition(conditions, "Progressing");
  const auto& was = deployment.status;
  const bool moved = counts.updated > was.updatedReplicas || counts.ready > was.readyReplicas ||
                     counts.available > was.availableReplicas ||
                     counts.replicas - counts.updated < was.replicas - was.updatedReplicas ||
                     deployment.metadata.generation != was.observedGeneration;
  const bool waiting = condition && text_at(*condition, {"reason"}) != "NewReplicaSetAvailable";
  if (moved || !waiting) {
    // lastUpdateTime is what the deadline counts from, so it moves with each step although the words stay.
    set_condition(conditions, "Progressing", true, "ReplicaSetUpdated", subject + " is progressing.", now, true);
    for (auto& entry : conditions) {
      if (text_at(entry.get_object(), {"type"}) == "Progressing") entry.get_object()["lastUpdateTime"] = timestamp(now);
    }
    next = now + std::chrono::seconds(deadline);
    return;
  }
  if (text_at(*condition, {"reason"}) == "ProgressDeadlineExceeded") return;
  const auto since = parse_timestamp(text_at(*condition, {"lastUpdateTime"})).value_or(now);
  if (since + std::chrono::seconds(deadline) > now) {
    next = since + std::chrono::seconds(deadline);
    return;
  }
  set_condition(conditions, "Progressing", false, "ProgressDeadlineExceeded", subject + " has timed out progressing.",
                now, true);
}

}  // namespace

json::object rollout_status(const Rollout& rollout, Time now, std::optional<Time>& next) {
  const Counts counts = count(rollout);
  const auto& deployment = *rollout.deployment;
  json::array conditions;
  if (const auto* old = array_at(*rollout.deployment.document, {"status", "conditions"})) conditions = *old;
  if (counts.available >= rollout.replicas() - rollout.max_unavailable()) {
    set_condition(conditions, "Available", true, "MinimumReplicasAvailable", "Deployment has minimum availability.",
                  now, true);
  } else {
    set_condition(conditions, "Available", false, "MinimumReplicasUnavailable",
                  "Deployment does not have minimum availability.", now, true);
  }
  judge_progress(rollout, counts, conditions, now, next);

  json::object status{{"observedGeneration", deployment.metadata.generation}};
  auto put = [&](const char* field, int32_t value) {
    if (value > 0) status[field] = value;
  };
  put("replicas", counts.replicas);
  put("updatedReplicas", counts.updated);
  put("readyReplicas", counts.ready);
  put("availableReplicas", counts.available);
  put("unavailableReplicas", std::max(0, rollout.total_replicas() - counts.available));
  status["conditions"] = std::move(conditions);
  return status;
}

}  // namespace carrick::controllers
