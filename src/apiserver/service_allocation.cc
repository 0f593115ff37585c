#include "apiserver/service_allocation.h"

#include <algorithm>

#include "apiserver/document.h"

namespace carrick::apiserver {
namespace {

using Texts = std::vector<std::string>;

Texts texts_at(const json::object& document, std::string_view path) {
  Texts out;
  if (const json::array* array = array_at(document, path))
    for (const json::value& value : *array)
      if (const auto* text = value.if_string()) out.emplace_back(*text);
  return out;
}

json::array to_array(const Texts& texts) {
  json::array out;
  for (const std::string& text : texts) out.emplace_back(text);
  return out;
}

std::string quoted_list(const Texts& texts) { return json::serialize(to_array(texts)); }

std::string list_of(const std::vector<net::Prefix>& cidrs) {
  std::string out;
  for (const net::Prefix& cidr : cidrs) out += (out.empty() ? "" : ", ") + cidr.str();
  return out;
}

std::string service_type(const json::object& service) {
  const std::string_view type = text_at(service, "spec.type");
  return type.empty() ? "ClusterIP" : std::string(type);
}

bool is_headless(const json::object& service) { return text_at(service, "spec.clusterIP") == "None"; }
bool wants_node_ports(const json::object& service) {
  const std::string type = service_type(service);
  return type == "NodePort" || type == "LoadBalancer";
}
bool wants_health_port(const json::object& service) {
  return service_type(service) == "LoadBalancer" && text_at(service, "spec.externalTrafficPolicy") == "Local";
}

// A number of at least 128 bits of addresses is capped: bands and random offsets need no more.
uint64_t size_of(const net::Prefix& cidr) {
  const int host_bits = 128 - cidr.length();
  return uint64_t{1} << std::min(host_bits, 62);
}

uint64_t band(uint64_t size, uint64_t divisor, uint64_t most) {
  if (size < 16) return 0;
  return std::min(std::max<uint64_t>(16, size / divisor), most);
}

template <class Visit>
void each_port(json::object& service, Visit visit) {
  json::value* ports = child_object(service, "spec").if_contains("ports");
  if (!ports || !ports->is_array()) return;
  size_t index = 0;
  for (json::value& port : ports->get_array()) {
    if (port.is_object()) visit(port.get_object(), index);
    ++index;
  }
}

std::string protocol_of(const json::object& port) {
  const std::string_view protocol = text_at(port, "protocol");
  return protocol.empty() ? "TCP" : std::string(protocol);
}

}  // namespace

uint64_t ServiceAllocator::address_band(uint64_t size) { return band(size, 16, 256); }
uint64_t ServiceAllocator::port_band(uint64_t size) { return band(size, 32, 128); }

ServiceAllocator::ServiceAllocator(Ranges ranges, std::function<uint64_t(uint64_t)> random)
    : ranges_(std::move(ranges)), random_(std::move(random)) {}

std::optional<net::IpAddress> ServiceAllocator::free_address(const net::Prefix& cidr) const {
  const uint64_t size = size_of(cidr);
  if (size < 4) return std::nullopt;
  // Offset 0 is the network; the last one of an IPv4 range its broadcast address; neither is given out.
  const uint64_t first = 1, last = size - (cidr.is_v4() ? 2 : 1);
  const uint64_t middle = std::max(address_band(size), first);
  const auto search = [&](uint64_t low, uint64_t high) -> std::optional<net::IpAddress> {
    if (low > high) return std::nullopt;
    const uint64_t count = high - low + 1, start = random_(count);
    // At most one probe more than there are taken addresses can fail.
    for (uint64_t i = 0; i < std::min<uint64_t>(count, addresses_.size() + 1); ++i) {
      const net::IpAddress address = cidr.address().plus(low + (start + i) % count);
      if (!addresses_.contains(address)) return address;
    }
    return std::nullopt;
  };
  if (auto upper = search(middle, last)) return upper;
  return search(first, middle - 1);
}

std::optional<uint16_t> ServiceAllocator::free_port(const std::set<uint16_t>& also_taken) const {
  const uint64_t size = static_cast<uint64_t>(ranges_.last_node_port) - ranges_.first_node_port + 1;
  const uint64_t middle = port_band(size);
  const auto search = [&](uint64_t low, uint64_t high) -> std::optional<uint16_t> {
    if (low >= high) return std::nullopt;
    const uint64_t count = high - low, start = random_(count);
    for (uint64_t i = 0; i < count; ++i) {
      const auto port = static_cast<uint16_t>(ranges_.first_node_port + low + (start + i) % count);
      if (!ports_.contains(port) && !also_taken.contains(port)) return port;
    }
    return std::nullopt;
  };
  if (auto upper = search(middle, size)) return upper;
  return search(0, middle);
}

// One Service on its way in: the steps share the document, its former state and the findings.
class ServiceAllocator::Filling {
 public:
  Filling(const ServiceAllocator& allocator, json::object& service, const json::object* old)
      : allocator_(allocator),
        service_(service),
        spec_(child_object(service, "spec")),
        old_(old),
        key_(key_of(service)) {}

  std::vector<k8s::FieldError> run() {
    if (service_type(service_) == "ExternalName") {
      drop_for_external_name();
      return {};
    }
    keep_allocated();
    normalize_cluster_ips();
    if (decide_families()) allocate_addresses();
    allocate_node_ports();
    allocate_health_port();
    return std::move(errors_);
  }

 private:
  void error(std::string field, std::string detail) {
    errors_.push_back(field_error("Invalid", std::move(field), "Invalid value: " + std::move(detail)));
  }
  bool had_addresses() const { return old_ && service_type(*old_) != "ExternalName"; }

  // SVC-A5
  void drop_for_external_name() {
    for (std::string_view name : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort",
                                  "internalTrafficPolicy", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"})
      spec_.erase(name);
    each_port(service_, [](json::object& port, size_t) { port.erase("nodePort"); });
  }

  // A client that replaces a Service without what the server gave it means "as it was".
  void keep_allocated() {
    if (!had_addresses()) return;
    if (text_at(service_, "spec.clusterIP").empty() && !has_entries(service_, "spec.clusterIPs")) {
      if (const json::value* was = field(*old_, "spec.clusterIP")) spec_["clusterIP"] = *was;
      if (const json::value* was = field(*old_, "spec.clusterIPs")) spec_["clusterIPs"] = *was;
    }
    if (!field(service_, "spec.ipFamilyPolicy"))
      if (const json::value* was = field(*old_, "spec.ipFamilyPolicy")) spec_["ipFamilyPolicy"] = *was;
    if (!has_entries(service_, "spec.ipFamilies"))
      if (const json::value* was = field(*old_, "spec.ipFamilies")) spec_["ipFamilies"] = *was;
    if (wants_node_ports(service_) && wants_node_ports(*old_) && allocates_node_ports()) keep_node_ports();
    if (wants_health_port(service_) && wants_health_port(*old_) && number_at(service_, "spec.healthCheckNodePort") == 0)
      if (const int64_t was = number_at(*old_, "spec.healthCheckNodePort")) spec_["healthCheckNodePort"] = was;
  }

  // SVC-A9: a load balancer may be without; there a port that is left out is given back.
  bool allocates_node_ports() const {
    return service_type(service_) == "NodePort" || flag_at(service_, "spec.allocateLoadBalancerNodePorts", true);
  }

  void keep_node_ports() {
    std::set<int64_t> used;
    each_port(service_, [&](json::object& port, size_t) { used.insert(number_at(port, "nodePort")); });
    each_port(service_, [&](json::object& port, size_t) {
      if (number_at(port, "nodePort") != 0) return;
      const json::array* before = array_at(*old_, "spec.ports");
      for (const json::value& value : before ? *before : json::array{}) {
        const json::object* was = value.if_object();
        if (!was || number_at(*was, "port") != number_at(port, "port") || protocol_of(*was) != protocol_of(port))
          continue;
        const int64_t node_port = number_at(*was, "nodePort");
        if (node_port != 0 && used.insert(node_port).second) port["nodePort"] = node_port;
        return;
      }
    });
  }

  void normalize_cluster_ips() {
    const std::string single(text_at(service_, "spec.clusterIP"));
    Texts all = texts_at(service_, "spec.clusterIPs");
    if (all.empty() && !single.empty())
      spec_["clusterIPs"] = to_array({single});
    else if (single.empty() && !all.empty())
      spec_["clusterIP"] = all.front();
    else if (had_addresses() && !all.empty() && single != all.front() && single != text_at(*old_, "spec.clusterIP")) {
      // Only the old field was changed, by a client that does not know the new one.
      if (texts_at(*old_, "spec.clusterIPs") == all) {
        all.front() = single;
        spec_["clusterIPs"] = to_array(all);
      }
    }
  }

  bool cluster_has(std::string_view family) const {
    return std::ranges::any_of(allocator_.ranges_.cidrs,
                               [&](const net::Prefix& cidr) { return family_of(cidr) == family; });
  }

  // SVC-A7. False when the addresses cannot be told any more.
  bool decide_families() {
    const bool headless = is_headless(service_);
    const bool selectorless_headless = headless && !has_entries(service_, "spec.selector");
    std::string policy(text_at(service_, "spec.ipFamilyPolicy"));
    Texts families = texts_at(service_, "spec.ipFamilies");
    Texts ips = headless ? Texts{} : texts_at(service_, "spec.clusterIPs");
    if (policy.empty()) {
      if (selectorless_headless && families.empty())
        policy = "RequireDualStack";
      else
        policy = families.size() > 1 || ips.size() > 1 ? "RequireDualStack" : "SingleStack";
    }
    const bool was_dual = had_addresses() && texts_at(*old_, "spec.ipFamilies").size() > 1;
    if (policy == "SingleStack" && (families.size() > 1 || ips.size() > 1)) {
      if (!was_dual)
        return error("spec.ipFamilyPolicy",
                     "\"SingleStack\": must be RequireDualStack or PreferDualStack when multiple IP families are "
                     "specified"),
               false;
      families.resize(std::min<size_t>(families.size(), 1));
      ips.resize(std::min<size_t>(ips.size(), 1));
      spec_["clusterIPs"] = to_array(ips);
    }
    for (size_t i = 0; i < ips.size(); ++i) {
      const auto address = net::IpAddress::parse(ips[i]);
      if (!address)
        return error(fmt::format("spec.clusterIPs[{}]", i),
                     fmt::format("\"{}\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)", ips[i])),
               false;
      const std::string family = address->is_v4() ? "IPv4" : "IPv6";
      if (i >= families.size())
        families.push_back(family);
      else if (families[i] != family)
        return error(fmt::format("spec.clusterIPs[{}]", i),
                     fmt::format("\"{}\": expected an {} value as indicated by `ipFamilies[{}]`", ips[i], families[i],
                                 i)),
               false;
    }
    if (families.empty()) families.push_back(family_of(allocator_.ranges_.cidrs.front()));
    for (size_t i = 0; i < families.size(); ++i)
      if (!selectorless_headless && !cluster_has(families[i]))
        return error(fmt::format("spec.ipFamilies[{}]", i),
                     fmt::format("\"{}\": not configured on this cluster", families[i])),
               false;
    const bool dual_cluster = allocator_.ranges_.cidrs.size() > 1;
    if (policy == "RequireDualStack" && !dual_cluster && !selectorless_headless)
      return error("spec.ipFamilyPolicy",
                   "\"RequireDualStack\": this cluster is not configured for dual-stack services"),
             false;
    if (policy != "SingleStack" && families.size() == 1 &&
        (dual_cluster || (selectorless_headless && policy == "RequireDualStack")))
      families.push_back(families.front() == "IPv4" ? "IPv6" : "IPv4");
    spec_["ipFamilyPolicy"] = policy;
    spec_["ipFamilies"] = to_array(families);
    return true;
  }

  void allocate_addresses() {
    if (is_headless(service_)) {
      spec_["clusterIPs"] = to_array({"None"});
      return;
    }
    const Texts families = texts_at(service_, "spec.ipFamilies");
    Texts ips = texts_at(service_, "spec.clusterIPs");
    for (size_t i = 0; i < families.size(); ++i) {
      const auto ranges = allocator_.open_ranges(families[i]);
      if (i < ips.size()) {
        check_address(ips, i, ranges);
        continue;
      }
      std::optional<net::IpAddress> address;
      for (size_t k = 0; k < ranges.size() && !address; ++k) address = allocator_.free_address(ranges[k]);
      if (!address)
        return error("spec.clusterIPs",
                     fmt::format("{}: failed to allocate a serviceIP: range is full", quoted_list(ips)));
      ips.push_back(address->str());
    }
    spec_["clusterIPs"] = to_array(ips);
    spec_["clusterIP"] = ips.empty() ? "" : ips.front();
  }

  void check_address(const Texts& ips, size_t i, const std::vector<net::Prefix>& ranges) {
    const auto address = net::IpAddress::parse(ips[i]);
    if (!address) return;  // said by decide_families
    // What it has it keeps, also when its range is being deleted.
    const auto owner = allocator_.addresses_.find(*address);
    if (owner != allocator_.addresses_.end() && owner->second == key_) return;
    if (std::ranges::none_of(ranges, [&](const net::Prefix& cidr) { return cidr.contains(*address); }))
      return error("spec.clusterIPs", fmt::format("{}: failed to allocate IP {}: the provided IP ({}) is not in the "
                                                  "valid range. The range of valid IPs is {}",
                                                  quoted_list(ips), ips[i], ips[i], list_of(ranges)));
    if (owner != allocator_.addresses_.end())
      error("spec.clusterIPs",
            fmt::format("{}: failed to allocate IP {}: provided IP is already allocated", quoted_list(ips), ips[i]));
  }

  void allocate_node_ports() {
    if (!wants_node_ports(service_)) return drop_node_ports();
    std::set<uint16_t> taken;
    std::map<int64_t, std::set<std::string>> asked;  // node port -> protocols in this Service
    each_port(service_, [&](json::object& port, size_t i) {
      const int64_t number = number_at(port, "nodePort");
      if (number == 0) return;
      check_node_port(number, fmt::format("spec.ports[{}].nodePort", i));
      if (!asked[number].insert(protocol_of(port)).second)
        errors_.push_back(field_error("Duplicate", fmt::format("spec.ports[{}].nodePort", i),
                                      fmt::format("Duplicate value: {}", number)));
      taken.insert(static_cast<uint16_t>(number));
    });
    if (!allocates_node_ports() || !errors_.empty()) return;
    std::map<int64_t, std::pair<uint16_t, std::set<std::string>>> by_port;  // one number may serve TCP and UDP
    each_port(service_, [&](json::object& port, size_t i) {
      const int64_t number = number_at(port, "port");
      auto& [shared, protocols] = by_port[number];
      if (int64_t given = number_at(port, "nodePort"); given != 0) {
        if (shared == 0) shared = static_cast<uint16_t>(given);
        protocols.insert(protocol_of(port));
        return;
      }
      if (shared != 0 && protocols.insert(protocol_of(port)).second) {
        port["nodePort"] = int64_t{shared};
        return;
      }
      const auto free = allocator_.free_port(taken);
      if (!free)
        return error(fmt::format("spec.ports[{}].nodePort", i), "0: failed to allocate a nodePort: range is full");
      taken.insert(*free);
      shared = *free;
      protocols.insert(protocol_of(port));
      port["nodePort"] = int64_t{*free};
    });
  }

  void check_node_port(int64_t number, std::string path) {
    const Ranges& ranges = allocator_.ranges_;
    if (number < ranges.first_node_port || number > ranges.last_node_port)
      return error(std::move(path),
                   fmt::format("{}: provided port is not in the valid range. The range of valid ports is {}-{}", number,
                               ranges.first_node_port, ranges.last_node_port));
    const auto owner = allocator_.ports_.find(static_cast<uint16_t>(number));
    if (owner != allocator_.ports_.end() && owner->second != key_)
      error(std::move(path), fmt::format("{}: provided port is already allocated", number));
  }

  // What the server gave under another type goes with the type; what the user asks for anew is left for validation.
  void drop_node_ports() {
    if (!old_) return;
    std::set<int64_t> before;
    if (const json::array* ports = array_at(*old_, "spec.ports"))
      for (const json::value& value : *ports)
        if (const auto* port = value.if_object()) before.insert(number_at(*port, "nodePort"));
    each_port(service_, [&](json::object& port, size_t) {
      if (before.contains(number_at(port, "nodePort"))) port.erase("nodePort");
    });
    if (service_type(service_) == "ClusterIP" && wants_node_ports(*old_) &&
        text_at(service_, "spec.externalTrafficPolicy") == text_at(*old_, "spec.externalTrafficPolicy") &&
        !has_entries(service_, "spec.externalIPs"))
      spec_.erase("externalTrafficPolicy");
    if (flag_at(service_, "spec.allocateLoadBalancerNodePorts", true) ==
        flag_at(*old_, "spec.allocateLoadBalancerNodePorts", true))
      spec_.erase("allocateLoadBalancerNodePorts");
  }

  // SVC-A8
  void allocate_health_port() {
    const int64_t given = number_at(service_, "spec.healthCheckNodePort");
    if (!wants_health_port(service_)) {
      if (old_ && given == number_at(*old_, "spec.healthCheckNodePort")) spec_.erase("healthCheckNodePort");
      return;
    }
    if (old_ && wants_health_port(*old_)) {
      const int64_t was = number_at(*old_, "spec.healthCheckNodePort");
      if (was != 0 && given != was)
        return error("spec.healthCheckNodePort", fmt::format("{}: field is immutable", given));
    }
    if (given != 0) return check_node_port(given, "spec.healthCheckNodePort");
    std::set<uint16_t> taken;
    each_port(service_,
              [&](json::object& port, size_t) { taken.insert(static_cast<uint16_t>(number_at(port, "nodePort"))); });
    const auto free = allocator_.free_port(taken);
    if (!free) return error("spec.healthCheckNodePort", "0: failed to allocate a nodePort: range is full");
    spec_["healthCheckNodePort"] = int64_t{*free};
  }

  const ServiceAllocator& allocator_;
  json::object& service_;
  json::object& spec_;
  const json::object* old_;
  k8s::NamespacedName key_;
  std::vector<k8s::FieldError> errors_;
};

std::vector<k8s::FieldError> ServiceAllocator::allocate(json::object& service, const json::object* old) const {
  return Filling(*this, service, old).run();
}

void ServiceAllocator::observe(const json::object& service) {
  const k8s::NamespacedName key = key_of(service);
  for (const std::string& text : texts_at(service, "spec.clusterIPs"))
    if (auto address = net::IpAddress::parse(text)) addresses_.emplace(*address, key);
  const auto take = [&](int64_t port) {
    if (port != 0) ports_.emplace(static_cast<uint16_t>(port), key);
  };
  if (const json::array* ports = array_at(service, "spec.ports"))
    for (const json::value& value : *ports)
      if (const auto* port = value.if_object()) take(number_at(*port, "nodePort"));
  take(number_at(service, "spec.healthCheckNodePort"));
}

void ServiceAllocator::forget(const json::object& service) {
  const k8s::NamespacedName key = key_of(service);
  for (const std::string& text : texts_at(service, "spec.clusterIPs"))
    if (auto address = net::IpAddress::parse(text))
      if (auto owner = addresses_.find(*address); owner != addresses_.end() && owner->second == key)
        addresses_.erase(owner);
  const auto give_back = [&](int64_t port) {
    if (auto owner = ports_.find(static_cast<uint16_t>(port)); owner != ports_.end() && owner->second == key)
      ports_.erase(owner);
  };
  if (const json::array* ports = array_at(service, "spec.ports"))
    for (const json::value& value : *ports)
      if (const auto* port = value.if_object()) give_back(number_at(*port, "nodePort"));
  give_back(number_at(service, "spec.healthCheckNodePort"));
}

}  // namespace carrick::apiserver
