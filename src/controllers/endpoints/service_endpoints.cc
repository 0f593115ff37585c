#include "controllers/endpoints/service_endpoints.h"

#include <algorithm>

#include "controllers/workloads/pods.h"
#include "net/ip.h"

namespace carrick::controllers {

namespace {

constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";

std::optional<int32_t> port_by_name(const k8s::Pod& pod, const std::string& name, const std::string& protocol) {
  auto search = [&](const std::vector<k8s::Container>& containers, bool restartable_only) -> std::optional<int32_t> {
    for (const auto& container : containers) {
      if (restartable_only && container.restartPolicy != "Always") continue;
      for (const auto& port : container.ports) {
        const auto& spelled = port.protocol.empty() ? "TCP" : port.protocol;
        if (port.name == name && spelled == protocol) return port.containerPort;
      }
    }
    return std::nullopt;
  };
  if (const auto port = search(pod.spec.containers, false)) return port;
  return search(pod.spec.initContainers, true);  // sidecars
}

k8s::Endpoint make_endpoint(const Mirror& mirror, const k8s::Service& service, const k8s::Pod& pod,
                            std::string address) {
  k8s::Endpoint endpoint;
  endpoint.addresses.push_back(std::move(address));
  const bool serving = is_ready(pod), terminating = is_being_deleted(pod);
  endpoint.conditions.ready = service.spec.publishNotReadyAddresses || (serving && !terminating);
  endpoint.conditions.serving = serving;
  endpoint.conditions.terminating = terminating;
  if (serves_by_name(service, pod)) endpoint.hostname = pod.spec.hostname;
  if (!pod.spec.nodeName.empty()) {
    endpoint.nodeName = pod.spec.nodeName;
    if (const auto* node = mirror.find<k8s::Node>({"", pod.spec.nodeName})) {
      const auto zone = node->object->metadata.labels.find(kZoneLabel);
      if (zone != node->object->metadata.labels.end()) endpoint.zone = zone->second;
    }
  }
  endpoint.targetRef = k8s::ObjectReference{"Pod", pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid, ""};
  const auto distribution = service.spec.trafficDistribution.value_or("");
  if (!distribution.empty() && *endpoint.conditions.ready) {
    k8s::EndpointHints hints;
    if (endpoint.zone) hints.forZones.push_back({*endpoint.zone});
    if (distribution == "PreferSameNode" && endpoint.nodeName) hints.forNodes.push_back({*endpoint.nodeName});
    if (!hints.forZones.empty() || !hints.forNodes.empty()) endpoint.hints = std::move(hints);
  }
  return endpoint;
}

std::string ports_key(const std::vector<k8s::EndpointPort>& ports) {
  std::string key;
  for (const auto& port : ports) {
    key += fmt::format("{}/{}/{}/{};", port.name.value_or(""), port.protocol.value_or(""), port.port.value_or(0),
                       port.appProtocol.value_or(""));
  }
  return key;
}

}  // namespace

bool has_endpoints(const k8s::Service& service) {
  return !service.spec.selector.empty() && service.spec.type != "ExternalName" && !service.metadata.deletionTimestamp;
}

bool is_headless(const k8s::Service& service) { return service.spec.clusterIP == "None"; }

std::vector<std::string> address_types(const k8s::Service& service) {
  if (!service.spec.ipFamilies.empty()) return service.spec.ipFamilies;
  if (!service.spec.clusterIP.empty() && !is_headless(service)) {
    return {service.spec.clusterIP.find(':') == std::string::npos ? "IPv4" : "IPv6"};
  }
  return {"IPv4", "IPv6"};
}

std::string address_of(const k8s::Pod& pod, std::string_view address_type) {
  auto fits = [&](const std::string& ip) {
    return !ip.empty() && (ip.find(':') == std::string::npos) == (address_type == "IPv4");
  };
  for (const auto& entry : pod.status.podIPs) {
    if (fits(entry.ip)) return entry.ip;
  }
  return pod.status.podIPs.empty() && fits(pod.status.podIP) ? pod.status.podIP : "";
}

std::vector<k8s::EndpointPort> resolve_ports(const k8s::Service& service, const k8s::Pod& pod) {
  std::vector<k8s::EndpointPort> ports;
  for (const auto& port : service.spec.ports) {
    const std::string protocol = port.protocol.empty() ? "TCP" : port.protocol;
    std::optional<int32_t> number;
    if (const auto* name = std::get_if<std::string>(&port.targetPort))
      number = name->empty() ? port.port : port_by_name(pod, *name, protocol);
    else
      number = std::get<int32_t>(port.targetPort) ? std::get<int32_t>(port.targetPort) : port.port;
    if (number) ports.push_back({port.name, protocol, port.appProtocol, number});
  }
  return ports;
}

bool is_candidate(const Mirror& mirror, const k8s::Service& service, const k8s::Pod& pod) {
  if (is_finished(pod) || (pod.status.podIPs.empty() && pod.status.podIP.empty())) return false;
  return service.spec.publishNotReadyAddresses || mirror.find<k8s::Node>({"", pod.spec.nodeName}) != nullptr;
}

bool serves_by_name(const k8s::Service& service, const k8s::Pod& pod) {
  return !pod.spec.hostname.empty() && pod.spec.subdomain == service.metadata.name;
}

std::vector<EndpointGroup> endpoint_groups(const Mirror& mirror, const k8s::Service& service) {
  std::map<std::pair<std::string, std::string>, EndpointGroup> groups;
  const auto types = address_types(service);
  for (const auto* pod : mirror.pods_selected(service.metadata.namespace_, service.spec.selector)) {
    if (!is_candidate(mirror, service, **pod)) continue;
    const auto ports = resolve_ports(service, **pod);
    // All names unknown: nothing to connect to (a headless Service without ports serves names alone).
    if (ports.empty() && !service.spec.ports.empty()) continue;
    const auto key = ports_key(ports);
    for (const auto& type : types) {
      auto address = address_of(**pod, type);
      if (address.empty()) continue;
      auto& group = groups[{type, key}];
      group.address_type = type;
      group.ports = ports;
      group.endpoints.push_back(make_endpoint(mirror, service, **pod, std::move(address)));
    }
  }
  std::vector<EndpointGroup> result;
  for (auto& [key, group] : groups) result.push_back(std::move(group));
  return result;
}

bool same_endpoint(const k8s::Pod& a, const k8s::Pod& b) {
  auto addressless = [](const k8s::Pod& pod) { return pod.status.podIPs.empty() && pod.status.podIP.empty(); };
  if (addressless(a) && addressless(b)) return true;
  if (a.metadata.labels != b.metadata.labels || is_being_deleted(a) != is_being_deleted(b) ||
      a.metadata.uid != b.metadata.uid)
    return false;
  if (a.status.podIPs != b.status.podIPs || a.status.podIP != b.status.podIP || is_finished(a) != is_finished(b))
    return false;
  return is_ready(a) == is_ready(b) && a.spec == b.spec;
}

}  // namespace carrick::controllers
