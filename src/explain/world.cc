#include <algorithm>

#include "desired/object_facts.h"
#include "explain/explain.h"

namespace carrick::explain {
namespace {

desired::LocalPod plumbed(const k8s::Pod& pod, uint32_t ifindex) {
  desired::LocalPod out;
  out.pod = pod.metadata.key();
  out.uid = pod.metadata.uid;
  out.container_id = pod.metadata.key().str();
  out.host_link = fmt::format("explain{}", ifindex);
  out.ifindex = ifindex;
  out.addresses = desired::addresses_of(pod);
  for (const auto* container : desired::running_containers(pod)) {
    for (const auto& port : container->ports) {
      if (port.hostPort <= 0) continue;
      desired::PortMapping mapping{static_cast<uint16_t>(port.hostPort),
                                   static_cast<uint16_t>(port.containerPort),
                                   desired::protocol_or_tcp(port.protocol),
                                   {}};
      if (auto address = net::IpAddress::parse(port.hostIP)) mapping.host_ip = *address;
      out.port_mappings.push_back(mapping);
    }
  }
  return out;
}

bool has_family(const desired::NodeView& view, bool v4) {
  return std::ranges::any_of(view.addresses, [&](const auto& own) { return own.is_v4() == v4; });
}

}  // namespace

World make_world(std::shared_ptr<const k8s::Snapshot> snapshot, const WorldOptions& options) {
  World out;
  out.listeners = desired::compile_listeners(*snapshot);
  for (const auto& [key, node] : snapshot->nodes) {
    desired::NodeView view;
    view.node_name = key.name;
    view.addresses = desired::internal_ips(*node);
    view.routing = options.routing;
    view.dsr = options.dsr;
    view.cluster_domain = options.cluster_domain;
    for (const auto& text : options.service_cidrs)
      if (auto cidr = net::Prefix::parse(text); cidr && has_family(view, cidr->is_v4()))
        view.service_cidrs.push_back(*cidr);
    for (const char* text : {desired::kNodeDnsV4, desired::kNodeDnsV6}) {
      auto address = net::IpAddress::parse(text).value();
      if (has_family(view, address.is_v4())) view.dns_addresses.push_back(address);
    }
    out.views.emplace(key.name, std::move(view));
  }
  uint32_t ifindex = 1;
  for (const auto& [key, pod] : snapshot->pods) {
    if (pod->spec.hostNetwork || desired::is_finished(*pod) || desired::addresses_of(*pod).empty()) continue;
    auto view = out.views.find(pod->spec.nodeName);
    if (view != out.views.end()) view->second.pods.emplace(key.str(), plumbed(*pod, ++ifindex));
  }
  for (const auto& text : options.node_resolvers)
    if (auto address = net::IpAddress::parse(text); address && std::ranges::any_of(out.views, [&](const auto& v) {
                                                      return has_family(v.second, address->is_v4());
                                                    }))
      out.node_resolvers.push_back(*address);
  std::vector<desired::NodeView> views;
  for (const auto& [name, view] : out.views) views.push_back(view);
  auto tables = desired::compile_all(*snapshot, views);
  for (size_t i = 0; i < views.size(); ++i) out.tables.emplace(views[i].node_name, std::move(tables[i]));
  out.snapshot = std::move(snapshot);
  return out;
}

}  // namespace carrick::explain
