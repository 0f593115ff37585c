#include "controllers/workloads/revisions.h"

#include <algorithm>

namespace carrick::controllers {

namespace {

const k8s::ResourceType& revisions() { return *k8s::find_by_kind("apps/v1", "ControllerRevision"); }

// Oldest first.
std::vector<Document> revisions_of(const Desk& desk, const PodOwner& owner) {
  std::vector<Document> own;
  for (const auto& document : desk.cluster.list(revisions(), owner.metadata.namespace_)) {
    const auto* references = array_at(*document, {"metadata", "ownerReferences"});
    const bool ours = references && std::ranges::any_of(*references, [&](const json::value& reference) {
                        return reference.is_object() && text_at(reference.get_object(), {"uid"}) == owner.metadata.uid;
                      });
    if (ours) own.push_back(document);
  }
  std::ranges::sort(own, {}, [](const Document& document) { return number_at(*document, {"revision"}).value_or(0); });
  return own;
}

}  // namespace

Result<Revision> ensure_revision(Desk& desk, const PodOwner& owner, const json::object& document) {
  json::object pod_template;
  if (const auto* from = object_at(document, {"spec", "template"})) pod_template = *from;
  const std::string hash = document_hash(pod_template);
  Revision revision{owner.metadata.name + "-" + hash, hash};
  const auto own = revisions_of(desk, owner);
  const int64_t newest = own.empty() ? 0 : number_at(*own.back(), {"revision"}).value_or(0);
  const auto found =
      std::ranges::find(own, revision.name, [](const Document& d) { return text_at(*d, {"metadata", "name"}); });
  if (found == own.end()) {
    json::object made = new_document(revisions(), owner.metadata.namespace_, revision.name);
    auto& metadata = made["metadata"].as_object();
    // kubectl finds the history of a workload by its selector, so a revision bears the labels of the pods.
    if (const auto* labels = object_at(pod_template, {"metadata", "labels"})) metadata["labels"] = *labels;
    set_labels(metadata, {{"controller-revision-hash", hash}});
    metadata["ownerReferences"] = json::array{owner_reference(owner.type, owner.metadata)};
    pod_template["$patch"] = "replace";  // kubectl's undo applies `data` as a strategic merge patch
    made["data"] = json::object{{"spec", json::object{{"template", std::move(pod_template)}}}};
    made["revision"] = newest + 1;
    TRY_VOID(desk.cluster.create(revisions(), std::move(made)));
  } else if (number_at(**found, {"revision"}).value_or(0) < newest) {
    json::object changed = **found;
    changed["revision"] = newest + 1;
    TRY_VOID(desk.cluster.update(revisions(), std::move(changed)));
  }
  return revision;
}

std::optional<json::object> template_of(const Desk& desk, const std::string& namespace_, const std::string& revision) {
  const auto document = desk.cluster.get(revisions(), {namespace_, revision});
  const auto* found = document ? object_at(*document, {"data", "spec", "template"}) : nullptr;
  if (!found) return std::nullopt;
  json::object pod_template = *found;
  pod_template.erase("$patch");
  return pod_template;
}

Result<void> remove_old_revisions(Desk& desk, const PodOwner& owner, const std::set<std::string>& in_use,
                                  int64_t limit) {
  auto own = revisions_of(desk, owner);
  std::erase_if(own,
                [&](const Document& d) { return in_use.contains(std::string(text_at(*d, {"metadata", "name"}))); });
  for (int64_t i = 0; i + limit < static_cast<int64_t>(own.size()); ++i) {
    const auto removed = desk.cluster.remove(
        revisions(), {owner.metadata.namespace_, std::string(text_at(*own[i], {"metadata", "name"}))});
    if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  }
  return {};
}

}  // namespace carrick::controllers
