#include "desired/services/health_checks.h"

#include <set>

#include "desired/object_facts.h"
#include "desired/services/endpoints.h"

namespace carrick::desired {

std::optional<std::pair<uint16_t, HealthCheckRow>> compile_health_check(const k8s::Service& service,
                                                                        const SliceList& slices, const NodeView& node) {
  const auto& spec = service.spec;
  if (spec.type != "LoadBalancer" || spec.externalTrafficPolicy != "Local" || !is_forwarded(service) ||
      spec.healthCheckNodePort < 1 || spec.healthCheckNodePort > 65535)
    return std::nullopt;
  auto first = net::IpAddress::parse(spec.clusterIP);
  std::set<net::IpAddress> ready;  // an endpoint is one, whatever the number of its ports
  for (const auto& port : spec.ports)
    for (const auto& one : candidates(port, !first || first->is_v4(), slices, node))
      if (one.ready && one.backend.local) ready.insert(one.backend.address);
  return std::pair(static_cast<uint16_t>(spec.healthCheckNodePort),
                   HealthCheckRow{service.metadata.key(), ready.size(),
                                  owner_of("Service", service.metadata, "spec.healthCheckNodePort")});
}

HealthCheckTable compile_health_checks(const k8s::Snapshot& snapshot, const NodeView& node) {
  static const SliceList kNoSlices;
  const auto slices = slices_by_service(snapshot);
  HealthCheckTable out;
  for (const auto& [key, service] : snapshot.services) {
    auto own = slices.find(key);
    if (auto row = compile_health_check(*service, own == slices.end() ? kNoSlices : own->second, node))
      out.insert(std::move(*row));
  }
  return out;
}

}  // namespace carrick::desired
