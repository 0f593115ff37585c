#pragma once

#include "controllers/workloads/pods.h"

// ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, for `kubectl rollout history` and `undo`,
// and to make a pod of an older revision again.
namespace carrick::controllers {

struct Revision {
  std::string name;  // "<owner>-<hash>"
  std::string hash;
};

// The revision of the workload's present template; made when it is new, made the newest when it is an old one again.
Result<Revision> ensure_revision(Desk& desk, const PodOwner& owner, const json::object& document);

// `spec.template` as that revision had it; nothing when its history is gone.
std::optional<json::object> template_of(const Desk& desk, const std::string& namespace_, const std::string& revision);

// Keeps `limit` revisions besides those in use.
Result<void> remove_old_revisions(Desk& desk, const PodOwner& owner, const std::set<std::string>& in_use,
                                  int64_t limit);

}  // namespace carrick::controllers
