#include "desired/names/names.h"

#include <algorithm>

#include "base/text.h"
#include "desired/names/service_names.h"
#include "desired/object_facts.h"
#include "desired/pods/identities.h"

namespace carrick::desired {
namespace {
constexpr const char* kSchemaVersion = "1.1.0";  // DNS-1
}

std::set<std::string> zone_namespaces(const k8s::Snapshot& snapshot) {
  std::set<std::string> out;
  for (const auto& [key, object] : snapshot.namespaces) out.insert(key.name);
  for (auto at = snapshot.services.begin(); at != snapshot.services.end();) {
    out.insert(at->first.namespace_);
    at = snapshot.services.lower_bound({at->first.namespace_ + '\0', ""});
  }
  return out;
}

void add_reverse(NameTable& table, const net::IpAddress& address, const std::string& name) {
  auto& list = table.reverse[address];
  list.insert(std::ranges::lower_bound(list, name), name);
}

void remove_reverse(NameTable& table, const net::IpAddress& address, const std::string& name) {
  auto& list = table.reverse[address];
  std::erase(list, name);
  if (list.empty()) table.reverse.erase(address);
}

NameTable compile_zone(const k8s::Snapshot& snapshot, const NodeView& node) {
  NameTable out;
  out.zone = node.cluster_domain;
  out.synced = snapshot.synced;
  out.namespaces = zone_namespaces(snapshot);
  out.names["dns-version"].texts = {kSchemaVersion};
  out.names["svc"];
  out.names["pod"];
  for (const auto& name : out.namespaces) {
    Owner owner{"Namespace", {}, name, {}};
    out.names[name + ".svc"].owner = owner;
    out.names[name + ".pod"].owner = owner;
  }
  if (auto service = snapshot.services.find(node.dns_service); service != snapshot.services.end())
    for (const auto& text : service->second->spec.clusterIPs)
      if (auto address = net::IpAddress::parse(text)) out.dns_service.push_back(*address);
  out.names["dns"];
  out.names["ns.dns"].addresses = out.dns_service;
  out.reverse_zones = node.service_cidrs;
  for (const auto& [key, object] : snapshot.nodes)
    for (const auto& cidr : pod_cidrs(*object)) out.reverse_zones.push_back(cidr);
  std::ranges::sort(out.reverse_zones);
  out.reverse_zones.erase(std::unique(out.reverse_zones.begin(), out.reverse_zones.end()), out.reverse_zones.end());
  return out;
}

SharedMap<net::IpAddress, std::string> compile_pod_names(const k8s::Snapshot& snapshot) {
  SharedMap<net::IpAddress, std::string> out;
  for (const auto& [key, pod] : snapshot.pods)
    if (has_identity(*pod))
      for (const auto& address : addresses_of(*pod)) out.emplace(address, key.namespace_);
  return out;
}

NameTable compile_names(const k8s::Snapshot& snapshot, const NodeView& node) {
  static const SliceList kNoSlices;
  NameTable out = compile_zone(snapshot, node);
  const auto slices = slices_by_service(snapshot);
  for (const auto& [key, service] : snapshot.services) {
    auto own = slices.find(key);
    ServiceNames names = compile_service_names(*service, own == slices.end() ? kNoSlices : own->second);
    out.names.merge(names.names);
    for (const auto& [address, name] : names.reverse) add_reverse(out, address, name);
  }
  out.pods = compile_pod_names(snapshot);
  return out;
}

}  // namespace carrick::desired
