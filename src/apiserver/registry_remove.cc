#include <algorithm>

#include "apiserver/document.h"
#include "apiserver/registry.h"

namespace carrick::apiserver {
namespace {

constexpr int64_t kDefaultGraceSeconds = 30;

void set_finalizer(json::object& document, std::string_view name, bool wanted) {
  json::object& metadata = metadata_of(document);
  json::array finalizers;
  if (const json::array* given = array_at(document, "metadata.finalizers"))
    for (const json::value& value : *given)
      if (!value.is_string() || value.get_string() != name) finalizers.push_back(value);
  if (wanted) finalizers.emplace_back(name);
  if (finalizers.empty())
    metadata.erase("finalizers");
  else
    metadata["finalizers"] = std::move(finalizers);
}

// Seconds that the deletion of this object waits for its node; 0 when no node has to do anything.
int64_t grace_of(const k8s::ResourceType& type, const json::object& document,
                 const controllers::DeleteOptions& options) {
  if (!type.group.empty() || type.plural != "pods") return 0;
  const std::string_view phase = text_at(document, "status.phase");
  if (text_at(document, "spec.nodeName").empty() || phase == "Succeeded" || phase == "Failed") return 0;
  const int64_t wanted = options.grace_period_seconds.value_or(
      number_at(document, "spec.terminationGracePeriodSeconds", kDefaultGraceSeconds));
  return std::max<int64_t>(wanted, 0);
}

}  // namespace

StatusOr<Deletion> Registry::remove(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                    const controllers::DeleteOptions& options, bool dry_run) {
  const Record old = store_.get(custom_.stored_as(type), key);
  if (!old) return std::unexpected(not_found(type, key.name));
  const std::string_view uid = text_at(old->document, "metadata.uid");
  if (!options.uid.empty() && options.uid != uid)
    return std::unexpected(conflict(
        type, key.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", options.uid, uid)));
  if (!options.resource_version.empty() && options.resource_version != std::to_string(old->revision))
    return std::unexpected(conflict(
        type, key.name,
        fmt::format("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}",
                    options.resource_version, old->revision)));
  if (options.grace_period_seconds && *options.grace_period_seconds < 0)
    return std::unexpected(bad_request(fmt::format(
        "gracePeriodSeconds: Invalid value: {}: must be greater than or equal to 0", *options.grace_period_seconds)));
  if (type.group.empty() && type.plural == "namespaces") return remove_namespace(old, dry_run);

  if (type.group == "apiextensions.k8s.io" && !dry_run) return remove_definition(old, options);

  json::object document = old->document;
  if (!options.propagation.empty() || !is_terminating(document)) {
    set_finalizer(document, "orphan", options.propagation == "Orphan");
    set_finalizer(document, "foregroundDeletion", options.propagation == "Foreground");
  }
  const int64_t grace = grace_of(type, document, options);
  if (grace == 0 && !has_entries(document, "metadata.finalizers"))
    return erase(type, key, std::move(document), dry_run);
  return begin_deletion(type, old, std::move(document), grace, dry_run);
}

StatusOr<Deletion> Registry::begin_deletion(const k8s::ResourceType& type, const Record& old, json::object document,
                                            int64_t grace, bool dry_run) {
  json::object& metadata = metadata_of(document);
  // A second deletion can only hurry the first.
  const bool sooner = !is_terminating(document) || grace < number_at(document, "metadata.deletionGracePeriodSeconds");
  if (sooner) {
    metadata["deletionTimestamp"] = timestamp(grace);
    metadata["deletionGracePeriodSeconds"] = grace;
    if (!is_terminating(old->document) && counts_generations(type))
      metadata["generation"] = number_at(document, "metadata.generation") + 1;
  }
  if (document == old->document) return Deletion{old, false};
  const k8s::NamespacedName key = key_of(document);
  auto record = put(type, key, std::move(document), dry_run);
  if (!record) return std::unexpected(record.error());
  return Deletion{*record, false};
}

StatusOr<Deletion> Registry::remove_namespace(const Record& old, bool dry_run) {
  const k8s::ResourceType& type = *k8s::find_by_kind("v1", "Namespace");
  const k8s::NamespacedName key = key_of(old->document);
  for (std::string_view kept : {"default", "kube-system", "kube-public"})
    if (key.name == kept) return std::unexpected(forbidden(type, key.name, "this namespace may not be deleted"));
  json::object document = old->document;
  if (!has_entries(document, "spec.finalizers") && !has_entries(document, "metadata.finalizers"))
    return erase(type, key, std::move(document), dry_run);
  if (is_terminating(document)) return Deletion{old, false};
  child_object(document, "status")["phase"] = "Terminating";
  return begin_deletion(type, old, std::move(document), 0, dry_run);
}

StatusOr<> Registry::bind(const k8s::NamespacedName& pod, const json::object& binding, bool dry_run) {
  const k8s::ResourceType& type = *k8s::find_by_kind("v1", "Pod");
  const Record old = store_.get(type, pod);
  if (!old) return std::unexpected(not_found(type, pod.name));
  const std::string_view node = text_at(binding, "target.name");
  if (node.empty())
    return std::unexpected(invalid(type, pod.name, {field_error("Required", "target.name", "Required value")}));
  if (is_terminating(old->document))
    return std::unexpected(
        conflict(type, pod.name, fmt::format("pod {} is being deleted, cannot be assigned to a host", pod.name)));
  if (const std::string_view host = text_at(old->document, "spec.nodeName"); !host.empty())
    return std::unexpected(
        conflict(type, pod.name, fmt::format("pod {} is already assigned to node \"{}\"", pod.name, host)));
  json::object document = old->document;
  child_object(document, "spec")["nodeName"] = node;
  json::object& status = child_object(document, "status");
  json::array conditions;
  if (const json::array* before = array_at(document, "status.conditions"))
    for (const json::value& condition : *before)
      if (!condition.is_object() || text_at(condition.get_object(), "type") != "PodScheduled")
        conditions.push_back(condition);
  conditions.push_back(json::object{
      {"type", "PodScheduled"}, {"status", "True"}, {"lastProbeTime", nullptr}, {"lastTransitionTime", timestamp()}});
  status["conditions"] = std::move(conditions);
  auto done = put(type, pod, std::move(document), dry_run);
  if (!done) return std::unexpected(done.error());
  return {};
}

json::object Registry::scale_of(const json::object& workload, const ScalePaths& paths) {
  json::object metadata;
  for (std::string_view name : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (const json::value* value = field(workload, "metadata." + std::string(name))) metadata[name] = *value;
  json::object status{{"replicas", number_at(workload, paths.status)}};
  if (!paths.selector.empty()) {
    status["selector"] = text_at(workload, paths.selector);
  } else if (const json::object* labels = object_at(workload, "spec.selector.matchLabels")) {
    std::string text;
    for (const auto& [key, value] : *labels)
      if (const auto* label = value.if_string())
        text += (text.empty() ? "" : ",") + std::string(key) + "=" + std::string(*label);
    status["selector"] = text;
  }
  return {{"kind", "Scale"},
          {"apiVersion", "autoscaling/v1"},
          {"metadata", std::move(metadata)},
          {"spec", json::object{{"replicas", number_at(workload, paths.spec, 1)}}},
          {"status", std::move(status)}};
}

StatusOr<Record> Registry::set_scale(const k8s::ResourceType& type, const k8s::NamespacedName& key,
                                     const json::object& scale, const ScalePaths& paths, bool dry_run) {
  const Record old = custom_.as_version(type, store_.get(custom_.stored_as(type), key));
  if (!old) return std::unexpected(not_found(type, key.name));
  const json::value* replicas = field(scale, "spec.replicas");
  const int64_t count = number_at(scale, "spec.replicas");
  if (replicas && !replicas->is_int64() && !replicas->is_uint64())
    return std::unexpected(bad_request("spec.replicas of a Scale must be a whole number"));
  if (count < 0)
    return std::unexpected(
        invalid(type, key.name,
                {field_error("Invalid", "spec.replicas",
                             fmt::format("Invalid value: {}: must be greater than or equal to 0", count))}));
  json::object document = old->document;
  json::object* at = &document;
  std::string_view path = paths.spec;
  for (size_t dot; (dot = path.find('.')) != path.npos; path.remove_prefix(dot + 1))
    at = &child_object(*at, path.substr(0, dot));
  (*at)[path] = count;
  if (const json::value* revision = field(scale, "metadata.resourceVersion"))
    metadata_of(document)["resourceVersion"] = *revision;
  return update(type, key, std::move(document), Part::kMain, dry_run);
}

}  // namespace carrick::apiserver
