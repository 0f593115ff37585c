#include "controllers/workloads/stateful_set.h"

#include <algorithm>
#include <charconv>

#include "controllers/workloads/revisions.h"

namespace carrick::controllers {

namespace {

constexpr const char* kSource = "statefulset-controller";
constexpr const char* kRevisionLabel = "controller-revision-hash";

// One look at a StatefulSet.
struct View {
  Stored<k8s::StatefulSet> set;
  std::string update_revision, current_revision;
  int64_t start = 0, replicas = 1, partition = 0, min_ready = 0;
  bool ordered = true, on_delete = false;
  std::map<int64_t, Stored<k8s::Pod>> pods;  // by number

  PodOwner owner() const { return {k8s::resource<k8s::StatefulSet>(), set->metadata}; }
  bool wanted(int64_t number) const { return number >= start && number < start + replicas; }
};

std::optional<int64_t> number_of(const std::string& set, const std::string& pod) {
  if (!pod.starts_with(set + "-")) return std::nullopt;
  int64_t number = 0;
  const char* begin = pod.data() + set.size() + 1;
  const auto [end, error] = std::from_chars(begin, pod.data() + pod.size(), number);
  if (error != std::errc{} || end != pod.data() + pod.size()) return std::nullopt;
  return number;
}

std::string revision_of(const k8s::Pod& pod) {
  const auto label = pod.metadata.labels.find(kRevisionLabel);
  return label == pod.metadata.labels.end() ? "" : label->second;
}

bool available(const View& view, const k8s::Pod& pod, Time now) {
  const auto from = available_from(pod, static_cast<int32_t>(view.min_ready));
  return from && *from <= now && !is_being_deleted(pod);
}

// Volumes of volumeClaimTemplates: the claims themselves are nobody's business here, but the pod must be valid.
void add_claims(const json::object& set, json::object& pod, const std::string& pod_name) {
  const auto* claims = array_at(set, {"spec", "volumeClaimTemplates"});
  if (!claims || claims->empty()) return;
  json::array volumes;
  std::set<std::string> claimed;
  for (const auto& claim : *claims) {
    const std::string volume(text_at(claim.as_object(), {"metadata", "name"}));
    claimed.insert(volume);
    volumes.push_back(json::object{{"name", volume},
                                   {"persistentVolumeClaim", {{"claimName", fmt::format("{}-{}", volume, pod_name)}}}});
  }
  if (const auto* others = array_at(pod, {"spec", "volumes"})) {
    for (const auto& other : *others) {
      if (other.is_object() && !claimed.contains(std::string(text_at(other.get_object(), {"name"}))))
        volumes.push_back(other);
    }
  }
  child(pod, "spec")["volumes"] = std::move(volumes);
}

Result<void> make_pod(Desk& desk, const View& view, int64_t number) {
  const auto& metadata = view.set->metadata;
  // Below the partition a pod comes back as it was.
  const bool updated = view.current_revision == view.update_revision || number >= view.start + view.partition;
  std::string revision = updated ? view.update_revision : view.current_revision;
  auto pod_template = template_of(desk, metadata.namespace_, revision);
  if (!pod_template) {
    revision = view.update_revision;
    const auto* present = object_at(*view.set.document, {"spec", "template"});
    if (!present) return fail(ErrorKind::kInvalid, "StatefulSet {} has no spec.template", metadata.key().str());
    pod_template = *present;
  }
  const std::string name = fmt::format("{}-{}", metadata.name, number);
  json::object pod = pod_from_template(*pod_template, view.owner(), name);
  set_labels(pod["metadata"].as_object(), {{"statefulset.kubernetes.io/pod-name", name},
                                           {"apps.kubernetes.io/pod-index", std::to_string(number)},
                                           {kRevisionLabel, revision}});
  auto& spec = child(pod, "spec");
  spec["hostname"] = name;
  if (!view.set->spec.serviceName.empty()) spec["subdomain"] = view.set->spec.serviceName;
  add_claims(*view.set.document, pod, name);
  return create_pod(desk, view.owner(), std::move(pod), kSource);
}

// Steps end where the order demands that something is waited for.
enum class Step { kGoOn, kWait };

Result<Step> fill(Desk& desk, const View& view) {
  for (int64_t number = view.start; number < view.start + view.replicas; ++number) {
    const auto pod = view.pods.find(number);
    if (pod == view.pods.end()) {
      TRY_VOID(make_pod(desk, view, number));
      if (view.ordered) return Step::kWait;
      continue;
    }
    if (is_finished(*pod->second) && !is_being_deleted(*pod->second)) {
      TRY_VOID(delete_pod(desk, view.owner(), *pod->second, kSource));
      if (view.ordered) return Step::kWait;
      continue;
    }
    if (view.ordered && !available(view, *pod->second, desk.now())) return Step::kWait;
  }
  return Step::kGoOn;
}

Result<Step> shrink(Desk& desk, const View& view) {
  for (auto pod = view.pods.rbegin(); pod != view.pods.rend(); ++pod) {
    if (view.wanted(pod->first)) continue;
    if (!is_being_deleted(*pod->second)) TRY_VOID(delete_pod(desk, view.owner(), *pod->second, kSource));
    if (view.ordered) return Step::kWait;
  }
  return Step::kGoOn;
}

Result<void> update(Desk& desk, const View& view) {
  if (view.on_delete) return {};
  for (auto pod = view.pods.rbegin(); pod != view.pods.rend(); ++pod) {
    if (!view.wanted(pod->first) || pod->first < view.start + view.partition) continue;
    if (revision_of(*pod->second) != view.update_revision && !is_being_deleted(*pod->second)) {
      return delete_pod(desk, view.owner(), *pod->second, kSource);
    }
    if (!available(view, *pod->second, desk.now())) return {};
  }
  return {};
}

json::object status_of(const View& view, Time now, std::optional<Time>& next) {
  int64_t replicas = 0, ready = 0, have = 0, updated = 0, current = 0;
  for (const auto& [number, pod] : view.pods) {
    if (is_finished(*pod)) continue;
    ++replicas;
    if (const auto from = available_from(*pod, static_cast<int32_t>(view.min_ready)); from && !is_being_deleted(*pod)) {
      ++ready;
      if (*from <= now)
        ++have;
      else
        next = next ? std::min(*next, *from) : *from;
    }
    if (is_being_deleted(*pod)) continue;
    const auto revision = revision_of(*pod);
    updated += revision == view.update_revision;
    current += revision == view.current_revision;
  }
  std::string current_revision = view.current_revision;
  if (!view.on_delete && updated == replicas && ready == replicas && replicas == view.replicas) {
    current_revision = view.update_revision;  // the rollout is complete
    current = updated;
  }
  json::object status{{"observedGeneration", view.set->metadata.generation},
                      {"replicas", replicas},
                      {"availableReplicas", have},
                      {"currentRevision", current_revision},
                      {"updateRevision", view.update_revision},
                      {"collisionCount", 0}};
  if (ready) status["readyReplicas"] = ready;
  if (current) status["currentReplicas"] = current;
  if (updated) status["updatedReplicas"] = updated;
  return status;
}

Result<View> look(Desk& desk, const Stored<k8s::StatefulSet>& set) {
  View view;
  view.set = set;
  const auto& document = *set.document;
  const PodOwner owner = view.owner();
  view.update_revision = TRY(ensure_revision(desk, owner, document)).name;
  view.current_revision = text_at(document, {"status", "currentRevision"});
  if (view.current_revision.empty()) view.current_revision = view.update_revision;
  view.start = number_at(document, {"spec", "ordinals", "start"}).value_or(0);
  view.replicas = set->spec.replicas.value_or(1);
  view.partition = number_at(document, {"spec", "updateStrategy", "rollingUpdate", "partition"}).value_or(0);
  view.min_ready = number_at(document, {"spec", "minReadySeconds"}).value_or(0);
  view.ordered = set->spec.podManagementPolicy != "Parallel";
  view.on_delete = text_at(document, {"spec", "updateStrategy", "type"}) == "OnDelete";
  for (const auto& pod : TRY(claim_pods(desk, owner, set->spec.selector))) {
    if (const auto number = number_of(set->metadata.name, pod->metadata.name)) view.pods.emplace(*number, pod);
  }
  return view;
}

Result<void> advance(Desk& desk, const View& view) {
  if (TRY(fill(desk, view)) == Step::kWait) return {};
  if (TRY(shrink(desk, view)) == Step::kWait) return {};
  return update(desk, view);
}

}  // namespace

void StatefulSetController::observe(const Change& change) {
  if (change.is<k8s::StatefulSet>()) queue.add(change.key);
  observe_pod_owner(queue, change, "StatefulSet");
  observe_ownerless_pod<k8s::StatefulSet>(queue, mirror(), change);
}

Result<void> StatefulSetController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::StatefulSet>(key);
  if (!found || (*found)->metadata.deletionTimestamp) return {};
  View view = TRY(look(desk_, Stored<k8s::StatefulSet>(*found)));
  const auto advanced = advance(desk_, view);

  view.pods.clear();
  for (const auto& pod : owned_pods(mirror(), view.set->metadata.uid)) {
    if (const auto number = number_of(view.set->metadata.name, pod->metadata.name)) view.pods.emplace(*number, pod);
  }
  std::optional<Time> next;
  json::object status = status_of(view, now(), next);
  if (next) queue.add_at(key, *next);
  std::set<std::string> in_use{view.update_revision, std::string(text_at(status, {"currentRevision"}))};
  for (const auto& [number, pod] : view.pods) in_use.insert(revision_of(*pod));
  TRY_VOID(write_status(cluster(), view.owner().type, view.set.document, std::move(status)));
  TRY_VOID(remove_old_revisions(desk_, view.owner(), in_use,
                                number_at(*view.set.document, {"spec", "revisionHistoryLimit"}).value_or(10)));
  return advanced;
}

}  // namespace carrick::controllers
