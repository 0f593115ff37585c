#include "controllers/pretend_allocation.h"

#include <algorithm>

namespace carrick::controllers {

namespace {

// The addresses that a Service asks for.
std::vector<net::IpAddress> asked_addresses(const json::object& spec) {
  std::vector<net::IpAddress> addresses;
  if (const auto* list = array_at(spec, {"clusterIPs"})) {
    for (const auto& text : *list) {
      if (!text.is_string()) continue;
      if (const auto ip = net::IpAddress::parse(std::string_view(text.get_string()))) addresses.push_back(*ip);
    }
  }
  if (const auto ip = net::IpAddress::parse(text_at(spec, {"clusterIP"})); ip && addresses.empty())
    addresses.push_back(*ip);
  return addresses;
}

template <class Visit>
void each_port(json::object& spec, Visit&& visit) {
  auto* ports = spec.if_contains("ports");
  if (!ports || !ports->is_array()) return;
  for (auto& port : ports->get_array()) {
    if (port.is_object()) visit(port.get_object());
  }
}

}  // namespace

PretendAllocation::PretendAllocation(bool ipv4, bool ipv6)
    : next_v4_(*net::IpAddress::parse("10.96.1.0")), next_v6_(*net::IpAddress::parse("2001:db8:96::100")) {
  if (ipv4) cluster_families_.push_back("IPv4");
  if (ipv6) cluster_families_.push_back("IPv6");
}

void PretendAllocation::reserve(const json::object& service) {
  const auto* spec = object_at(service, {"spec"});
  if (!spec) return;
  for (const auto& address : asked_addresses(*spec)) reserved_.insert(address);
  json::object copy = *spec;
  each_port(copy, [&](json::object& port) {
    if (const auto number = number_at(port, {"nodePort"}); number && *number) ports_.insert(*number);
  });
}

net::IpAddress PretendAllocation::next_address(bool v4) {
  auto& next = v4 ? next_v4_ : next_v6_;
  while (reserved_.contains(next)) next = next.plus(1);
  const auto address = next;
  next = next.plus(1);
  return address;
}

int64_t PretendAllocation::next_port() {
  while (ports_.contains(next_port_)) ++next_port_;
  return next_port_++;
}

// SVC-A7.
Result<json::array> PretendAllocation::families(const json::object& spec) const {
  const auto policy = text_at(spec, {"ipFamilyPolicy"});
  if (policy == "RequireDualStack" && cluster_families_.size() < 2) {
    return fail(ErrorKind::kInvalid,
                "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for "
                "dual-stack services");
  }
  json::array families;
  if (const auto* asked = array_at(spec, {"ipFamilies"})) families = *asked;
  if (families.empty()) {
    for (const auto& address : asked_addresses(spec))
      families.push_back(json::string(address.is_v4() ? "IPv4" : "IPv6"));
  }
  for (const auto& family : families) {
    if (std::ranges::find(cluster_families_, std::string_view(family.as_string())) == cluster_families_.end()) {
      return fail(ErrorKind::kInvalid, "spec.ipFamilies[0]: Invalid value: \"{}\": not configured on this cluster",
                  std::string_view(family.as_string()));
    }
  }
  const bool headless = text_at(spec, {"clusterIP"}) == "None";
  const auto* selector = object_at(spec, {"selector"});
  const bool both = policy == "RequireDualStack" || policy == "PreferDualStack" ||
                    (policy.empty() && (families.size() == 2 || (headless && (!selector || selector->empty()))));
  if (families.empty()) families.push_back(json::string(cluster_families_.front()));
  if (!both) {
    families.resize(1);
    return families;
  }
  for (const auto& family : cluster_families_) {
    const bool there =
        std::ranges::any_of(families, [&](const json::value& have) { return have.as_string() == family; });
    if (!there) families.push_back(json::string(family));
  }
  return families;
}

Result<void> PretendAllocation::allocate_ports(json::object& spec) {
  const auto type = text_at(spec, {"type"});
  const auto* wanted = value_at(spec, {"allocateLoadBalancerNodePorts"});
  const bool balanced = type == "LoadBalancer" && (!wanted || !wanted->is_bool() || wanted->get_bool());
  if (type != "NodePort" && !balanced) return {};
  std::map<int64_t, int64_t> by_port;  // one number serves TCP and UDP of one port (SVC-A4)
  each_port(spec, [&](json::object& port) {
    if (const auto given = number_at(port, {"nodePort"}); given && *given)
      by_port.emplace(number_at(port, {"port"}).value_or(0), *given);
  });
  each_port(spec, [&](json::object& port) {
    if (number_at(port, {"nodePort"}).value_or(0)) return;
    const auto [at, made] = by_port.try_emplace(number_at(port, {"port"}).value_or(0), 0);
    if (made) at->second = next_port();
    port["nodePort"] = at->second;
  });
  if (type == "LoadBalancer" && text_at(spec, {"externalTrafficPolicy"}) == "Local" &&
      number_at(spec, {"healthCheckNodePort"}).value_or(0) == 0) {
    spec["healthCheckNodePort"] = next_port();
  }
  return {};
}

Result<void> PretendAllocation::allocate(json::object& service) {
  auto& spec = child(service, "spec");
  if (text_at(spec, {"type"}) == "ExternalName") return {};
  json::array chosen = TRY(families(spec));
  if (text_at(spec, {"clusterIP"}) == "None") {
    spec["clusterIPs"] = json::array{"None"};
  } else {
    json::array addresses;
    for (const auto& address : asked_addresses(spec)) {
      if (!taken_.insert(address).second) {
        return fail(
            ErrorKind::kInvalid,
            "spec.clusterIPs: Invalid value: [\"{}\"]: failed to allocate IP {}: provided IP is already allocated",
            address.str(), address.str());
      }
      addresses.push_back(json::string(address.str()));
    }
    for (size_t i = addresses.size(); i < chosen.size(); ++i) {
      const auto address = next_address(chosen[i].as_string() == "IPv4");
      taken_.insert(address);
      addresses.push_back(json::string(address.str()));
    }
    spec["clusterIP"] = addresses.front();
    spec["clusterIPs"] = std::move(addresses);
  }
  if (text_at(spec, {"ipFamilyPolicy"}).empty()) {
    const auto* selector = object_at(spec, {"selector"});
    const bool bare_headless = text_at(spec, {"clusterIP"}) == "None" && (!selector || selector->empty());
    spec["ipFamilyPolicy"] = bare_headless ? "RequireDualStack" : "SingleStack";
  }
  spec["ipFamilies"] = std::move(chosen);
  return allocate_ports(spec);
}

}  // namespace carrick::controllers
