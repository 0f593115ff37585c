#include "controllers/workloads/pods.h"

#include <charconv>

#include "controllers/event_log.h"

namespace carrick::controllers {

namespace {

const k8s::Condition* ready_condition(const k8s::Pod& pod) {
  for (const auto& condition : pod.status.conditions) {
    if (condition.type == "Ready") return &condition;
  }
  return nullptr;
}

Result<void> change_owner(Desk& desk, const Stored<k8s::Pod>& pod, const PodOwner& owner, bool adopt) {
  json::object changed = *pod.document;
  auto& metadata = child(changed, "metadata");
  json::array references;
  if (const auto* old = array_at(metadata, {"ownerReferences"})) {
    for (const auto& reference : *old) {
      if (reference.is_object() && text_at(reference.get_object(), {"uid"}) == owner.metadata.uid) continue;
      references.push_back(reference);
    }
  }
  if (adopt) references.push_back(owner_reference(owner.type, owner.metadata));
  metadata["ownerReferences"] = std::move(references);
  TRY_VOID(desk.cluster.update(k8s::resource<k8s::Pod>(), std::move(changed)));
  return {};
}

}  // namespace

bool is_ready(const k8s::Pod& pod) {
  const auto* condition = ready_condition(pod);
  return condition && condition->status == "True";
}

bool is_finished(const k8s::Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

std::optional<Time> available_from(const k8s::Pod& pod, int32_t min_ready_seconds) {
  const auto* condition = ready_condition(pod);
  if (!condition || condition->status != "True") return std::nullopt;
  if (min_ready_seconds == 0 || !condition->lastTransitionTime) return Time{};
  const auto since = parse_timestamp(*condition->lastTransitionTime);
  return since ? *since + std::chrono::seconds(min_ready_seconds) : Time{};
}

PodList owned_pods(const Mirror& mirror, const std::string& owner_uid) {
  PodList pods;
  for (const auto& key : mirror.pods_of(owner_uid)) pods.push_back(*mirror.find<k8s::Pod>(key));
  return pods;
}

Result<PodList> claim_pods(Desk& desk, const PodOwner& owner, const k8s::LabelSelector& selector) {
  const bool leaving = owner.metadata.deletionTimestamp.has_value();
  PodList adoptable;
  if (!leaving && selects_something(selector)) {
    for (const auto& key : desk.mirror.ownerless_pods(owner.metadata.namespace_)) {
      const auto* pod = desk.mirror.find<k8s::Pod>(key);
      if (is_active(**pod) && k8s::matches(selector, pod->object->metadata.labels)) adoptable.push_back(*pod);
    }
  }
  for (const auto& pod : adoptable) TRY_VOID(change_owner(desk, pod, owner, true));
  PodList pods = owned_pods(desk.mirror, owner.metadata.uid);
  PodList strangers;
  if (!leaving) {
    for (const auto& pod : pods) {
      if (!k8s::matches(selector, pod->metadata.labels) && !is_being_deleted(*pod)) strangers.push_back(pod);
    }
  }
  if (strangers.empty()) return pods;
  for (const auto& pod : strangers) TRY_VOID(change_owner(desk, pod, owner, false));
  return owned_pods(desk.mirror, owner.metadata.uid);
}

json::object pod_from_template(const json::object& pod_template, const PodOwner& owner, std::string_view name) {
  json::object pod =
      new_document(k8s::resource<k8s::Pod>(), owner.metadata.namespace_, name, owner.metadata.name + "-");
  auto& metadata = pod["metadata"].get_object();
  if (const auto* from = object_at(pod_template, {"metadata"})) {
    for (const char* field : {"labels", "annotations", "finalizers"}) {
      if (const auto* value = from->if_contains(field)) metadata[field] = *value;
    }
  }
  metadata["ownerReferences"] = json::array{owner_reference(owner.type, owner.metadata)};
  if (const auto* spec = object_at(pod_template, {"spec"})) pod["spec"] = *spec;
  return pod;
}

Result<void> create_pod(Desk& desk, const PodOwner& owner, json::object pod, std::string_view source) {
  auto created = desk.cluster.create(k8s::resource<k8s::Pod>(), std::move(pod));
  if (!created) {
    desk.events.warning(owner.type, owner.metadata, source, "FailedCreate",
                        "Error creating: " + created.error().message);
    return with_context(created.error(), "{} {}: a pod could not be made", owner.type.kind, owner.metadata.key().str());
  }
  desk.events.normal(owner.type, owner.metadata, source, "SuccessfulCreate",
                     fmt::format("Created pod: {}", text_at(**created, {"metadata", "name"})));
  return {};
}

Result<void> delete_pod(Desk& desk, const PodOwner& owner, const k8s::Pod& pod, std::string_view source) {
  DeleteOptions options;
  options.uid = pod.metadata.uid;
  auto removed = desk.cluster.remove(k8s::resource<k8s::Pod>(), pod.metadata.key(), options);
  if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  desk.events.normal(owner.type, owner.metadata, source, "SuccessfulDelete",
                     fmt::format("Deleted pod: {}", pod.metadata.name));
  return {};
}

bool same_for_owner(const k8s::Pod& a, const k8s::Pod& b) {
  const auto *ready_a = ready_condition(a), *ready_b = ready_condition(b);
  const bool same_ready = (!ready_a && !ready_b) || (ready_a && ready_b && *ready_a == *ready_b);
  return same_ready && a.metadata.uid == b.metadata.uid && a.status.phase == b.status.phase &&
         is_being_deleted(a) == is_being_deleted(b) && a.metadata.labels == b.metadata.labels &&
         a.metadata.ownerReferences == b.metadata.ownerReferences;
}

void observe_pod_owner(WorkQueue& queue, const Change& change, std::string_view kind, const Pacing* pacing) {
  for (const auto* pod : {change.was<k8s::Pod>(), change.becomes<k8s::Pod>()}) {
    const auto* owner = pod ? controller_of(pod->metadata) : nullptr;
    if (!owner || owner->kind != kind) continue;
    const k8s::NamespacedName key{pod->metadata.namespace_, owner->name};
    if (pacing)
      pacing->note(queue, key);
    else
      queue.add(key);
  }
}

int32_t resolve(const std::optional<k8s::IntOrString>& value, int32_t fallback_percent, int32_t total, bool round_up) {
  int32_t percent = fallback_percent;
  if (value) {
    if (const auto* number = std::get_if<int32_t>(&*value)) return *number;
    const auto& text = std::get<std::string>(*value);
    std::from_chars(text.data(), text.data() + text.size(), percent);
  }
  const int64_t product = int64_t{percent} * total;
  return static_cast<int32_t>(round_up ? (product + 99) / 100 : product / 100);
}

}  // namespace carrick::controllers
