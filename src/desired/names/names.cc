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

void add_endpoint(NameTable& table, const net::IpAddress& address, const SharedText& service) {
  auto& list = table.endpoints[address];
  list.insert(std::ranges::lower_bound(list, service), service);
}

void remove_endpoint(NameTable& table, const net::IpAddress& address, const SharedText& service) {
  auto& list = table.endpoints[address];
  std::erase(list, service);
  if (list.empty()) table.endpoints.erase(address);
}

std::string dashed(const net::IpAddress& address) {
  std::string out = address.str();
  std::ranges::replace(out, '.', '-');
  std::ranges::replace(out, ':', '-');
  return out;
}

std::optional<net::IpAddress> undashed(std::string_view label) {
  std::string text(label);
  const bool v4 = std::ranges::count(text, '-') == 3 && text.find("--") == std::string::npos;
  std::ranges::replace(text, '-', v4 ? '.' : ':');
  auto address = net::IpAddress::parse(text);
  return address ? std::optional(*address) : std::nullopt;
}

std::optional<NameRow> endpoint_row(const NameTable& table, const std::string& name) {
  const size_t dot = name.find('.');
  if (dot == std::string::npos) return std::nullopt;
  const std::string_view label = std::string_view(name).substr(0, dot),
                         service = std::string_view(name).substr(dot + 1);
  const auto address = undashed(label);
  if (!address || dashed(*address) != label) return std::nullopt;
  auto services = table.endpoints.find(*address);
  if (services == table.endpoints.end() ||
      !std::ranges::binary_search(services->second, service, {}, &SharedText::view))
    return std::nullopt;
  NameRow out;
  out.addresses = {*address};
  const size_t end = service.find('.');
  out.owner = {"Service", service.substr(end + 1, service.rfind('.') - end - 1), service.substr(0, end), {}};
  return out;
}

std::vector<std::string> reverse_names(const NameTable& table, const net::IpAddress& address) {
  std::vector<std::string> out;
  if (auto own = table.reverse.find(address); own != table.reverse.end()) out = own->second;
  if (auto services = table.endpoints.find(address); services != table.endpoints.end())
    for (const auto& service : services->second) out.push_back(fmt::format("{}.{}", dashed(address), service));
  std::ranges::sort(out);
  return out;
}

bool has_reverse_names(const NameTable& table, const net::Prefix& prefix) {
  const auto any = [&](const auto& rows) {
    auto first = rows.lower_bound(prefix.address());
    return first != rows.end() && prefix.contains(first->first);
  };
  return any(table.reverse) || any(table.endpoints);
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

std::optional<PodResolver> resolver_of(const k8s::Pod& pod) {
  const auto& spec = pod.spec;
  if ((spec.dnsPolicy.empty() || spec.dnsPolicy == "ClusterFirst") && !spec.dnsConfig) return std::nullopt;
  PodResolver out{.policy = spec.dnsPolicy.empty() ? "ClusterFirst" : spec.dnsPolicy};
  if (!spec.dnsConfig) return out;
  out.nameservers = spec.dnsConfig->nameservers;
  out.searches = spec.dnsConfig->searches;
  for (const auto& option : spec.dnsConfig->options)
    if (option.name == "ndots") out.ndots = option.value.value_or("");
  return out;
}

void add_pods(NameTable& table, const k8s::Snapshot& snapshot) {
  for (const auto& [key, pod] : snapshot.pods) {
    if (!has_identity(*pod)) continue;
    const auto resolver = resolver_of(*pod);
    for (const auto& address : addresses_of(*pod))
      if (table.pods.emplace(address, key.namespace_).second && resolver) table.resolvers.emplace(address, *resolver);
  }
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
    for (const auto& address : names.endpoints) add_endpoint(out, address, names.service);
  }
  add_pods(out, snapshot);
  return out;
}

}  // namespace carrick::desired
