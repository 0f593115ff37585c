#include "lab/nodes/documents.h"

#include <sys/utsname.h>

#include <algorithm>
#include <ctime>

namespace carrick::lab {
namespace {

namespace json = boost::json;

std::string_view architecture() {
  static const std::string name = [] {
    utsname machine{};
    ::uname(&machine);
    std::string_view kernel_name = machine.machine;
    return std::string(kernel_name == "x86_64" ? "amd64" : kernel_name == "aarch64" ? "arm64" : kernel_name);
  }();
  return name;
}

json::object condition(std::string_view type, bool status, std::string_view reason, std::string_view message,
                       const std::string& now) {
  auto text = [](std::string_view view) { return json::string(view.data(), view.size()); };
  json::object out{{"type", text(type)}, {"status", status ? "True" : "False"}, {"lastTransitionTime", now}};
  if (!reason.empty()) out["reason"] = text(reason);
  if (!message.empty()) out["message"] = text(message);
  return out;
}

// Keeps the time of a condition that has not changed.
json::object pod_condition(const k8s::Pod& pod, std::string_view type, bool status, std::string_view reason,
                           std::string_view message, const std::string& now) {
  json::object out = condition(type, status, reason, message, now);
  for (const k8s::Condition& old : pod.status.conditions)
    if (old.type == type && old.status == (status ? "True" : "False") && old.lastTransitionTime)
      out["lastTransitionTime"] = *old.lastTransitionTime;
  return out;
}

json::array ip_list(const std::vector<std::string>& addresses) {
  json::array out;
  for (const std::string& address : addresses) out.push_back(json::object{{"ip", address}});
  return out;
}

std::string text_of(LifeTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

json::object terminated(const TerminatedState& end, const std::string& container_id) {
  json::object out{{"exitCode", end.exit_code},
                   {"reason", end.reason},
                   {"startedAt", text_of(end.started)},
                   {"finishedAt", text_of(end.finished)},
                   {"containerID", "carrick://" + container_id}};
  if (!end.message.empty()) out["message"] = end.message;
  return out;
}

json::object container_status(const k8s::Container& container, const ContainerState& state,
                              const std::string& container_id) {
  const ContainerLife& life = state.life;
  json::object now, last;
  switch (life.state) {
    case ContainerLife::State::kWaiting:
      now["waiting"] = json::object{{"reason", life.reason}};
      if (!life.message.empty()) now["waiting"].as_object()["message"] = life.message;
      break;
    case ContainerLife::State::kRunning:
      now["running"] = json::object{{"startedAt", text_of(life.started)}};
      break;
    case ContainerLife::State::kTerminated:
      now["terminated"] = terminated(*life.end, container_id);
      break;
  }
  if (life.last_end) last["terminated"] = terminated(*life.last_end, container_id);
  return {{"name", container.name},
          {"image", container.image},
          {"imageID", ""},
          {"containerID", life.ran ? "carrick://" + container_id : ""},
          {"ready", state.ready},
          {"started", life.state == ContainerLife::State::kRunning && life.passed_startup},
          {"restartCount", life.restarts},
          {"state", now},
          {"lastState", last}};
}

// As the kubelet says it: "containers with unready status: [a b]".
std::string names_that(const PodState& state, std::string_view sentence, size_t begin, size_t end) {
  std::string names;
  for (size_t i = begin; i < end && i < state.containers.size(); ++i)
    if (!state.containers[i].ready) names += (names.empty() ? "" : " ") + state.containers[i].life.name;
  return names.empty() ? "" : fmt::format("{}: [{}]", sentence, names);
}

}  // namespace

std::string timestamp_now() {
  std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text;
}

bool PodState::ready() const {
  // Of the init containers the sidecars count.
  return phase == "Running" && containers.size() > inits &&
         std::ranges::all_of(
             containers, [](const ContainerState& c) { return c.ready || c.life.kind == ContainerLife::Kind::kInit; });
}

json::object node_document(const NodePlan& node, const std::string& now) {
  json::array cidrs;
  for (const net::Prefix& cidr : node.pod_cidrs) cidrs.push_back(json::string(cidr.str()));
  json::string arch(architecture());
  json::object labels{{"kubernetes.io/hostname", node.name},   {"kubernetes.io/os", "linux"},
                      {"beta.kubernetes.io/os", "linux"},      {"kubernetes.io/arch", arch},
                      {"beta.kubernetes.io/arch", arch},       {"topology.kubernetes.io/zone", node.zone},
                      {"topology.kubernetes.io/region", "lab"}};
  json::object patch = node_status_patch(node, "the agent is starting", now);
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata", json::object{{"name", node.name}, {"labels", labels}}},
          {"spec", json::object{{"podCIDR", cidrs.empty() ? json::value("") : cidrs[0]}, {"podCIDRs", cidrs}}},
          {"status", patch["status"]}};
}

json::object node_status_patch(const NodePlan& node, const std::string& not_ready_because, const std::string& now) {
  json::array addresses;
  for (const auto& address : node.addresses)
    addresses.push_back(json::object{{"type", "InternalIP"}, {"address", address.str()}});
  addresses.push_back(json::object{{"type", "Hostname"}, {"address", node.name}});
  bool ready = not_ready_because.empty();
  json::array conditions;
  for (const char* pressure : {"MemoryPressure", "DiskPressure", "PIDPressure"})
    conditions.push_back(condition(pressure, false, "LabHasNone", "", now));
  conditions.push_back(condition("Ready", ready, ready ? "KubeletReady" : "NetworkPluginNotReady",
                                 ready ? "the network serves pods" : not_ready_because, now));
  json::object resources{{"cpu", "64"}, {"memory", "256Gi"}, {"pods", "250"}, {"ephemeral-storage", "256Gi"}};
  json::object info{{"architecture", json::string(architecture())},
                    {"operatingSystem", "linux"},
                    {"osImage", "Carrick lab"},
                    {"kubeletVersion", "v1.31.0"},
                    {"containerRuntimeVersion", "carrick://0.1.0"}};
  utsname machine{};
  ::uname(&machine);
  info["kernelVersion"] = machine.release;
  return {{"status", json::object{{"addresses", addresses},
                                  {"conditions", conditions},
                                  {"capacity", resources},
                                  {"allocatable", resources},
                                  {"nodeInfo", info}}}};
}

json::object pod_status_patch(const k8s::Pod& pod, const Sandbox* sandbox, const PodState& state,
                              const std::string& now) {
  const bool ready = state.ready();
  const bool done = state.phase == "Succeeded";
  const std::string reason = ready ? "" : done ? "PodCompleted" : "ContainersNotReady";
  std::string unready = ready || done ? "" : state.message;
  if (unready.empty() && !ready && !done)
    unready = names_that(state, "containers with unready status", state.inits, state.containers.size());
  json::array conditions;
  // The scheduler's condition, and those of others, stay.
  for (const k8s::Condition& old : pod.status.conditions)
    if (old.type != "Initialized" && old.type != "ContainersReady" && old.type != "Ready" &&
        old.type != "PodReadyToStartContainers") {
      json::object kept{{"type", old.type}, {"status", old.status}};
      if (!old.reason.empty()) kept["reason"] = old.reason;
      if (!old.message.empty()) kept["message"] = old.message;
      if (old.lastTransitionTime) kept["lastTransitionTime"] = *old.lastTransitionTime;
      conditions.push_back(std::move(kept));
    }
  conditions.push_back(pod_condition(pod, "PodReadyToStartContainers", sandbox != nullptr, "", "", now));
  const bool initialized = sandbox && state.initialized;
  conditions.push_back(
      pod_condition(pod, "Initialized", initialized, initialized ? "" : "ContainersNotInitialized",
                    initialized ? "" : names_that(state, "containers with incomplete status", 0, state.inits), now));
  conditions.push_back(pod_condition(pod, "ContainersReady", ready, reason, unready, now));
  // Readiness gates: every named condition must be there and true, as others set it.
  bool gates_open = std::ranges::all_of(pod.spec.readinessGates, [&](const k8s::PodReadinessGate& gate) {
    return std::ranges::any_of(pod.status.conditions, [&](const k8s::Condition& c) {
      return c.type == gate.conditionType && c.status == "True";
    });
  });
  conditions.push_back(
      pod_condition(pod, "Ready", ready && gates_open, !gates_open ? "ReadinessGatesNotReady" : reason, unready, now));

  json::object status{
      {"phase", state.phase},
      {"conditions", conditions},
      {"hostIPs", ip_list(state.host_addresses)},
      {"message", state.message.empty() ? json::value(nullptr) : json::value(json::string(state.message))}};
  if (!state.host_addresses.empty()) status["hostIP"] = state.host_addresses.front();
  std::string started_at = sandbox ? sandbox->started_at : now;
  status["startTime"] = started_at;
  if (sandbox && !sandbox->addresses.empty()) {
    status["podIP"] = sandbox->addresses.front();
    status["podIPs"] = ip_list(sandbox->addresses);
  }
  json::array containers, init_containers;
  for (size_t i = 0; i < state.containers.size(); ++i) {
    const bool init = i < state.inits;
    const size_t at = init ? i : i - state.inits;
    const auto& list = init ? pod.spec.initContainers : pod.spec.containers;
    if (at >= list.size()) continue;
    const std::string id = sandbox ? sandbox->container_id.substr(0, 60) + fmt::format("{:04x}", i) : "";
    (init ? init_containers : containers).push_back(container_status(list[at], state.containers[i], id));
  }
  status["containerStatuses"] = containers;
  if (!init_containers.empty()) status["initContainerStatuses"] = init_containers;
  return {{"metadata", json::object{{"uid", pod.metadata.uid}}}, {"status", status}};
}

}  // namespace carrick::lab
