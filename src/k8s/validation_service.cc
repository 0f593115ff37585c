#include <algorithm>
#include <set>

#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"
#include "net/ip.h"

// ValidateService and ValidateServiceUpdate of kube-apiserver 1.33. What defaults fill in is not required here, so that
// a document can be checked before addresses and node ports are allocated.
namespace carrick::k8s {
namespace {

bool is_headless(const ServiceSpec& spec) {
  return spec.clusterIP == "None" || (!spec.clusterIPs.empty() && spec.clusterIPs[0] == "None");
}

void check_port(const ServicePort& port, bool name_needed, std::set<std::string>& names, const std::string& field,
                Findings& findings) {
  if (port.name.empty()) {
    if (name_needed) findings.required(field + ".name");
  } else {
    findings.invalid(field + ".name", port.name, check_dns1123_label(port.name));
    if (!names.insert(port.name).second) findings.duplicate(field + ".name", port.name);
  }
  findings.invalid(field + ".port", port.port, check_port_number(port.port));
  if (!port.protocol.empty()) findings.check_supported(field + ".protocol", port.protocol, {"SCTP", "TCP", "UDP"});
  if (port.targetPort != IntOrString{0} && port.targetPort != IntOrString{""})
    check_port_number_or_name(port.targetPort, field + ".targetPort", findings);
  if (port.appProtocol)
    findings.invalid(field + ".appProtocol", *port.appProtocol, check_qualified_name(*port.appProtocol));
}

void check_ports(const ServiceSpec& spec, Findings& findings) {
  std::set<std::string> names;
  for (size_t i = 0; i < spec.ports.size(); ++i)
    check_port(spec.ports[i], spec.ports.size() > 1, names, at("spec.ports", i), findings);

  std::set<std::pair<std::string, int>> node_ports, ports;
  const auto protocol_of = [](const ServicePort& port) {
    return port.protocol.empty() ? std::string("TCP") : port.protocol;
  };
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const ServicePort& port = spec.ports[i];
    const std::string field = at("spec.ports", i) + ".nodePort";
    if (port.nodePort == 0) continue;
    if (spec.type == "ClusterIP" || spec.type.empty())
      findings.forbidden(field, "may not be used when `type` is 'ClusterIP'");
    if (!node_ports.emplace(protocol_of(port), port.nodePort).second) findings.duplicate(field, port.nodePort);
  }
  for (size_t i = 0; i < spec.ports.size(); ++i) {
    const ServicePort& port = spec.ports[i];
    if (ports.emplace(protocol_of(port), port.port).second) continue;
    findings.add(
        "Duplicate", at("spec.ports", i),
        fmt::format(
            "Duplicate value: core.ServicePort{{Name:\"\", Protocol:\"{}\", AppProtocol:(*string)(nil), Port:{}, "
            "TargetPort:intstr.IntOrString{{Type:0, IntVal:0, StrVal:\"\"}}, NodePort:0}}",
            protocol_of(port), port.port),
        {});
  }
}

void check_type(const ServiceSpec& spec, Findings& findings) {
  if (!spec.type.empty())
    findings.check_supported("spec.type", spec.type, {"ClusterIP", "ExternalName", "LoadBalancer", "NodePort"});
  if (spec.ports.empty() && !is_headless(spec) && spec.type != "ExternalName") findings.required("spec.ports");
  if (is_headless(spec) && (spec.type == "LoadBalancer" || spec.type == "NodePort"))
    findings.invalid("spec.clusterIPs[0]", "None", fmt::format("may not be set to 'None' for {} services", spec.type));
  if (spec.type != "ExternalName") return;
  if (!spec.clusterIPs.empty() || !spec.clusterIP.empty())
    findings.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
  if (!spec.ipFamilies.empty()) findings.forbidden("spec.ipFamilies", "may not be set for ExternalName services");
  if (spec.ipFamilyPolicy) findings.forbidden("spec.ipFamilyPolicy", "may not be set for ExternalName services");
  std::string name = spec.externalName;
  if (name.ends_with('.')) name.pop_back();
  if (name.empty())
    findings.required("spec.externalName");
  else
    findings.invalid("spec.externalName", name, check_dns1123_subdomain(name));
}

void check_affinity(const ServiceSpec& spec, Findings& findings) {
  constexpr int kDay = 86400;
  if (!spec.sessionAffinity.empty())
    findings.check_supported("spec.sessionAffinity", spec.sessionAffinity, {"ClientIP", "None"});
  if (spec.sessionAffinity == "None" && spec.sessionAffinityConfig)
    findings.forbidden("spec.sessionAffinityConfig", "must not be set when session affinity is None");
  if (spec.sessionAffinity != "ClientIP" || !spec.sessionAffinityConfig) return;
  const std::string field = "spec.sessionAffinityConfig.clientIP", when = "when session affinity type is ClientIP";
  if (!spec.sessionAffinityConfig->clientIP) return findings.required(field, when);
  const std::optional<int32_t> timeout = spec.sessionAffinityConfig->clientIP->timeoutSeconds;
  if (!timeout) return findings.required(field + ".timeoutSeconds", when);
  if (*timeout <= 0 || *timeout > kDay)
    findings.invalid(field + ".timeoutSeconds", *timeout, "must be greater than 0 and less than 86400");
}

void check_families(const ServiceSpec& spec, Findings& findings) {
  std::set<std::string> seen;
  for (size_t i = 0; i < spec.ipFamilies.size(); ++i) {
    const std::string field = at("spec.ipFamilies", i);
    findings.check_supported(field, spec.ipFamilies[i], {"IPv4", "IPv6"});
    if (!seen.insert(spec.ipFamilies[i]).second) findings.duplicate(field, spec.ipFamilies[i]);
  }
  if (spec.ipFamilyPolicy)
    findings.check_supported("spec.ipFamilyPolicy", *spec.ipFamilyPolicy,
                             {"PreferDualStack", "RequireDualStack", "SingleStack"});
}

void check_cluster_ips(const ServiceSpec& spec, Findings& findings) {
  const std::string field = "spec.clusterIPs";
  const std::vector<std::string>& ips = spec.clusterIPs;
  if (spec.clusterIP.empty() && !ips.empty())
    findings.invalid(field, ips, "must be empty when `clusterIP` is not specified");
  if (!spec.clusterIP.empty() && !ips.empty() && ips[0] != spec.clusterIP)
    findings.invalid(field, ips, "first value must match `clusterIP`");
  if (!spec.clusterIP.empty() && ips.empty() && spec.clusterIP != "None")
    check_ip(spec.clusterIP, field + "[0]", findings);
  bool bad = false;
  for (size_t i = 0; i < ips.size(); ++i) {
    if (i > 0 || ips[0] != "None")
      bad |= !check_ip(ips[i], at(field, i), findings);
    else if (ips.size() > 1)
      findings.invalid(field, ips, "'None' must be the first and only value");
  }
  if (ips.size() > 2) findings.invalid(field, ips, "may only hold up to 2 values");
  if (bad || ips.empty() || is_headless(spec)) return;
  const auto is_v6 = [](const std::string& ip) { return !net::IpAddress::parse(ip)->is_v4(); };
  if (ips.size() == 2 && is_v6(ips[0]) == is_v6(ips[1]))
    findings.invalid(field, ips, "may specify no more than one IP for each IP family");
  for (size_t i = 0; i < std::min(ips.size(), spec.ipFamilies.size()); ++i) {
    const std::string& family = spec.ipFamilies[i];
    if ((family == "IPv4" && is_v6(ips[i])) || (family == "IPv6" && !is_v6(ips[i])))
      findings.invalid(at(field, i), ips[i],
                       fmt::format("expected an {} value as indicated by `ipFamilies[{}]`", family, i));
  }
}

void check_external(const ServiceSpec& spec, Findings& findings) {
  for (size_t i = 0; i < spec.externalIPs.size(); ++i) {
    const std::string field = at("spec.externalIPs", i);
    if (check_ip(spec.externalIPs[i], field, findings)) check_endpoint_ip(spec.externalIPs[i], field, findings);
  }
  const bool balanced = spec.type == "LoadBalancer";
  const std::string ranges = "spec.LoadBalancerSourceRanges", only = "may only be used when `type` is 'LoadBalancer'";
  if (!spec.loadBalancerSourceRanges.empty() && !balanced) findings.forbidden(ranges, only);
  for (size_t i = 0; i < spec.loadBalancerSourceRanges.size(); ++i) {
    std::string range = spec.loadBalancerSourceRanges[i];  // padded with spaces by accident of history
    range.erase(0, range.find_first_not_of(' '));
    range.erase(range.find_last_not_of(' ') + 1);
    check_cidr(range, at(ranges, i), findings);
  }
  if (spec.allocateLoadBalancerNodePorts && !balanced) findings.forbidden("spec.allocateLoadBalancerNodePorts", only);
  if (spec.loadBalancerClass) {
    if (balanced)
      findings.invalid("spec.loadBalancerClass", *spec.loadBalancerClass,
                       check_qualified_name(*spec.loadBalancerClass));
    else
      findings.forbidden("spec.loadBalancerClass", only);
  }
}

void check_traffic(const ServiceSpec& spec, Findings& findings) {
  const bool plain = spec.type == "ClusterIP" || spec.type.empty();
  const bool external = spec.type == "LoadBalancer" || spec.type == "NodePort" || (plain && !spec.externalIPs.empty());
  if (!spec.externalTrafficPolicy.empty()) {
    const std::string field = "spec.externalTrafficPolicy";
    if (external)
      findings.check_supported(field, spec.externalTrafficPolicy, {"Cluster", "Local"});
    else
      findings.invalid(field, spec.externalTrafficPolicy, "may only be set for externally-accessible services");
  }
  const bool checked = spec.type == "LoadBalancer" && spec.externalTrafficPolicy == "Local";
  if (spec.healthCheckNodePort != 0) {
    const std::string field = "spec.healthCheckNodePort";
    if (checked)
      findings.invalid(field, spec.healthCheckNodePort, check_port_number(spec.healthCheckNodePort));
    else
      findings.invalid(field, spec.healthCheckNodePort,
                       "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'");
  }
  if (spec.internalTrafficPolicy)
    findings.check_supported("spec.internalTrafficPolicy", *spec.internalTrafficPolicy, {"Cluster", "Local"});
  if (spec.trafficDistribution)
    findings.check_supported("spec.trafficDistribution", *spec.trafficDistribution,
                             {"PreferClose", "PreferSameZone", "PreferSameNode"});
}

// SVC-A6, SVC-A7: the first address and family never change, the second may come and go.
void check_addresses_kept(const std::vector<std::string>& now, const std::vector<std::string>& before,
                          const ServiceSpec& spec, const std::string& field, std::string_view noun,
                          Findings& findings) {
  if (now.size() == before.size()) {
    for (size_t i = 0; i < now.size(); ++i)
      if (now[i] != before[i]) findings.invalid(at(field, i), now, "may not change once set");
    return;
  }
  if (now.empty()) return findings.invalid(field + "[0]", now, fmt::format("primary {} can not be unset", noun));
  if (!before.empty() && now[0] != before[0]) findings.invalid(field + "[0]", now, "may not change once set");
  if (now.size() == 1 && before.size() == 2 && spec.ipFamilyPolicy != "SingleStack")
    findings.invalid("spec.ipFamilyPolicy", spec.ipFamilyPolicy.value_or(""),
                     fmt::format("must be set to 'SingleStack' when releasing the secondary {}", noun));
}

std::vector<std::string> cluster_ips(const ServiceSpec& spec) {
  if (spec.clusterIPs.empty() && !spec.clusterIP.empty()) return {spec.clusterIP};
  return spec.clusterIPs;
}

void check_update(const ServiceSpec& spec, const ServiceSpec& old, Findings& findings) {
  const bool external_name = spec.type == "ExternalName" || old.type == "ExternalName";
  if (!external_name && !(is_headless(spec) && is_headless(old)))
    check_addresses_kept(cluster_ips(spec), cluster_ips(old), spec, "spec.clusterIPs", "clusterIP", findings);
  if (!external_name && !is_headless(spec) && !is_headless(old))
    check_addresses_kept(spec.ipFamilies, old.ipFamilies, spec, "spec.ipFamilies", "ipFamily", findings);
  if (spec.type == "LoadBalancer" && old.type == "LoadBalancer" && spec.loadBalancerClass != old.loadBalancerClass)
    findings.invalid("spec.loadBalancerClass", spec.loadBalancerClass.value_or(""), "may not change once set");
  const auto needs_check = [](const ServiceSpec& s) {
    return s.type == "LoadBalancer" && s.externalTrafficPolicy == "Local";
  };
  if (needs_check(spec) && needs_check(old) && spec.healthCheckNodePort != old.healthCheckNodePort)
    findings.forbidden("spec.healthCheckNodePort", "field is immutable");
}

}  // namespace

void check_service(const json::object& document, const json::object* old, Findings& findings) {
  const ServiceSpec spec = decode<Service>(document).value().spec;
  if (old)
    if (const auto before = decode<Service>(*old)) check_update(spec, before->spec, findings);
  check_type(spec, findings);
  check_ports(spec, findings);
  check_labels(spec.selector, "spec.selector", findings);
  check_affinity(spec, findings);
  if (spec.type != "ExternalName") {
    check_families(spec, findings);
    check_cluster_ips(spec, findings);
  }
  check_external(spec, findings);
  check_traffic(spec, findings);
}

}  // namespace carrick::k8s
