#include <algorithm>
#include <set>

#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"
#include "net/ip.h"

// ValidateNetworkPolicy and ValidateEndpointSlice of kube-apiserver 1.33.
namespace carrick::k8s {
namespace {

void check_policy_port(const NetworkPolicyPort& port, const std::string& field, Findings& findings) {
  if (port.protocol) findings.check_supported(field + ".protocol", *port.protocol, {"TCP", "UDP", "SCTP"});
  if (!port.port) {
    if (port.endPort)
      findings.invalid(field + ".endPort", *port.endPort, "may not be specified when `port` is not specified");
    return;
  }
  check_port_number_or_name(*port.port, field + ".port", findings);
  if (!port.endPort) return;
  const int32_t* number = std::get_if<int32_t>(&*port.port);
  if (!number)
    return findings.invalid(field + ".endPort", *port.endPort, "may not be specified when `port` is non-numeric");
  if (*port.endPort < *number) findings.invalid(field + ".endPort", *number, "must be greater than or equal to `port`");
  findings.invalid(field + ".endPort", *port.endPort, check_port_number(*port.endPort));
}

void check_ip_block(const IPBlock& block, const std::string& field, Findings& findings) {
  if (block.cidr.empty()) return findings.required(field + ".cidr");
  if (!check_cidr(block.cidr, field + ".cidr", findings)) return;
  const net::Prefix cidr = *net::Prefix::parse(block.cidr);
  for (size_t i = 0; i < block.except.size(); ++i) {
    const std::string path = at(field + ".except", i);
    if (!check_cidr(block.except[i], path, findings)) continue;
    const net::Prefix except = *net::Prefix::parse(block.except[i]);
    if (cidr.is_v4() != except.is_v4() || !cidr.contains(except) || cidr.length() >= except.length())
      findings.invalid(path, block.except[i], "must be a strict subset of `cidr`");
  }
}

void check_peer(const NetworkPolicyPeer& peer, const std::string& field, Findings& findings) {
  if (peer.podSelector) check_selector(*peer.podSelector, field + ".podSelector", findings);
  if (peer.namespaceSelector) check_selector(*peer.namespaceSelector, field + ".namespaceSelector", findings);
  if (peer.ipBlock) check_ip_block(*peer.ipBlock, field + ".ipBlock", findings);
  const bool selected = peer.podSelector || peer.namespaceSelector;
  if (!selected && !peer.ipBlock) findings.required(field, "must specify a peer");
  if (selected && peer.ipBlock) findings.forbidden(field, "may not specify both ipBlock and another peer");
}

void check_rule(const std::vector<NetworkPolicyPort>& ports, const std::vector<NetworkPolicyPeer>& peers,
                const std::string& field, std::string_view peers_name, Findings& findings) {
  for (size_t i = 0; i < ports.size(); ++i) check_policy_port(ports[i], at(field + ".ports", i), findings);
  for (size_t i = 0; i < peers.size(); ++i)
    check_peer(peers[i], at(fmt::format("{}.{}", field, peers_name), i), findings);
}

void check_addresses(const Endpoint& endpoint, const std::string& type, const std::string& field, Findings& findings) {
  constexpr size_t kMostAddresses = 100;
  if (endpoint.addresses.empty()) findings.required(field, "must contain at least 1 address");
  if (endpoint.addresses.size() > kMostAddresses) findings.too_many(field, endpoint.addresses.size(), kMostAddresses);
  for (size_t i = 0; i < endpoint.addresses.size(); ++i) {
    const std::string& address = endpoint.addresses[i];
    const std::string path = at(field, i);
    if (type == "FQDN") findings.invalid(path, address, check_dns1123_subdomain(address));
    if ((type != "IPv4" && type != "IPv6") || !check_ip(address, path, findings)) continue;
    if (net::IpAddress::parse(address)->is_v4() != (type == "IPv4"))
      findings.invalid(field, address, fmt::format("must be an {} address", type));
    check_endpoint_ip(address, path, findings);
  }
}

void check_hints(const std::vector<ForZone>& hints, const std::string& field, bool zones, Findings& findings) {
  constexpr size_t kMostHints = 8;
  if (hints.size() > kMostHints) return findings.too_many(field, hints.size(), kMostHints);
  std::set<std::string> names;
  for (size_t i = 0; i < hints.size(); ++i) {
    const std::string path = at(field, i) + ".name";
    if (!names.insert(hints[i].name).second) findings.duplicate(path, hints[i].name);
    findings.invalid(path, hints[i].name,
                     zones ? check_label_value(hints[i].name) : check_dns1123_subdomain(hints[i].name));
  }
}

void check_endpoint(const Endpoint& endpoint, const std::string& type, const std::string& field, Findings& findings) {
  check_addresses(endpoint, type, field + ".addresses", findings);
  if (endpoint.nodeName)
    findings.invalid(field + ".nodeName", endpoint.nodeName->str(), check_dns1123_subdomain(*endpoint.nodeName));
  if (endpoint.hostname)
    findings.invalid(field + ".hostname", endpoint.hostname->str(), check_dns1123_label(*endpoint.hostname));
  if (!endpoint.hints) return;
  check_hints(endpoint.hints->forZones, field + ".hints.forZones", true, findings);
  check_hints(endpoint.hints->forNodes, field + ".hints.forNodes", false, findings);
}

void check_endpoint_ports(const std::vector<EndpointPort>& ports, Findings& findings) {
  constexpr size_t kMostPorts = 20000;
  if (ports.size() > kMostPorts) return findings.too_many("ports", ports.size(), kMostPorts);
  std::set<std::string> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const EndpointPort& port = ports[i];
    const std::string field = at("ports", i), name = port.name.value_or("");
    if (!name.empty()) findings.invalid(field + ".name", name, check_dns1123_label(name));
    if (!names.insert(name).second) findings.duplicate(field + ".name", name);
    if (port.protocol) findings.check_supported(field + ".protocol", *port.protocol, {"SCTP", "TCP", "UDP"});
    if (port.appProtocol)
      findings.invalid(field + ".appProtocol", *port.appProtocol, check_qualified_name(*port.appProtocol));
  }
}

}  // namespace

void check_networkpolicy(const json::object& document, Findings& findings) {
  const NetworkPolicySpec spec = decode<NetworkPolicy>(document).value().spec;
  check_selector(spec.podSelector, "spec.podSelector", findings);
  for (size_t i = 0; i < spec.ingress.size(); ++i)
    check_rule(spec.ingress[i].ports, spec.ingress[i].from, at("spec.ingress", i), "from", findings);
  for (size_t i = 0; i < spec.egress.size(); ++i)
    check_rule(spec.egress[i].ports, spec.egress[i].to, at("spec.egress", i), "to", findings);
  if (spec.policyTypes.size() > 2)
    return findings.invalid("spec.policyTypes", spec.policyTypes, "may not specify more than two policyTypes");
  for (size_t i = 0; i < spec.policyTypes.size(); ++i)
    findings.check_supported(at("spec.policyTypes", i), spec.policyTypes[i], {"Ingress", "Egress"});
}

void check_endpointslice(const json::object& document, const json::object* old, Findings& findings) {
  constexpr size_t kMostEndpoints = 1000;
  const EndpointSlice slice = decode<EndpointSlice>(document).value();
  if (slice.addressType.empty())
    findings.required("addressType");
  else
    findings.check_supported("addressType", slice.addressType, {"FQDN", "IPv4", "IPv6"});
  check_endpoint_ports(slice.ports, findings);
  if (slice.endpoints.size() > kMostEndpoints)
    findings.too_many("endpoints", slice.endpoints.size(), kMostEndpoints);
  else
    for (size_t i = 0; i < slice.endpoints.size(); ++i)
      check_endpoint(slice.endpoints[i], slice.addressType, at("endpoints", i), findings);
  if (!old) return;
  if (const auto before = decode<EndpointSlice>(*old); before && before->addressType != slice.addressType)
    findings.invalid("addressType", slice.addressType, "field is immutable");
}

void check_service_cidr(const json::object& document, const json::object* old, Findings& findings) {
  const auto cidrs_of = [](const json::object& from) {
    std::vector<std::string> out;
    const json::object* spec = child(from, "spec");
    const json::value* list = spec ? member(*spec, "cidrs") : nullptr;
    if (list && list->is_array())
      for (const json::value& value : list->get_array())
        if (value.is_string()) out.emplace_back(value.get_string());
    return out;
  };
  const auto cidrs = cidrs_of(document);
  if (cidrs.empty()) findings.required("spec.cidrs", "at least one CIDR required");
  if (cidrs.size() > 2)
    findings.invalid("spec.cidrs", cidrs, "may only hold up to 2 values");
  else if (cidrs.size() == 2 && (cidrs[0].find(':') == cidrs[0].npos) == (cidrs[1].find(':') == cidrs[1].npos))
    findings.invalid("spec.cidrs", cidrs,
                     "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64");
  for (size_t i = 0; i < cidrs.size(); ++i) {
    const std::string path = at("spec.cidrs", i);
    if (!check_cidr(cidrs[i], path, findings)) continue;
    const net::Prefix cidr = *net::Prefix::parse(cidrs[i]);
    if (cidr.str() != cidrs[i])
      findings.invalid(path, cidrs[i], fmt::format("must be in canonical form (\"{}\")", cidr.str()));
  }
  if (old && cidrs_of(*old) != cidrs) findings.invalid("spec.cidrs", cidrs, "field is immutable");
}

void check_ip_address(const json::object& document, const json::object* old, Findings& findings) {
  const json::object* spec = child(document, "spec");
  const json::object* parent = spec ? child(*spec, "parentRef") : nullptr;
  if (!parent) return findings.required("spec.parentRef");
  const auto text = [&](const char* field) {
    const json::value* value = member(*parent, field);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  if (text("resource").empty()) findings.required("spec.parentRef.resource");
  if (text("name").empty()) findings.required("spec.parentRef.name");
  if (const std::string group = text("group"); !group.empty())
    findings.invalid("spec.parentRef.group", group, check_dns1123_subdomain(group));
  if (!old) return;
  const json::object* before = child(*old, "spec");
  if (before && *before != *spec) findings.invalid("spec", "", "field is immutable");
}

}  // namespace carrick::k8s
