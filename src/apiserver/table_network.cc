#include <algorithm>
#include <set>

#include "apiserver/printers.h"

namespace carrick::apiserver::printers {
namespace {

std::string name(const json::object& document) { return std::string(text_at(document, "metadata.name")); }
std::string created(const json::object& document, int64_t now) {
  return age(document, "metadata.creationTimestamp", now);
}

template <class Visit>
void each(const json::object& document, std::string_view path, Visit visit) {
  if (const json::array* array = array_at(document, path))
    for (const json::value& value : *array)
      if (const auto* object = value.if_object()) visit(*object);
}

std::vector<std::string> texts(const json::object& document, std::string_view path) {
  std::vector<std::string> out;
  if (const json::array* array = array_at(document, path))
    for (const json::value& value : *array)
      if (value.is_string()) out.emplace_back(value.get_string());
  return out;
}

std::string load_balancer_addresses(const json::object& document) {
  std::set<std::string> found;
  each(document, "status.loadBalancer.ingress", [&](const json::object& ingress) {
    const std::string_view ip = text_at(ingress, "ip");
    found.emplace(ip.empty() ? text_at(ingress, "hostname") : ip);
  });
  return limited({found.begin(), found.end()}, found.size());
}

std::string external_ip(const json::object& d) {
  const std::string_view type = text_at(d, "spec.type");
  const auto external = texts(d, "spec.externalIPs");
  if (type == "ExternalName") return std::string(text_at(d, "spec.externalName"));
  if (type == "LoadBalancer") {
    std::string addresses = load_balancer_addresses(d);
    if (!external.empty()) addresses += (addresses.empty() ? "" : ",") + limited(external, external.size());
    return addresses.empty() ? "<pending>" : addresses;
  }
  return or_none(limited(external, external.size()));
}

std::string service_ports(const json::object& d) {
  std::vector<std::string> parts;
  each(d, "spec.ports", [&](const json::object& port) {
    const int64_t node_port = number_at(port, "nodePort");
    parts.push_back(node_port ? fmt::format("{}:{}/{}", number_at(port, "port"), node_port, text_at(port, "protocol"))
                              : fmt::format("{}/{}", number_at(port, "port"), text_at(port, "protocol")));
  });
  return or_none(limited(parts, parts.size()));
}

std::string join_host_port(std::string_view address, int64_t port) {
  return address.find(':') != std::string_view::npos ? fmt::format("[{}]:{}", address, port)
                                                     : fmt::format("{}:{}", address, port);
}

std::string endpoint_addresses(const json::object& d) {
  std::vector<std::string> parts;
  each(d, "subsets", [&](const json::object& subset) {
    std::vector<int64_t> ports;
    each(subset, "ports", [&](const json::object& port) { ports.push_back(number_at(port, "port")); });
    each(subset, "addresses", [&](const json::object& address) {
      if (ports.empty()) parts.emplace_back(text_at(address, "ip"));
      for (int64_t port : ports) parts.push_back(join_host_port(text_at(address, "ip"), port));
    });
  });
  return or_none(limited(parts, 3));
}

}  // namespace

json::array service(const json::object& d, int64_t now) {
  return {name(d),          text_at(d, "spec.type"), or_none(std::string(text_at(d, "spec.clusterIP"))), external_ip(d),
          service_ports(d), created(d, now),         or_none(label_map(object_at(d, "spec.selector")))};
}

json::array endpoints(const json::object& d, int64_t now) { return {name(d), endpoint_addresses(d), created(d, now)}; }

json::array endpoint_slice(const json::object& d, int64_t now) {
  std::vector<std::string> ports, addresses;
  each(d, "ports", [&](const json::object& port) {
    ports.push_back(field(port, "port") ? std::to_string(number_at(port, "port")) : "*");
  });
  each(d, "endpoints", [&](const json::object& endpoint) {
    for (std::string& address : texts(endpoint, "addresses")) addresses.push_back(std::move(address));
  });
  const auto shown = [](const std::vector<std::string>& parts) {
    return parts.empty() ? std::string("<unset>") : limited(parts, 3);
  };
  return {name(d), text_at(d, "addressType"), shown(ports), shown(addresses), created(d, now)};
}

json::array network_policy(const json::object& d, int64_t now) {
  return {name(d), label_selector(object_at(d, "spec.podSelector")), created(d, now)};
}

json::array ingress(const json::object& d, int64_t now) {
  std::vector<std::string> hosts;
  each(d, "spec.rules", [&](const json::object& rule) {
    const std::string_view host = text_at(rule, "host");
    if (std::string text(host.empty() ? "*" : host); std::ranges::find(hosts, text) == hosts.end())
      hosts.push_back(std::move(text));
  });
  const std::string ports = has_entries(d, "spec.tls") ? "80, 443" : "80";
  return {name(d),
          or_none(std::string(text_at(d, "spec.ingressClassName"))),
          hosts.empty() ? "*" : limited(hosts, 3),
          load_balancer_addresses(d),
          ports,
          created(d, now)};
}

json::array ingress_class(const json::object& d, int64_t now) {
  std::string parameters;
  if (object_at(d, "spec.parameters")) {
    parameters = text_at(d, "spec.parameters.kind");
    if (const std::string_view group = text_at(d, "spec.parameters.apiGroup"); !group.empty())
      parameters += "." + std::string(group);
    parameters += "/" + std::string(text_at(d, "spec.parameters.name"));
  }
  return {name(d), text_at(d, "spec.controller"), or_none(parameters), created(d, now)};
}

json::array service_cidr(const json::object& d, int64_t now) {
  const auto cidrs = texts(d, "spec.cidrs");
  return {name(d), limited(cidrs, cidrs.size()), created(d, now)};
}

json::array ip_address(const json::object& d, int64_t now) {
  std::string parent(text_at(d, "spec.parentRef.resource"));
  constexpr std::pair<const char*, const char*> kParts[] = {
      {"spec.parentRef.group", "."}, {"spec.parentRef.namespace", "/"}, {"spec.parentRef.name", "/"}};
  for (const auto& [path, separator] : kParts)
    if (const std::string_view part = text_at(d, path); !part.empty()) parent.append(separator).append(part);
  return {name(d), or_none(parent), created(d, now)};
}

}  // namespace carrick::apiserver::printers
