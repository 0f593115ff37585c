#pragma once

#include <string>
#include <utility>
#include <vector>

#include "desired/names/names.h"
#include "desired/services/services.h"

namespace carrick::desired {

// What one Service (with its EndpointSlices) puts into the zone. No two Services share a name; reverse addresses they
// may share.
using ReverseNames = std::vector<std::pair<net::IpAddress, std::string>>;  // sorted, each once
struct ServiceNames {
  SharedText service;  // its own name
  NameRows names;
  ReverseNames reverse;
  std::vector<net::IpAddress> endpoints;  // without hostname; sorted, each once
};
ServiceNames compile_service_names(const k8s::Service& service, const SliceList& slices);

void add_reverse(NameTable& table, const net::IpAddress& address, const std::string& name);
void remove_reverse(NameTable& table, const net::IpAddress& address, const std::string& name);
void add_endpoint(NameTable& table, const net::IpAddress& address, const SharedText& service);
void remove_endpoint(NameTable& table, const net::IpAddress& address, const SharedText& service);

// Namespaces that exist in the zone: those of the API and those that hold a Service.
std::set<std::string> zone_namespaces(const k8s::Snapshot& snapshot);

// Rows that depend on no Service: zone structure (DNS-N3, N5, DNS-1), namespaces, reverse zones, the cluster DNS
// service.
NameTable compile_zone(const k8s::Snapshot& snapshot, const NodeView& node);

// `pods` and `resolvers`: living pods with an address of their own; of several that claim one the first by name.
void add_pods(NameTable& table, const k8s::Snapshot& snapshot);
std::optional<PodResolver> resolver_of(const k8s::Pod& pod);

}  // namespace carrick::desired
