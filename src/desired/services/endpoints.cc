#include "desired/services/endpoints.h"

#include <algorithm>
#include <numeric>

#include "desired/object_facts.h"

namespace carrick::desired {

bool usable_endpoint_address(const net::IpAddress& address) {
  return !address.is_loopback() && !address.is_link_local() && !address.is_multicast() && !address.is_unspecified();
}

namespace {

// The same few texts for hundreds of thousands of endpoints.
SharedText clause_of(size_t index) {
  static const auto kClauses = [] {
    std::vector<SharedText> out;
    for (size_t i = 0; i < 1000; ++i) out.emplace_back(fmt::format("endpoints[{}]", i));
    return out;
  }();
  return index < kClauses.size() ? kClauses[index] : SharedText(fmt::format("endpoints[{}]", index));
}

// `owner`: the slice.
std::optional<Candidate> make_candidate(const k8s::EndpointSlice& slice, const Owner& owner, size_t index,
                                        uint16_t port, bool v4, const NodeView& node) {
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
  out.backend.node_name = endpoint.nodeName.value_or(SharedText());
  out.backend.local = !out.backend.node_name.empty() && out.backend.node_name == node.node_name;
  if (const auto& target = endpoint.targetRef; target && target->kind == "Pod") {
    const bool here = target->namespace_.empty() || owner.namespace_ == target->namespace_;
    out.backend.pod = {here ? owner.namespace_ : target->namespace_, target->name};
  }
  out.backend.owner = owner;
  out.backend.owner.clause = clause_of(index);
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

// In order of their places; of those at one place the first, unless one of this node comes later: then the last of
// those.
std::vector<Candidate> each_place_once(std::vector<Candidate> found) {
  const auto place = [&](uint32_t i) { return std::pair(found[i].backend.address, found[i].backend.port); };
  std::vector<uint32_t> order(found.size());
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::sort(order, {}, [&](uint32_t i) { return std::pair(place(i), i); });
  std::vector<Candidate> out;
  out.reserve(found.size());
  for (size_t at = 0; at < order.size();) {
    uint32_t winner = order[at];
    const auto here = place(winner);
    for (++at; at < order.size() && place(order[at]) == here; ++at)
      if (found[order[at]].backend.local) winner = order[at];
    out.push_back(std::move(found[winner]));
  }
  return out;
}

std::vector<Backend> sorted_backends(const std::vector<const Candidate*>& chosen) {
  std::vector<Backend> out;
  out.reserve(chosen.size());
  for (const auto* one : chosen) out.push_back(one->backend);
  if (const auto by_place = [](const Backend& b) { return std::pair(b.address, b.port); };
      !std::ranges::is_sorted(out, {}, by_place))
    std::ranges::sort(out, {}, by_place);
  return out;
}

}  // namespace

std::vector<Candidate> candidates(const k8s::ServicePort& port, bool v4, const SliceList& slices,
                                  const NodeView& node) {
  std::vector<Candidate> found;
  const net::Protocol protocol = protocol_or_tcp(port.protocol);
  for (const auto& slice : slices) {
    if (slice->addressType != (v4 ? "IPv4" : "IPv6")) continue;
    const Owner owner = owner_of("EndpointSlice", slice->metadata);
    for (const auto& slice_port : slice->ports) {
      if (slice_port.name.value_or("") != port.name || protocol_or_tcp(slice_port.protocol.value_or("TCP")) != protocol)
        continue;
      if (!slice_port.port || *slice_port.port < 1 || *slice_port.port > 65535) continue;
      found.reserve(found.size() + slice->endpoints.size());
      for (size_t i = 0; i < slice->endpoints.size(); ++i)
        if (auto one = make_candidate(*slice, owner, i, static_cast<uint16_t>(*slice_port.port), v4, node))
          found.push_back(std::move(*one));
    }
  }
  return each_place_once(std::move(found));
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
