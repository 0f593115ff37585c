#include "lab/nodes/listeners.h"

namespace carrick::lab {
namespace {

void add_probe(std::set<Listener>& out, const k8s::Container& container, const std::optional<k8s::Probe>& probe) {
  if (!probe) return;
  auto add = [&](const k8s::IntOrString& port) {
    if (auto* number = std::get_if<int32_t>(&port)) out.insert({static_cast<uint16_t>(*number), net::Protocol::kTcp});
    if (auto* name = std::get_if<std::string>(&port))
      for (const auto& declared : container.ports)
        if (declared.name == *name) out.insert({static_cast<uint16_t>(declared.containerPort), net::Protocol::kTcp});
  };
  if (probe->httpGet) add(probe->httpGet->port);
  if (probe->tcpSocket) add(probe->tcpSocket->port);
  if (probe->grpc) add(probe->grpc->port);
}

}  // namespace

std::set<Listener> listeners_of(const k8s::Pod& pod, const k8s::Snapshot& snapshot) {
  std::set<Listener> out;
  for (const k8s::Container& container : pod.spec.containers) {
    for (const k8s::ContainerPort& port : container.ports)
      if (auto protocol = net::parse_protocol(port.protocol.empty() ? "TCP" : port.protocol))
        out.insert({static_cast<uint16_t>(port.containerPort), *protocol});
    for (const auto& probe : {container.readinessProbe, container.livenessProbe, container.startupProbe}) add_probe(out, container, probe);
  }
  for (auto it = snapshot.services.lower_bound({pod.metadata.namespace_, ""}); it != snapshot.services.end() && it->first.namespace_ == pod.metadata.namespace_; ++it) {
    const k8s::Service& service = *it->second;
    if (service.spec.selector.empty() || !k8s::matches(service.spec.selector, pod.metadata.labels)) continue;
    for (const k8s::ServicePort& port : service.spec.ports) {
      auto* number = std::get_if<int32_t>(&port.targetPort);  // names are containerPorts, which are there already
      auto protocol = net::parse_protocol(port.protocol.empty() ? "TCP" : port.protocol);
      if (number && protocol) out.insert({static_cast<uint16_t>(*number > 0 ? *number : port.port), *protocol});
    }
  }
  out.erase({0, net::Protocol::kTcp});
  return out;
}

}  // namespace carrick::lab
