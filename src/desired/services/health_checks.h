#pragma once

#include <map>
#include <optional>
#include <utility>

#include "desired/services/services.h"

// health checks: what the node answers a load balancer that asks whether to send it traffic of a Service (SVC-D10).
namespace carrick::desired {

struct HealthCheckRow {
  k8s::NamespacedName service;
  // Ready endpoints on this node, of the Service's first family; a terminating one no longer counts although it is used
  // as the last resort, so that load balancers leave in time.
  size_t local_endpoints = 0;
  Owner owner;
  bool operator==(const HealthCheckRow&) const = default;
};
// By healthCheckNodePort. Of two Services with one port the first by name has it.
using HealthCheckTable = std::map<uint16_t, HealthCheckRow>;

// Of a Service of type LoadBalancer with externalTrafficPolicy Local; nothing for others.
std::optional<std::pair<uint16_t, HealthCheckRow>> compile_health_check(const k8s::Service& service,
                                                                        const SliceList& slices, const NodeView& node);
HealthCheckTable compile_health_checks(const k8s::Snapshot& snapshot, const NodeView& node);

}  // namespace carrick::desired
