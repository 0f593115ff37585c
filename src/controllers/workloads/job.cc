#include "controllers/workloads/job.h"

#include <algorithm>

#include "controllers/event_log.h"
#include "controllers/workloads/pods.h"

namespace carrick::controllers {

namespace {

constexpr const char* kSource = "job-controller";
constexpr const char* kIndex = "batch.kubernetes.io/job-completion-index";

struct View {
  Stored<k8s::Job> job;
  PodList active;
  int64_t succeeded = 0, failed = 0, ready = 0, terminating = 0;
  bool indexed = false;
  std::set<int64_t> done, taken;  // indexes that have succeeded; that have a pod now

  PodOwner owner() const { return {k8s::resource<k8s::Job>(), job->metadata}; }
  std::optional<int64_t> completions() const { return job->spec.completions; }
};

std::optional<int64_t> index_of(const k8s::Pod& pod) {
  const auto at = pod.metadata.annotations.find(kIndex);
  return at == pod.metadata.annotations.end() ? std::nullopt : std::optional<int64_t>(std::atoll(at->second.c_str()));
}

View look(const Mirror& mirror, const Stored<k8s::Job>& job) {
  View view;
  view.job = job;
  view.indexed = text_at(*job.document, {"spec", "completionMode"}) == "Indexed";
  for (const auto& pod : owned_pods(mirror, job->metadata.uid)) {
    const auto index = index_of(*pod);
    if (pod->status.phase == "Succeeded") {
      ++view.succeeded;
      if (index) view.done.insert(*index);
    } else if (pod->status.phase == "Failed") {
      ++view.failed;
    } else if (is_being_deleted(*pod)) {
      ++view.terminating;
      if (index) view.taken.insert(*index);
    } else {
      view.active.push_back(pod);
      view.ready += is_ready(*pod);
      if (index) view.taken.insert(*index);
    }
  }
  if (view.indexed) view.succeeded = static_cast<int64_t>(view.done.size());
  // Finished pods that somebody deleted have counted all the same.
  view.succeeded = std::max(view.succeeded, number_at(*job.document, {"status", "succeeded"}).value_or(0));
  view.failed = std::max(view.failed, number_at(*job.document, {"status", "failed"}).value_or(0));
  return view;
}

bool is_complete(const View& view) {
  if (view.completions()) return view.succeeded >= *view.completions();
  return view.succeeded > 0 && view.active.empty();
}

// Why the Job has failed: reason and sentence; empty while it has not.
std::pair<std::string, std::string> failure(const View& view, Time now, std::optional<Time>& next) {
  if (view.failed > view.job->spec.backoffLimit.value_or(6))
    return {"BackoffLimitExceeded", "Job has reached the specified backoff limit"};
  const auto deadline = number_at(*view.job.document, {"spec", "activeDeadlineSeconds"});
  const auto start = parse_timestamp(text_at(*view.job.document, {"status", "startTime"}));
  if (!deadline) return {};
  const Time end = start.value_or(now) + std::chrono::seconds(*deadline);
  if (end <= now) return {"DeadlineExceeded", "Job was active longer than specified deadline"};
  next = end;
  return {};
}

Result<void> make_pod(Desk& desk, View& view) {
  const auto& metadata = view.job->metadata;
  const auto* pod_template = object_at(*view.job.document, {"spec", "template"});
  if (!pod_template) return fail(ErrorKind::kInvalid, "Job {} has no spec.template", metadata.key().str());
  json::object pod = pod_from_template(*pod_template, view.owner());
  set_labels(pod["metadata"].as_object(), {{"job-name", metadata.name},
                                           {"controller-uid", metadata.uid},
                                           {"batch.kubernetes.io/job-name", metadata.name},
                                           {"batch.kubernetes.io/controller-uid", metadata.uid}});
  if (view.indexed) {
    int64_t index = 0;
    while (view.done.contains(index) || view.taken.contains(index)) ++index;
    view.taken.insert(index);
    const std::string text = std::to_string(index);
    set_labels(pod["metadata"].as_object(), {{kIndex, text}});
    set_annotation(pod, kIndex, text);
    pod["metadata"].as_object()["generateName"] = fmt::format("{}-{}-", metadata.name, text);
    child(pod, "spec")["hostname"] = fmt::format("{}-{}", metadata.name, text);
    if (auto* containers = child(pod, "spec").if_contains("containers"); containers && containers->is_array()) {
      for (auto& container : containers->get_array()) {
        auto& env = container.as_object()["env"];
        if (!env.is_array()) env.emplace_array();
        env.get_array().push_back(json::object{{"name", "JOB_COMPLETION_INDEX"}, {"value", text}});
      }
    }
  }
  return create_pod(desk, view.owner(), std::move(pod), kSource);
}

// As many at once as allowed, and no more than are still needed.
Result<void> keep_running(Desk& desk, View& view, int64_t want) {
  const auto have = static_cast<int64_t>(view.active.size());
  for (int64_t i = have; i < want; ++i) TRY_VOID(make_pod(desk, view));
  for (int64_t i = std::max<int64_t>(want, 0); i < have; ++i)
    TRY_VOID(delete_pod(desk, view.owner(), *view.active[i], kSource));
  return {};
}

std::string ranges(const std::set<int64_t>& indexes) {
  std::string text;
  for (auto at = indexes.begin(); at != indexes.end();) {
    const int64_t first = *at++;
    int64_t last = first;
    for (; at != indexes.end() && *at == last + 1; ++at) last = *at;
    text += fmt::format("{}{}", text.empty() ? "" : ",", first);
    if (last > first) text += fmt::format("{}{}", last == first + 1 ? "," : "-", last);
  }
  return text;
}

json::object base_status(const View& view, Time now) {
  json::object status;
  if (const auto* old = object_at(*view.job.document, {"status"})) status = *old;
  if (!status.contains("startTime") && !view.job->spec.suspend.value_or(false)) status["startTime"] = timestamp(now);
  auto put = [&](const char* field, int64_t value) {
    if (value > 0)
      status[field] = value;
    else
      status.erase(field);
  };
  put("active", static_cast<int64_t>(view.active.size()));
  put("succeeded", view.succeeded);
  put("failed", view.failed);
  put("ready", view.ready);
  put("terminating", view.terminating);
  if (view.indexed && !view.done.empty()) status["completedIndexes"] = ranges(view.done);
  return status;
}

bool is_over(const json::object& job) {
  const auto* conditions = array_at(job, {"status", "conditions"});
  if (!conditions) return false;
  for (const char* type : {"Complete", "Failed"}) {
    const auto* condition = find_condition(*conditions, type);
    if (condition && text_at(*condition, {"status"}) == "True") return true;
  }
  return false;
}

json::array& conditions_in(json::object& status) {
  auto& conditions = status["conditions"];
  if (!conditions.is_array()) conditions.emplace_array();
  return conditions.get_array();
}

}  // namespace

void JobController::observe(const Change& change) {
  if (change.is<k8s::Job>()) queue.add(change.key);
  observe_pod_owner(queue, change, "Job");
}

Result<void> JobController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Job>(key);
  if (!found || (*found)->metadata.deletionTimestamp) return {};
  View view = look(mirror(), Stored<k8s::Job>(*found));
  const auto& type = view.owner().type;
  if (is_over(*view.job.document)) {
    TRY_VOID(keep_running(desk_, view, 0));
    const auto ttl = number_at(*view.job.document, {"spec", "ttlSecondsAfterFinished"});
    if (!ttl) return {};
    const auto* conditions = array_at(*view.job.document, {"status", "conditions"});
    const auto* over = find_condition(*conditions, "Complete") ? find_condition(*conditions, "Complete")
                                                               : find_condition(*conditions, "Failed");
    const Time end =
        parse_timestamp(text_at(*over, {"lastTransitionTime"})).value_or(now()) + std::chrono::seconds(*ttl);
    if (end <= now()) return cluster().remove(type, key);
    queue.add_at(key, end);
    return {};
  }
  std::optional<Time> next;
  const auto [reason, sentence] = failure(view, now(), next);
  const bool complete = is_complete(view), suspended = view.job->spec.suspend.value_or(false);
  Result<void> kept;
  if (!reason.empty() || complete || suspended) {
    kept = keep_running(desk_, view, 0);
  } else {
    const int64_t parallelism = view.job->spec.parallelism.value_or(1);
    const int64_t missing = view.completions()   ? *view.completions() - view.succeeded
                            : view.succeeded > 0 ? static_cast<int64_t>(view.active.size())
                                                 : parallelism;
    kept = keep_running(desk_, view, std::min(parallelism, missing));
  }
  view = look(mirror(), view.job);
  json::object status = base_status(view, now());
  if (!reason.empty()) {
    set_condition(conditions_in(status), "FailureTarget", true, reason, sentence, now());
    set_condition(conditions_in(status), "Failed", true, reason, sentence, now());
    desk_.events.warning(type, view.job->metadata, kSource, reason, sentence);
  } else if (complete) {
    set_condition(conditions_in(status), "SuccessCriteriaMet", true, "CompletionsReached",
                  "Reached expected number of succeeded pods", now());
    set_condition(conditions_in(status), "Complete", true, "CompletionsReached",
                  "Reached expected number of succeeded pods", now());
    status["completionTime"] = timestamp(now());
    desk_.events.normal(type, view.job->metadata, kSource, "Completed", "Job completed");
  } else if (suspended || find_condition(conditions_in(status), "Suspended")) {
    set_condition(conditions_in(status), "Suspended", suspended, suspended ? "JobSuspended" : "JobResumed",
                  suspended ? "Job suspended" : "Job resumed", now());
  }
  if (conditions_in(status).empty()) status.erase("conditions");
  if (next) queue.add_at(key, *next);
  TRY_VOID(write_status(cluster(), type, view.job.document, std::move(status)));
  return kept;
}

}  // namespace carrick::controllers
