#include <algorithm>
#include <map>

#include "apiserver/printers.h"

namespace carrick::apiserver::printers {
namespace {

const json::array& list_at(const json::object& document, std::string_view path) {
  static const json::array none;
  const json::array* found = array_at(document, path);
  return found ? *found : none;
}

bool condition_is(const json::object& document, std::string_view type, std::string_view status) {
  for (const json::value& value : list_at(document, "status.conditions")) {
    const json::object* condition = value.if_object();
    if (condition && text_at(*condition, "type") == type) return text_at(*condition, "status") == status;
  }
  return false;
}

struct PodSummary {
  int64_t ready = 0, total = 0, restarts = 0;
  std::string status;
  std::string_view last_restart;  // RFC 3339
};

// An init container that has not done its work decides the status. A sidecar (restartPolicy Always) counts as a
// container.
bool summarize_init(const json::object& pod, PodSummary& summary) {
  std::map<std::string_view, bool> sidecar;
  const json::array& specs = list_at(pod, "spec.initContainers");
  for (const json::value& value : specs)
    if (const auto* container = value.if_object())
      sidecar[text_at(*container, "name")] = text_at(*container, "restartPolicy") == "Always";
  for (const auto& [name, always] : sidecar) summary.total += always;
  bool waiting = false;
  size_t index = 0;
  for (const json::value& value : list_at(pod, "status.initContainerStatuses")) {
    const json::object* container = value.if_object();
    if (!container) continue;
    const size_t at = index++;
    summary.restarts += number_at(*container, "restartCount");
    if (const json::object* terminated = object_at(*container, "state.terminated")) {
      if (number_at(*terminated, "exitCode") == 0) continue;
      const std::string_view reason = text_at(*terminated, "reason");
      summary.status = reason.empty() ? fmt::format("Init:ExitCode:{}", number_at(*terminated, "exitCode"))
                                      : fmt::format("Init:{}", reason);
    } else if (sidecar[text_at(*container, "name")] && flag_at(*container, "started")) {
      summary.ready += flag_at(*container, "ready");
      continue;
    } else if (const std::string_view reason = text_at(*container, "state.waiting.reason");
               !reason.empty() && reason != "PodInitializing") {
      summary.status = fmt::format("Init:{}", reason);
    } else {
      summary.status = fmt::format("Init:{}/{}", at, specs.size());
    }
    waiting = true;
    break;
  }
  return waiting;
}

void summarize_containers(const json::object& pod, PodSummary& summary) {
  const json::array& statuses = list_at(pod, "status.containerStatuses");
  bool running = false;
  for (size_t i = statuses.size(); i-- > 0;) {
    const json::object* container = statuses[i].if_object();
    if (!container) continue;
    summary.restarts += number_at(*container, "restartCount");
    summary.last_restart = std::max(summary.last_restart, text_at(*container, "lastState.terminated.finishedAt"));
    const std::string_view waiting = text_at(*container, "state.waiting.reason");
    const json::object* terminated = object_at(*container, "state.terminated");
    if (!waiting.empty()) {
      summary.status = waiting;
    } else if (terminated) {
      const std::string_view reason = text_at(*terminated, "reason");
      if (!reason.empty())
        summary.status = reason;
      else if (const int64_t signal = number_at(*terminated, "signal"))
        summary.status = fmt::format("Signal:{}", signal);
      else
        summary.status = fmt::format("ExitCode:{}", number_at(*terminated, "exitCode"));
    } else if (flag_at(*container, "ready") && field(*container, "state.running")) {
      running = true;
      ++summary.ready;
    }
  }
  if (summary.status == "Completed" && running)
    summary.status = condition_is(pod, "Ready", "True") ? "Running" : "NotReady";
}

PodSummary summarize(const json::object& pod) {
  PodSummary summary;
  summary.total = static_cast<int64_t>(list_at(pod, "spec.containers").size());
  summary.status = text_at(pod, "status.phase");
  const std::string_view reason = text_at(pod, "status.reason");
  if (!reason.empty()) summary.status = reason;
  for (const json::value& value : list_at(pod, "status.conditions"))
    if (const auto* condition = value.if_object(); condition && text_at(*condition, "type") == "PodScheduled" &&
                                                   text_at(*condition, "reason") == "SchedulingGated")
      summary.status = "SchedulingGated";
  if (!summarize_init(pod, summary) || condition_is(pod, "Initialized", "True")) summarize_containers(pod, summary);
  if (is_terminating(pod)) {
    if (reason == "NodeLost")
      summary.status = "Unknown";
    else if (const std::string_view phase = text_at(pod, "status.phase"); phase != "Failed" && phase != "Succeeded")
      summary.status = "Terminating";
  }
  return summary;
}

std::string readiness_gates(const json::object& pod) {
  const json::array& gates = list_at(pod, "spec.readinessGates");
  if (gates.empty()) return "<none>";
  size_t passed = 0;
  for (const json::value& gate : gates)
    if (gate.is_object() && condition_is(pod, text_at(gate.get_object(), "conditionType"), "True")) ++passed;
  return fmt::format("{}/{}", passed, gates.size());
}

std::string node_address(const json::object& document, std::string_view type) {
  for (const json::value& value : list_at(document, "status.addresses"))
    if (const auto* address = value.if_object(); address && text_at(*address, "type") == type)
      return std::string(text_at(*address, "address"));
  return "<none>";
}

std::string roles(const json::object& document) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::vector<std::string> found;
  if (const json::object* labels = object_at(document, "metadata.labels"))
    for (const auto& [key, value] : *labels) {
      const std::string_view name = key;
      if (name.starts_with(kPrefix) && name.size() > kPrefix.size())
        found.emplace_back(name.substr(kPrefix.size()));
      else if (name == "kubernetes.io/role" && value.is_string())
        found.emplace_back(value.get_string());
    }
  std::ranges::sort(found);
  return or_none(limited(found, found.size()));
}

std::string or_unknown(std::string_view text) { return text.empty() ? "<unknown>" : std::string(text); }

}  // namespace

json::array pod(const json::object& d, int64_t now) {
  const PodSummary summary = summarize(d);
  std::string restarts = std::to_string(summary.restarts);
  if (const auto last = parse_time(summary.last_restart); last && summary.restarts > 0)
    restarts = fmt::format("{} ({} ago)", summary.restarts, human_duration(now - *last));
  const json::array& ips = list_at(d, "status.podIPs");
  std::string ip(text_at(d, "status.podIP"));
  if (!ips.empty() && ips[0].is_object()) ip = text_at(ips[0].get_object(), "ip");
  return {text_at(d, "metadata.name"),
          fmt::format("{}/{}", summary.ready, summary.total),
          summary.status,
          restarts,
          age(d, "metadata.creationTimestamp", now),
          or_none(ip),
          or_none(std::string(text_at(d, "spec.nodeName"))),
          or_none(std::string(text_at(d, "status.nominatedNodeName"))),
          readiness_gates(d)};
}

json::array node(const json::object& d, int64_t now) {
  std::string status = "Unknown";
  for (const json::value& value : list_at(d, "status.conditions"))
    if (const auto* condition = value.if_object(); condition && text_at(*condition, "type") == "Ready")
      status = text_at(*condition, "status") == "True" ? "Ready" : "NotReady";
  if (flag_at(d, "spec.unschedulable")) status += ",SchedulingDisabled";
  return {text_at(d, "metadata.name"),
          status,
          roles(d),
          age(d, "metadata.creationTimestamp", now),
          text_at(d, "status.nodeInfo.kubeletVersion"),
          node_address(d, "InternalIP"),
          node_address(d, "ExternalIP"),
          or_unknown(text_at(d, "status.nodeInfo.osImage")),
          or_unknown(text_at(d, "status.nodeInfo.kernelVersion")),
          or_unknown(text_at(d, "status.nodeInfo.containerRuntimeVersion"))};
}

}  // namespace carrick::apiserver::printers
