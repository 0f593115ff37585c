#include "controllers/workloads/daemon_set.h"

#include <algorithm>

#include "controllers/scheduling/placement.h"
#include "controllers/workloads/revisions.h"

namespace carrick::controllers {

namespace {

constexpr const char* kSource = "daemonset-controller";
constexpr const char* kRevisionLabel = "controller-revision-hash";

// What every daemon pod bears (kubernetes' AddOrUpdateDaemonPodTolerations).
std::vector<k8s::Toleration> daemon_tolerations(bool host_network) {
  std::vector<k8s::Toleration> tolerations;
  for (const char* key : {"not-ready", "unreachable"})
    tolerations.push_back({fmt::format("node.kubernetes.io/{}", key), "Exists", "", ""});
  for (const char* key : {"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"}) {
    tolerations.push_back({fmt::format("node.kubernetes.io/{}", key), "Exists", "", "NoSchedule"});
  }
  if (host_network) tolerations.push_back({"node.kubernetes.io/network-unavailable", "Exists", "", "NoSchedule"});
  return tolerations;
}

struct View {
  Stored<k8s::DaemonSet> set;
  Revision revision;
  std::vector<k8s::Toleration> tolerations;
  json::object pod_template;
  std::map<std::string, PodList> pods;        // by node; being deleted too
  std::set<std::string> eligible, tolerated;  // nodes that shall have a pod; those whose pod may stay
  int64_t min_ready = 0;

  PodOwner owner() const { return {k8s::resource<k8s::DaemonSet>(), set->metadata}; }
};

void judge_node(View& view, const k8s::Node& node) {
  const auto& spec = view.set->spec.template_.spec;
  if (!spec.nodeName.empty() && spec.nodeName != node.metadata.name) return;
  if (!selects_node(spec, view.pod_template, node) || node.metadata.deletionTimestamp) return;
  // A NoSchedule taint keeps new pods away; only NoExecute sends those away that are there.
  k8s::Node executing = node;
  std::erase_if(executing.spec.taints, [](const k8s::Taint& taint) { return taint.effect != "NoExecute"; });
  if (untolerated_taint(executing, view.tolerations)) return;
  view.tolerated.insert(node.metadata.name);
  if (!untolerated_taint(node, view.tolerations)) view.eligible.insert(node.metadata.name);
}

Result<View> look(Desk& desk, const Stored<k8s::DaemonSet>& set) {
  View view;
  view.set = set;
  const PodOwner owner = view.owner();
  view.revision = TRY(ensure_revision(desk, owner, *set.document));
  if (const auto* pod_template = object_at(*set.document, {"spec", "template"})) view.pod_template = *pod_template;
  view.min_ready = number_at(*set.document, {"spec", "minReadySeconds"}).value_or(0);
  view.tolerations = daemon_tolerations(set->spec.template_.spec.hostNetwork);
  for (const auto& toleration : set->spec.template_.spec.tolerations) view.tolerations.push_back(toleration);
  for (const auto& [key, node] : desk.mirror.all<k8s::Node>()) judge_node(view, *node);
  for (const auto& pod : TRY(claim_pods(desk, owner, set->spec.selector))) view.pods[pod->spec.nodeName].push_back(pod);
  return view;
}

bool is_current(const View& view, const k8s::Pod& pod) {
  const auto label = pod.metadata.labels.find(kRevisionLabel);
  return label != pod.metadata.labels.end() && label->second == view.revision.hash;
}

Result<void> make_pod(Desk& desk, const View& view, const std::string& node) {
  json::object pod = pod_from_template(view.pod_template, view.owner());
  set_labels(pod["metadata"].as_object(), {{kRevisionLabel, view.revision.hash}});
  auto& spec = child(pod, "spec");
  spec["nodeName"] = node;
  auto& tolerations = spec["tolerations"];
  if (!tolerations.is_array()) tolerations.emplace_array();
  for (const auto& toleration : daemon_tolerations(view.set->spec.template_.spec.hostNetwork)) {
    json::object entry{{"key", toleration.key}, {"operator", "Exists"}};
    if (!toleration.effect.empty()) entry["effect"] = toleration.effect;
    tolerations.get_array().push_back(std::move(entry));
  }
  return create_pod(desk, view.owner(), std::move(pod), kSource);
}

Result<void> place(Desk& desk, const View& view) {
  for (const auto& node : view.eligible) {
    const auto found = view.pods.find(node);
    bool have = false;
    for (size_t i = 0; found != view.pods.end() && i < found->second.size(); ++i) {
      const auto& pod = found->second[i];
      // One that ends makes room when it has ended; the second and later ones (adopted) are too many.
      if (!is_being_deleted(*pod) && (is_finished(*pod) || have))
        TRY_VOID(delete_pod(desk, view.owner(), *pod, kSource));
      have = true;
    }
    if (!have) TRY_VOID(make_pod(desk, view, node));
  }
  for (const auto& [node, pods] : view.pods) {
    if (view.tolerated.contains(node)) continue;
    for (const auto& pod : pods) {
      if (!is_being_deleted(*pod)) TRY_VOID(delete_pod(desk, view.owner(), *pod, kSource));
    }
  }
  return {};
}

bool available(const View& view, const k8s::Pod& pod, Time now) {
  const auto from = available_from(pod, static_cast<int32_t>(view.min_ready));
  return from && *from <= now && is_active(pod);
}

// Pods of an older template go: first those that do not serve, then as many as may be missing at once.
Result<void> update(Desk& desk, const View& view) {
  if (text_at(*view.set.document, {"spec", "updateStrategy", "type"}) == "OnDelete") return {};
  std::optional<k8s::IntOrString> limit;
  for (const char* field :
       {"maxSurge", "maxUnavailable"}) {  // surge: not made beside the old pod yet, so it counts as missing
    const auto* value = value_at(*view.set.document, {"spec", "updateStrategy", "rollingUpdate", field});
    if (value && value->is_string() && value->get_string() != "0%") limit = std::string(value->get_string());
    if (value && value->is_int64() && value->get_int64() > 0) limit = static_cast<int32_t>(value->get_int64());
  }
  int32_t budget = limit ? std::max(1, resolve(limit, 0, static_cast<int32_t>(view.eligible.size()), true)) : 1;
  PodList serving_old;
  for (const auto& node : view.eligible) {
    const auto found = view.pods.find(node);
    const bool serves = found != view.pods.end() && std::ranges::any_of(found->second, [&](const auto& pod) {
                          return available(view, *pod, desk.now());
                        });
    if (!serves) --budget;
    for (size_t i = 0; found != view.pods.end() && i < found->second.size(); ++i) {
      const auto& pod = found->second[i];
      if (is_current(view, *pod) || is_being_deleted(*pod)) continue;
      if (available(view, *pod, desk.now()))
        serving_old.push_back(pod);
      else
        TRY_VOID(delete_pod(desk, view.owner(), *pod, kSource));
    }
  }
  for (const auto& pod : serving_old) {
    if (budget-- <= 0) return {};
    TRY_VOID(delete_pod(desk, view.owner(), *pod, kSource));
  }
  return {};
}

json::object status_of(const View& view, Time now, std::optional<Time>& next) {
  int64_t current = 0, misplaced = 0, ready = 0, serving = 0, updated = 0;
  for (const auto& [node, pods] : view.pods) {
    if (!view.eligible.contains(node)) {
      misplaced += std::ranges::any_of(pods, [](const auto& pod) { return is_active(*pod); });
      continue;
    }
    const auto live = std::ranges::find_if(pods, [](const auto& pod) { return is_active(*pod); });
    if (live == pods.end()) continue;
    ++current;
    updated += is_current(view, **live);
    const auto from = available_from(**live, static_cast<int32_t>(view.min_ready));
    if (!from) continue;
    ++ready;
    if (*from <= now)
      ++serving;
    else
      next = next ? std::min(*next, *from) : *from;
  }
  const auto desired = static_cast<int64_t>(view.eligible.size());
  json::object status{{"observedGeneration", view.set->metadata.generation},
                      {"desiredNumberScheduled", desired},
                      {"currentNumberScheduled", current},
                      {"numberMisscheduled", misplaced},
                      {"numberReady", ready}};
  if (updated) status["updatedNumberScheduled"] = updated;
  if (serving) status["numberAvailable"] = serving;
  if (desired > serving) status["numberUnavailable"] = desired - serving;
  return status;
}

bool node_matters(const k8s::Node* was, const k8s::Node* now) {
  if (!was || !now) return true;
  return was->metadata.labels != now->metadata.labels || was->spec.taints != now->spec.taints ||
         was->metadata.deletionTimestamp != now->metadata.deletionTimestamp;
}

}  // namespace

void DaemonSetController::observe(const Change& change) {
  if (change.is<k8s::DaemonSet>()) queue.add(change.key);
  observe_pod_owner(queue, change, "DaemonSet");
  observe_ownerless_pod<k8s::DaemonSet>(queue, mirror(), change);
  if (change.is<k8s::Node>() && node_matters(change.was<k8s::Node>(), change.becomes<k8s::Node>())) {
    for (const auto& [key, set] : mirror().all<k8s::DaemonSet>()) queue.add(key);
  }
}

Result<void> DaemonSetController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::DaemonSet>(key);
  if (!found || (*found)->metadata.deletionTimestamp || !selects_something((*found)->spec.selector)) return {};
  View view = TRY(look(desk_, Stored<k8s::DaemonSet>(*found)));
  auto advanced = place(desk_, view);
  if (advanced) advanced = update(desk_, view);

  view.pods.clear();
  for (const auto& pod : owned_pods(mirror(), view.set->metadata.uid)) view.pods[pod->spec.nodeName].push_back(pod);
  std::optional<Time> next;
  json::object status = status_of(view, now(), next);
  if (next) queue.add_at(key, *next);
  TRY_VOID(write_status(cluster(), view.owner().type, view.set.document, std::move(status)));
  TRY_VOID(remove_old_revisions(desk_, view.owner(), {view.revision.name},
                                number_at(*view.set.document, {"spec", "revisionHistoryLimit"}).value_or(10)));
  return advanced;
}

}  // namespace carrick::controllers
