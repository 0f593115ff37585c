#include "controllers/scheduling/scheduler.h"

#include <algorithm>

#include "controllers/event_log.h"
#include "controllers/workloads/pods.h"

namespace carrick::controllers {

namespace {

bool is_ours(const k8s::Pod& pod) {
  return pod.spec.nodeName.empty() && is_active(pod) &&
         (pod.spec.schedulerName.empty() || pod.spec.schedulerName == "default-scheduler");
}

bool takes_room(const k8s::Pod* pod) { return pod && !pod->spec.nodeName.empty() && !is_finished(*pod); }

// Pods of one owner spread; a pod without an owner only counts as a pod.
std::string owner_uid(const k8s::Pod& pod) {
  const auto* owner = controller_of(pod.metadata);
  return owner ? owner->uid : "";
}

// What of a node decides where pods may go.
bool placement_changed(const k8s::Node* was, const k8s::Node* now) {
  if (!was || !now) return now != nullptr;
  return was->metadata.labels != now->metadata.labels || was->spec.unschedulable != now->spec.unschedulable ||
         was->spec.taints != now->spec.taints || untolerated_taint(*was, {}) != untolerated_taint(*now, {});
}

}  // namespace

void Scheduler::account(const k8s::Pod& pod, int sign) {
  auto& load = loads_[pod.spec.nodeName];
  load.pods += sign;
  const auto count = [sign](auto& counts, const auto& key) {
    auto& number = counts[key];
    number += sign;
    if (number == 0) counts.erase(key);
  };
  if (auto uid = owner_uid(pod); !uid.empty()) count(load.by_owner, uid);
  for (const auto& port : host_ports(pod.spec)) count(load.host_ports, port);
}

void Scheduler::observe(const Change& change) {
  if (change.is<k8s::Node>() && placement_changed(change.was<k8s::Node>(), change.becomes<k8s::Node>())) {
    for (const auto& key : unschedulable_) queue.add(key);
  }
  if (!change.is<k8s::Pod>()) return;
  const auto* was = change.was<k8s::Pod>();
  const auto* pod = change.becomes<k8s::Pod>();
  if (takes_room(was)) account(*was, -1);
  if (takes_room(pod)) account(*pod, +1);
  if (takes_room(was) && !takes_room(pod)) {
    for (const auto& key : unschedulable_) queue.add(key);
  }
  if (pod && is_ours(*pod)) {
    // Its own "unschedulable" must not wake it up again.
    if (!was || !is_ours(*was) || was->spec != pod->spec || was->metadata.labels != pod->metadata.labels)
      queue.add(change.key);
  } else {
    unschedulable_.erase(change.key);
  }
}

bool Scheduler::host_ports_free(const std::string& node, const std::vector<HostPort>& wanted) const {
  if (wanted.empty()) return true;
  const auto load = loads_.find(node);
  if (load == loads_.end()) return true;
  for (const auto& want : wanted) {
    for (const auto& [taken, count] : load->second.host_ports) {
      if (collide(want, taken)) return false;
    }
  }
  return true;
}

Result<std::string> Scheduler::choose(const Stored<k8s::Pod>& pod) const {
  const auto wanted = host_ports(pod->spec);
  const auto uid = owner_uid(*pod);
  std::map<std::string, int> reasons;
  std::optional<std::tuple<int, int, std::string>> best;
  for (const auto& [key, node] : mirror().all<k8s::Node>()) {
    if (node->metadata.deletionTimestamp || node->spec.unschedulable) {
      const k8s::Taint cordon{"node.kubernetes.io/unschedulable", "", "NoSchedule"};
      if (node->metadata.deletionTimestamp || !tolerates(pod->spec.tolerations, cordon)) {
        ++reasons["node(s) were unschedulable"];
        continue;
      }
    }
    if (const auto taint = untolerated_taint(*node, pod->spec.tolerations)) {
      ++reasons[fmt::format("node(s) had untolerated taint {{{}: {}}}", taint->key, taint->value)];
      continue;
    }
    if (!selects_node(pod->spec, *pod.document, *node)) {
      ++reasons["node(s) didn't match Pod's node affinity/selector"];
      continue;
    }
    if (!host_ports_free(key.name, wanted)) {
      ++reasons["node(s) didn't have free ports for the requested pod ports"];
      continue;
    }
    const auto load = loads_.find(key.name);
    int owned = 0, pods = 0;
    if (load != loads_.end()) {
      pods = load->second.pods;
      const auto same = load->second.by_owner.find(uid);
      if (!uid.empty() && same != load->second.by_owner.end()) owned = same->second;
    }
    std::tuple score{owned, pods, key.name};
    if (!best || score < *best) best = std::move(score);
  }
  if (best) return std::get<2>(*best);
  std::string why;
  for (const auto& [reason, count] : reasons) why += fmt::format("{}{} {}", why.empty() ? " " : ", ", count, reason);
  const size_t nodes = mirror().all<k8s::Node>().size();
  if (nodes == 0) return fail(ErrorKind::kUnsupported, "no nodes available to schedule pods");
  return fail(ErrorKind::kUnsupported, "0/{} nodes are available:{}.", nodes, why);
}

Result<void> Scheduler::bind(const Stored<k8s::Pod>& pod, const std::string& node) {
  json::object changed = *pod.document;
  child(changed, "spec")["nodeName"] = node;
  const Document bound = TRY(cluster().update(k8s::resource<k8s::Pod>(), std::move(changed)));
  desk_.events.normal(k8s::resource<k8s::Pod>(), pod->metadata, name(), "Scheduled",
                      fmt::format("Successfully assigned {} to {}", pod->metadata.key().str(), node));
  json::object status;
  if (const auto* old = object_at(*bound, {"status"})) status = *old;
  json::array conditions;
  if (const auto* old = array_at(status, {"conditions"})) conditions = *old;
  for (auto& condition : conditions) {
    if (text_at(condition.as_object(), {"type"}) == "PodScheduled") {
      condition.as_object().erase("reason");
      condition.as_object().erase("message");
    }
  }
  set_condition(conditions, "PodScheduled", true, "", "", now());
  for (auto& condition : conditions) {
    if (text_at(condition.as_object(), {"type"}) == "PodScheduled") {
      condition.as_object().erase("reason");
      condition.as_object().erase("message");
    }
  }
  status["conditions"] = std::move(conditions);
  return write_status(cluster(), k8s::resource<k8s::Pod>(), bound, std::move(status));
}

Result<void> Scheduler::say_unschedulable(const Stored<k8s::Pod>& pod, const std::string& why) {
  json::object status;
  if (const auto* old = object_at(*pod.document, {"status"})) status = *old;
  json::array conditions;
  if (const auto* old = array_at(status, {"conditions"})) conditions = *old;
  const auto* old = find_condition(conditions, "PodScheduled");
  if (old && text_at(*old, {"message"}) == why) return {};
  set_condition(conditions, "PodScheduled", false, "Unschedulable", why, now());
  status["conditions"] = std::move(conditions);
  desk_.events.warning(k8s::resource<k8s::Pod>(), pod->metadata, name(), "FailedScheduling", why);
  return write_status(cluster(), k8s::resource<k8s::Pod>(), pod.document, std::move(status));
}

Result<void> Scheduler::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Pod>(key);
  if (!found || !is_ours(**found)) return {};
  const Stored<k8s::Pod> pod = *found;
  if (const auto* gates = array_at(*pod.document, {"spec", "schedulingGates"}); gates && !gates->empty()) return {};
  const auto node = choose(pod);
  if (node) {
    unschedulable_.erase(key);
    return bind(pod, *node);
  }
  unschedulable_.insert(key);
  return say_unschedulable(pod, node.error().message);
}

}  // namespace carrick::controllers
