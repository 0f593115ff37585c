#include "controllers/pretend_kubelet.h"

#include <algorithm>

#include "controllers/documents.h"

namespace carrick::controllers {

PretendKubelet::PretendKubelet(Cluster& cluster) : cluster_(cluster) {
  cluster.subscribe([noted = std::weak_ptr(noted_)](const ObjectEvent& event) {
    const auto keys = noted.lock();
    if (!keys || event.resource != &k8s::resource<k8s::Pod>() || event.type == ObjectEvent::Type::kDeleted) return;
    keys->insert({std::string(text_at(*event.object, {"metadata", "namespace"})),
                  std::string(text_at(*event.object, {"metadata", "name"}))});
  });
}

void PretendKubelet::look_again() {
  for (const auto& pod : cluster_.list(k8s::resource<k8s::Pod>())) {
    noted_->insert(
        {std::string(text_at(*pod, {"metadata", "namespace"})), std::string(text_at(*pod, {"metadata", "name"}))});
  }
}

size_t PretendKubelet::run() {
  size_t changed = 0;
  for (const auto& key : std::exchange(*noted_, {})) {
    const auto pod = cluster_.get(k8s::resource<k8s::Pod>(), key);
    if (!pod || text_at(*pod, {"spec", "nodeName"}).empty()) continue;
    if (value_at(*pod, {"metadata", "deletionTimestamp"})) {
      DeleteOptions now_gone;
      now_gone.grace_period_seconds = 0;
      if (cluster_.remove(k8s::resource<k8s::Pod>(), key, now_gone)) ++changed;
      continue;
    }
    const auto before = text_at(*pod, {"metadata", "resourceVersion"});
    if (start(pod) && text_at(*cluster_.get(k8s::resource<k8s::Pod>(), key), {"metadata", "resourceVersion"}) != before)
      ++changed;
  }
  return changed;
}

std::vector<net::IpAddress> PretendKubelet::addresses(const Document& pod) {
  std::vector<net::IpAddress> addresses;
  if (const auto* old = array_at(*pod, {"status", "podIPs"})) {
    for (const auto& entry : *old) {
      if (const auto ip = net::IpAddress::parse(text_at(entry.as_object(), {"ip"}))) addresses.push_back(*ip);
    }
    if (!addresses.empty()) return addresses;
  }
  const auto node = cluster_.get(k8s::resource<k8s::Node>(), {"", std::string(text_at(*pod, {"spec", "nodeName"}))});
  if (!node) return addresses;
  const auto* host = value_at(*pod, {"spec", "hostNetwork"});
  if (host && host->is_bool() && host->get_bool()) {
    const auto* own = array_at(*node, {"status", "addresses"});
    for (size_t i = 0; own && i < own->size(); ++i) {
      const auto& entry = (*own)[i].as_object();
      const auto ip = net::IpAddress::parse(text_at(entry, {"address"}));
      if (ip && text_at(entry, {"type"}) == "InternalIP") addresses.push_back(*ip);
    }
    return addresses;
  }
  if (const auto* cidrs = array_at(*node, {"spec", "podCIDRs"})) {
    for (const auto& text : *cidrs) {
      const auto prefix = net::Prefix::parse(std::string_view(text.as_string()));
      if (prefix) addresses.push_back(prefix->address().plus(next_.try_emplace(*prefix, 2).first->second++));
    }
  }
  return addresses;
}

namespace {

json::array container_statuses(const json::object& pod, bool is_ready, const std::string& since) {
  json::array statuses;
  const auto* containers = array_at(pod, {"spec", "containers"});
  for (size_t i = 0; containers && i < containers->size(); ++i) {
    const auto& container = (*containers)[i].as_object();
    json::object status{{"name", text_at(container, {"name"})},
                        {"image", text_at(container, {"image"})},
                        {"imageID", ""},
                        {"ready", is_ready},
                        {"restartCount", 0}};
    if (is_ready) status["state"] = json::object{{"running", json::object{{"startedAt", since}}}};
    statuses.push_back(std::move(status));
  }
  return statuses;
}

}  // namespace

Result<void> PretendKubelet::start(const Document& pod) {
  const std::string name(text_at(*pod, {"metadata", "name"}));
  const auto ips = addresses(pod);
  if (ips.empty()) return {};
  const std::string phase_now = phase(name);
  // A gate that nobody opens keeps the pod out of Services; nobody opens one here.
  const auto* gates = array_at(*pod, {"spec", "readinessGates"});
  const bool is_ready = phase_now == "Running" && ready(name) && (!gates || gates->empty());
  json::object status;
  if (const auto* old = object_at(*pod, {"status"})) status = *old;
  status["phase"] = phase_now;
  status["podIP"] = ips.front().str();
  json::array list;
  for (const auto& ip : ips) list.push_back(json::object{{"ip", ip.str()}});
  status["podIPs"] = std::move(list);
  json::array conditions;
  if (const auto* old = array_at(status, {"conditions"})) conditions = *old;
  const Time time = parse_timestamp(now).value_or(Time{});
  for (const char* type : {"Initialized", "ContainersReady", "Ready"})
    set_condition(conditions, type, is_ready, "", "", time);
  status["conditions"] = std::move(conditions);
  json::array containers;
  if (const auto* specs = array_at(*pod, {"spec", "containers"}))
    for (const json::value& spec : *specs) {
      json::object state;
      state[phase_now == "Running" ? "running" : "terminated"] =
          phase_now == "Running" ? json::object{{"startedAt", now}}
                                 : json::object{{"exitCode", phase_now == "Failed" ? 1 : 0},
                                                {"reason", phase_now == "Failed" ? "Error" : "Completed"}};
      containers.push_back(json::object{{"name", spec.at("name")},
                                        {"image", spec.at("image")},
                                        {"ready", is_ready},
                                        {"started", is_ready},
                                        {"restartCount", 0},
                                        {"state", std::move(state)}});
    }
  status["containerStatuses"] = std::move(containers);
  if (!status.contains("startTime")) status["startTime"] = now;
  status["containerStatuses"] = container_statuses(*pod, is_ready, now);
  return write_status(cluster_, k8s::resource<k8s::Pod>(), pod, std::move(status));
}

}  // namespace carrick::controllers
