#include "apiserver/printers.h"

namespace carrick::apiserver::printers {
namespace {

std::string name(const json::object& document) { return std::string(text_at(document, "metadata.name")); }
std::string created(const json::object& document, int64_t now) {
  return age(document, "metadata.creationTimestamp", now);
}

bool condition_true(const json::object& document, std::string_view type) {
  const json::array* conditions = array_at(document, "status.conditions");
  for (const json::value& value : conditions ? *conditions : json::array{})
    if (const auto* condition = value.if_object(); condition && text_at(*condition, "type") == type)
      return text_at(*condition, "status") == "True";
  return false;
}

std::string job_status(const json::object& d) {
  if (condition_true(d, "Complete")) return "Complete";
  if (condition_true(d, "Failed")) return "Failed";
  if (is_terminating(d)) return "Terminating";
  if (condition_true(d, "Suspended")) return "Suspended";
  if (condition_true(d, "FailureTarget")) return "FailureTarget";
  if (condition_true(d, "SuccessCriteriaMet")) return "SuccessCriteriaMet";
  return "Running";
}

std::string job_completions(const json::object& d) {
  const int64_t done = number_at(d, "status.succeeded");
  if (field(d, "spec.completions")) return fmt::format("{}/{}", done, number_at(d, "spec.completions"));
  const int64_t parallelism = number_at(d, "spec.parallelism");
  return parallelism > 1 ? fmt::format("{}/1 of {}", done, parallelism) : fmt::format("{}/1", done);
}

std::string job_duration(const json::object& d, int64_t now) {
  const auto start = parse_time(text_at(d, "status.startTime"));
  if (!start) return "";
  const auto end = parse_time(text_at(d, "status.completionTime"));
  return human_duration(end.value_or(now) - *start);
}

}  // namespace

json::array deployment(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  return {name(d),
          fmt::format("{}/{}", number_at(d, "status.readyReplicas"), number_at(d, "spec.replicas")),
          number_at(d, "status.updatedReplicas"),
          number_at(d, "status.availableReplicas"),
          created(d, now),
          containers,
          images,
          label_selector(object_at(d, "spec.selector"))};
}

json::array replica_set(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  return {name(d),
          number_at(d, "spec.replicas"),
          number_at(d, "status.replicas"),
          number_at(d, "status.readyReplicas"),
          created(d, now),
          containers,
          images,
          label_selector(object_at(d, "spec.selector"))};
}

json::array stateful_set(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  return {name(d), fmt::format("{}/{}", number_at(d, "status.readyReplicas"), number_at(d, "spec.replicas")),
          created(d, now), containers, images};
}

json::array daemon_set(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  return {name(d),
          number_at(d, "status.desiredNumberScheduled"),
          number_at(d, "status.currentNumberScheduled"),
          number_at(d, "status.numberReady"),
          number_at(d, "status.updatedNumberScheduled"),
          number_at(d, "status.numberAvailable"),
          or_none(label_map(object_at(d, "spec.template.spec.nodeSelector"))),
          created(d, now),
          containers,
          images,
          label_selector(object_at(d, "spec.selector"))};
}

json::array job(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  return {name(d),
          job_status(d),
          job_completions(d),
          job_duration(d, now),
          created(d, now),
          containers,
          images,
          label_selector(object_at(d, "spec.selector"))};
}

json::array cron_job(const json::object& d, int64_t now) {
  const auto [containers, images] = containers_and_images(d);
  const json::array* active = array_at(d, "status.active");
  const std::string last = field(d, "status.lastScheduleTime") ? age(d, "status.lastScheduleTime", now) : "<none>";
  return {name(d),
          text_at(d, "spec.schedule"),
          or_none(std::string(text_at(d, "spec.timeZone"))),
          flag_at(d, "spec.suspend") ? "True" : "False",
          active ? active->size() : 0,
          last,
          created(d, now),
          containers,
          images,
          label_selector(object_at(d, "spec.jobTemplate.spec.selector"))};
}

}  // namespace carrick::apiserver::printers
