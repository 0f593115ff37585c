#include "desired/listeners/listeners.h"

#include "desired/object_facts.h"

namespace carrick::desired {
namespace {

void add(std::set<Listener>& out, int32_t port, net::Protocol protocol) {
  if (port > 0 && port <= 65535 && protocol != net::Protocol::kAny) out.insert({static_cast<uint16_t>(port), protocol});
}

void add_probe(std::set<Listener>& out, const k8s::Container& container, const std::optional<k8s::Probe>& probe) {
  if (!probe) return;
  auto resolve = [&](const k8s::IntOrString& port) -> int32_t {
    if (const auto* number = std::get_if<int32_t>(&port)) return *number;
    for (const auto& declared : container.ports)
      if (declared.name == std::get<std::string>(port)) return declared.containerPort;
    return 0;
  };
  // A probe with a host of its own looks elsewhere.
  if (probe->httpGet && probe->httpGet->host.empty()) add(out, resolve(probe->httpGet->port), net::Protocol::kTcp);
  if (probe->tcpSocket && probe->tcpSocket->host.empty())
    add(out, resolve(probe->tcpSocket->port), net::Protocol::kTcp);
  if (probe->grpc) add(out, probe->grpc->port, net::Protocol::kTcp);
}

void add_service_port(std::set<Listener>& out, const k8s::Pod& pod, const k8s::ServicePort& port) {
  net::Protocol protocol = protocol_or_tcp(port.protocol);
  if (const auto* number = std::get_if<int32_t>(&port.targetPort))
    return add(out, *number ? *number : port.port, protocol);
  if (auto number = named_port(pod, std::get<std::string>(port.targetPort), protocol)) add(out, *number, protocol);
}

}  // namespace

ListenerTable compile_listeners(const k8s::Snapshot& snapshot) {
  ListenerTable out;
  for (const auto& [key, pod] : snapshot.pods) {
    if (is_finished(*pod)) continue;
    auto& ports = out.emplace_hint(out.end(), key, std::set<Listener>())->second;
    for (const auto* container : running_containers(*pod)) {
      for (const auto& port : container->ports) add(ports, port.containerPort, protocol_or_tcp(port.protocol));
      add_probe(ports, *container, container->readinessProbe);
      add_probe(ports, *container, container->livenessProbe);
      add_probe(ports, *container, container->startupProbe);
    }
  }
  for (const auto& [key, service] : snapshot.services) {
    if (service->spec.selector.empty() || service->spec.type == "ExternalName") continue;
    for (auto at = snapshot.pods.lower_bound({key.namespace_, ""});
         at != snapshot.pods.end() && at->first.namespace_ == key.namespace_; ++at) {
      if (is_finished(*at->second) || !k8s::matches(service->spec.selector, at->second->metadata.labels)) continue;
      for (const auto& port : service->spec.ports) add_service_port(out.at(at->first), *at->second, port);
    }
  }
  return out;
}

}  // namespace carrick::desired
