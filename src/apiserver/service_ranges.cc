#include <algorithm>

#include "apiserver/document.h"
#include "apiserver/service_allocation.h"

// SVC-A13: which ranges addresses of Services are given from, and addresses that IPAddress objects hold.
namespace carrick::apiserver {
namespace {

k8s::NamespacedName holder_of(const json::object& address) {
  if (text_at(address, "spec.parentRef.resource") == "services" && text_at(address, "spec.parentRef.group").empty())
    return {std::string(text_at(address, "spec.parentRef.namespace")),
            std::string(text_at(address, "spec.parentRef.name"))};
  return {"", "IPAddress " + std::string(text_at(address, "metadata.name"))};  // nobody's key: no Service may have it
}

}  // namespace

std::string ServiceAllocator::family_of(const net::Prefix& cidr) { return cidr.is_v4() ? "IPv4" : "IPv6"; }

std::vector<net::Prefix> ServiceAllocator::open_ranges(std::string_view family) const {
  std::vector<net::Prefix> out;
  const auto add = [&](const std::vector<net::Prefix>& cidrs) {
    for (const net::Prefix& cidr : cidrs)
      if (family_of(cidr) == family && std::ranges::find(out, cidr) == out.end()) out.push_back(cidr);
  };
  const auto first = objects_.find(kDefaultServiceCidr);
  if (first == objects_.end() || first->second.open) add(ranges_.cidrs);
  for (const auto& [name, range] : objects_)
    if (range.open) add(range.cidrs);
  return out;
}

void ServiceAllocator::observe_range(const json::object& service_cidr) {
  Range range{.cidrs = cidrs_of(service_cidr), .open = !is_terminating(service_cidr)};
  objects_.insert_or_assign(key_of(service_cidr).name, std::move(range));
}

void ServiceAllocator::forget_range(const std::string& name) { objects_.erase(name); }

void ServiceAllocator::observe_address(const json::object& address) {
  if (auto ip = net::IpAddress::parse(text_at(address, "metadata.name"))) addresses_.emplace(*ip, holder_of(address));
}

void ServiceAllocator::forget_address(const json::object& address) {
  const auto ip = net::IpAddress::parse(text_at(address, "metadata.name"));
  if (!ip) return;
  if (auto owner = addresses_.find(*ip); owner != addresses_.end() && owner->second == holder_of(address))
    addresses_.erase(owner);
}

std::vector<net::Prefix> cidrs_of(const json::object& service_cidr) {
  std::vector<net::Prefix> out;
  if (const json::array* texts = array_at(service_cidr, "spec.cidrs"))
    for (const json::value& value : *texts)
      if (const auto* text = value.if_string())
        if (auto cidr = net::Prefix::parse(std::string_view(*text))) out.push_back(*cidr);
  return out;
}

}  // namespace carrick::apiserver
