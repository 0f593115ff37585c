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

json::object container_status(const k8s::Container& container, const ContainerState& state,
                              const std::string& container_id, const std::string& started_at) {
  json::object running;
  if (state.exit_code)
    running["terminated"] = json::object{{"exitCode", *state.exit_code},
                                         {"reason", *state.exit_code == 0 ? "Completed" : "Error"},
                                         {"startedAt", started_at},
                                         {"finishedAt", started_at}};
  else if (state.running)
    running["running"] = json::object{{"startedAt", started_at}};
  else
    running["waiting"] = json::object{{"reason", state.waiting_reason}, {"message", state.message}};
  return {{"name", container.name},
          {"image", container.image},
          {"imageID", ""},
          {"containerID", "carrick://" + container_id},
          {"ready", state.ready},
          {"started", state.running},
          {"restartCount", state.restarts},
          {"state", running},
          {"lastState", json::object{}}};
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
  return phase == "Running" && !containers.empty() && std::ranges::all_of(containers, &ContainerState::ready);
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
  bool ready = state.ready();
  std::string reason = ready ? "" : state.phase == "Succeeded" ? "PodCompleted" : "ContainersNotReady";
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
  conditions.push_back(pod_condition(pod, "Initialized", sandbox != nullptr, "", "", now));
  conditions.push_back(pod_condition(pod, "ContainersReady", ready, reason, state.message, now));
  // Readiness gates: every named condition must be there and true, as others set it.
  bool gates_open = std::ranges::all_of(pod.spec.readinessGates, [&](const k8s::PodReadinessGate& gate) {
    return std::ranges::any_of(pod.status.conditions, [&](const k8s::Condition& c) {
      return c.type == gate.conditionType && c.status == "True";
    });
  });
  conditions.push_back(pod_condition(pod, "Ready", ready && gates_open, !gates_open ? "ReadinessGatesNotReady" : reason,
                                     state.message, now));

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
  for (size_t i = 0; i < pod.spec.containers.size() && i < state.containers.size(); ++i)
    containers.push_back(container_status(pod.spec.containers[i], state.containers[i],
                                          sandbox ? sandbox->container_id.substr(0, 60) + fmt::format("{:04x}", i) : "",
                                          started_at));
  status["containerStatuses"] = containers;
  for (const k8s::Container& init : pod.spec.initContainers)
    init_containers.push_back(
        container_status(init, {.name = init.name, .ready = true, .running = false, .exit_code = 0}, "", started_at));
  if (!init_containers.empty()) status["initContainerStatuses"] = init_containers;
  return {{"metadata", json::object{{"uid", pod.metadata.uid}}}, {"status", status}};
}

}  // namespace carrick::lab
