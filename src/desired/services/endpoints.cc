#include "desired/services/endpoints.h"

#include <algorithm>

#include "desired/object_facts.h"

namespace carrick::desired {

bool usable_endpoint_address(const net::IpAddress& address) {
  return !address.is_loopback() && !address.is_link_local() && !address.is_multicast() && !address.is_unspecified();
}

namespace {

std::optional<Candidate> make_candidate(const k8s::EndpointSlice& slice, size_t index, uint16_t port, bool v4,
                                        const NodeView& node) {
  const auto& endpoint = slice.endpoints[index];
  if (endpoint.addresses.empty()) return std::nullopt;
  auto address = net::IpAddress::parse(endpoint.addresses.front());
  if (!address || address->is_v4() != v4 || !usable_endpoint_address(*address)) return std::nullopt;
  Candidate out;
  out.ready = endpoint.conditions.ready.value_or(true);
  out.serving = endpoint.conditions.serving.value_or(true);
  out.terminating = endpoint.conditions.terminating.value_or(false);
  out.backend.address = *address;
  out.backend.port = port;
  out.backend.node_name = endpoint.nodeName.value_or("");
  out.backend.local = !out.backend.node_name.empty() && out.backend.node_name == node.node_name;
  if (endpoint.targetRef && (endpoint.targetRef->kind == "Pod"))
    out.backend.pod = {
        endpoint.targetRef->namespace_.empty() ? slice.metadata.namespace_ : endpoint.targetRef->namespace_,
        endpoint.targetRef->name};
  out.backend.owner = owner_of("EndpointSlice", slice.metadata, fmt::format("endpoints[{}]", index));
  if (endpoint.hints) {
    for (const auto& zone : endpoint.hints->forZones) out.for_zones.push_back(zone.name);
    for (const auto& hint : endpoint.hints->forNodes) out.for_nodes.push_back(hint.name);
  }
  return out;
}

bool names(const std::vector<std::string>& list, const std::string& wanted) {
  return !wanted.empty() && std::ranges::find(list, wanted) != list.end();
}

// KEP-3015: hints count only when every ready endpoint has them and one of them speaks of this place.
std::vector<const Candidate*> closest(const std::vector<const Candidate*>& ready, const std::string& node_name,
                                      const std::string& zone, EndpointRule& rule) {
  auto filter = [&](std::vector<std::string> Candidate::* hints, const std::string& here) {
    std::vector<const Candidate*> out;
    for (const auto* one : ready) {
      if ((one->*hints).empty()) return std::vector<const Candidate*>();
      if (names(one->*hints, here)) out.push_back(one);
    }
    return out;
  };
  rule = EndpointRule::kHintedNode;
  if (auto near = filter(&Candidate::for_nodes, node_name); !near.empty()) return near;
  rule = EndpointRule::kHintedZone;
  if (auto near = filter(&Candidate::for_zones, zone); !near.empty()) return near;
  rule = EndpointRule::kReady;
  return ready;
}

std::vector<Backend> sorted_backends(const std::vector<const Candidate*>& chosen) {
  std::vector<Backend> out;
  for (const auto* one : chosen) out.push_back(one->backend);
  std::ranges::sort(out, {}, [](const Backend& b) { return std::pair(b.address, b.port); });
  return out;
}

}  // namespace

std::vector<Candidate> candidates(const k8s::ServicePort& port, bool v4, const SliceList& slices,
                                  const NodeView& node) {
  std::map<std::pair<net::IpAddress, uint16_t>, Candidate> found;
  const net::Protocol protocol = protocol_or_tcp(port.protocol);
  for (const auto& slice : slices) {
    if (slice->addressType != (v4 ? "IPv4" : "IPv6")) continue;
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name.value_or("") != port.name || protocol_or_tcp(slice_port.protocol.value_or("TCP")) != protocol)
        continue;
      if (!slice_port.port || *slice_port.port < 1 || *slice_port.port > 65535) continue;
      for (size_t i = 0; i < slice->endpoints.size(); ++i) {
        auto one = make_candidate(*slice, i, static_cast<uint16_t>(*slice_port.port), v4, node);
        if (!one) continue;
        std::pair key{one->backend.address, one->backend.port};
        if (one->backend.local)
          found.insert_or_assign(key, std::move(*one));
        else
          found.emplace(key, std::move(*one));
      }
    }
  }
  std::vector<Candidate> out;
  for (auto& [key, one] : found) out.push_back(std::move(one));
  return out;
}

EndpointChoice choose_endpoints(const std::vector<Candidate>& all, const std::string& node_name,
                                const std::string& zone) {
  std::vector<const Candidate*> ready, draining, local_ready, local_draining;
  for (const auto& one : all) {
    bool drains = one.serving && one.terminating;
    if (one.ready) ready.push_back(&one);
    if (drains) draining.push_back(&one);
    if (one.backend.local && one.ready) local_ready.push_back(&one);
    if (one.backend.local && drains) local_draining.push_back(&one);
  }
  EndpointChoice out;
  if (ready.empty()) {
    out.cluster = sorted_backends(draining);
    out.cluster_rule = EndpointRule::kTerminating;
  } else {
    out.cluster = sorted_backends(closest(ready, node_name, zone, out.cluster_rule));
  }
  out.local = sorted_backends(local_ready.empty() ? local_draining : local_ready);
  if (local_ready.empty()) out.local_rule = EndpointRule::kLocalTerminating;
  out.elsewhere = !ready.empty() || !draining.empty();
  return out;
}

}  // namespace carrick::desired
