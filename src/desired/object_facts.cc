#include "desired/object_facts.h"

namespace carrick::desired {

bool is_finished(const k8s::Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }

std::vector<net::IpAddress> addresses_of(const k8s::Pod& pod) {
  std::vector<net::IpAddress> out;
  for (const auto& ip : pod.status.podIPs)
    if (auto address = net::IpAddress::parse(ip.ip)) out.push_back(*address);
  if (out.empty() && !pod.status.podIP.empty())
    if (auto address = net::IpAddress::parse(pod.status.podIP)) out.push_back(*address);
  return out;
}

namespace {
std::vector<net::IpAddress> node_ips(const k8s::Node& node, bool external_too) {
  std::vector<net::IpAddress> out;
  for (const auto& entry : node.status.addresses) {
    if (entry.type != "InternalIP" && !(external_too && entry.type == "ExternalIP")) continue;
    if (auto address = net::IpAddress::parse(entry.address)) out.push_back(*address);
  }
  return out;
}
}  // namespace

std::vector<net::IpAddress> internal_ips(const k8s::Node& node) { return node_ips(node, false); }
std::vector<net::IpAddress> every_ip(const k8s::Node& node) { return node_ips(node, true); }

std::vector<net::Prefix> pod_cidrs(const k8s::Node& node) {
  std::vector<net::Prefix> out;
  for (const auto& text : node.spec.podCIDRs)
    if (auto prefix = net::Prefix::parse(text)) out.push_back(*prefix);
  if (out.empty() && !node.spec.podCIDR.empty())
    if (auto prefix = net::Prefix::parse(node.spec.podCIDR)) out.push_back(*prefix);
  return out;
}

std::string zone_of(const k8s::Node& node) {
  auto label = node.metadata.labels.find(kZoneLabel);
  return label == node.metadata.labels.end() ? std::string() : label->second;
}

net::Protocol protocol_or_tcp(std::string_view text) {
  if (text.empty() || text == "TCP") return net::Protocol::kTcp;
  return net::parse_protocol(text).value_or(net::Protocol::kAny);
}

k8s::StringMap namespace_labels(const k8s::Snapshot& snapshot, const std::string& name) {
  k8s::StringMap labels;
  if (auto object = snapshot.namespaces.find({"", name}); object != snapshot.namespaces.end())
    labels = object->second->metadata.labels;
  labels.emplace(kNamespaceNameLabel, name);
  return labels;
}

std::vector<const k8s::Container*> running_containers(const k8s::Pod& pod) {
  std::vector<const k8s::Container*> out;
  for (const auto& container : pod.spec.containers) out.push_back(&container);
  for (const auto& container : pod.spec.initContainers)
    if (container.restartPolicy == "Always") out.push_back(&container);
  return out;
}

std::optional<uint16_t> named_port(const k8s::Pod& pod, std::string_view name, net::Protocol protocol) {
  for (const auto* container : running_containers(pod))
    for (const auto& port : container->ports)
      if (port.name == name && protocol_or_tcp(port.protocol) == protocol)
        return static_cast<uint16_t>(port.containerPort);
  return std::nullopt;
}

Owner owner_of(std::string_view kind, const k8s::ObjectMeta& metadata, std::string_view clause) {
  return {kind, metadata.namespace_, metadata.name, clause};
}

}  // namespace carrick::desired
