#pragma once

#include "desired/services/findings.h"
#include "explain/explain.h"

// One Service as every node sees it: where it is reached, which endpoints are used from where, why the others are not,
// and which of its fields lead nowhere. PURE; the frontends of the tables decide what is used, so this cannot say other
// than the data plane does.
namespace carrick::explain {

struct ReportedAddress {
  std::string kind;     // "ClusterIP", "NodePort", "external IP", "load balancer", "cluster DNS"
  std::string address;  // a NodePort is on every node's addresses: "*"
  uint16_t port = 0;
};

struct ReportedEndpoint {
  net::SocketAddress target;
  std::string pod, node, zone;          // empty: not a pod, no node, no zone
  std::string state;                    // "ready", "draining" (terminating but serving), "terminating", "not ready"
  std::vector<std::string> pods_of;     // nodes whose pods and processes use it by the ClusterIP
  std::vector<std::string> outside_at;  // nodes that send it what enters by NodePort, external IP or load balancer
  std::optional<uint64_t> hits;         // connections led to it, where the nodes were asked
  std::string why_not;                  // some node does not use it: the reason; empty when all do
  desired::Owner owner;                 // the EndpointSlice
};

struct ReportedPort {
  std::string clause;  // "spec.ports[i]"
  std::string name;
  uint16_t port = 0, node_port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  bool v4 = true;
  std::vector<ReportedAddress> addresses;
  std::vector<ReportedEndpoint> endpoints;
  std::string nothing;  // no node has a usable endpoint: what a client sees
};

struct ServiceReport {
  k8s::NamespacedName name;
  std::string type, internal_policy, external_policy, distribution;
  uint32_t affinity_seconds = 0;
  std::vector<std::string> source_ranges;
  size_t nodes = 0;
  std::vector<ReportedPort> ports;
  desired::Findings findings;  // fields of the Service and its slices that lead nowhere
  std::string not_forwarded;   // headless, ExternalName or left to another proxy: the reason; then there are no ports
};

// kNotFound with the nearest name when there is no such Service. `node`: as seen from that one alone, empty = all.
Result<ServiceReport> report_service(const World& world, const k8s::NamespacedName& name, const std::string& node = {});

// How often an endpoint was chosen by one node; add_hits sums what the nodes say. Endpoints without any have 0 then.
struct EndpointHits {
  std::string clause;  // "spec.ports[i]"
  net::SocketAddress target;
  uint64_t hits = 0;
};
void add_hits(ServiceReport& report, const std::vector<EndpointHits>& hits);

std::string to_text(const ServiceReport& report);
std::string to_json(const ServiceReport& report);

}  // namespace carrick::explain
