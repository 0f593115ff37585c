#include <algorithm>

#include "apiserver/document.h"
#include "apiserver/registry.h"

// SVC-A13: each address of a Service is an IPAddress object, made before the Service and gone after it, and each range
// they come from a ServiceCIDR object, which stays while an address needs it.
namespace carrick::apiserver {
namespace {

constexpr std::string_view kFinalizer = "networking.k8s.io/service-cidr-finalizer";
constexpr std::string_view kManagedBy = "ipaddress.kubernetes.io/managed-by";
constexpr std::string_view kAllocator = "ipallocator.k8s.io";

const k8s::ResourceType& services() { return *k8s::find_by_kind("v1", "Service"); }

std::vector<net::IpAddress> addresses_of(const json::object* service) {
  std::vector<net::IpAddress> out;
  if (const json::array* texts = service ? array_at(*service, "spec.clusterIPs") : nullptr)
    for (const json::value& value : *texts)
      if (const auto* text = value.if_string())
        if (auto address = net::IpAddress::parse(std::string_view(*text))) out.push_back(*address);
  return out;
}

bool belongs_to(const json::object& address, const k8s::NamespacedName& service) {
  return text_at(address, "spec.parentRef.resource") == "services" &&
         text_at(address, "spec.parentRef.group").empty() &&
         text_at(address, "spec.parentRef.namespace") == service.namespace_ &&
         text_at(address, "spec.parentRef.name") == service.name;
}

json::object address_object(const net::IpAddress& address, const k8s::NamespacedName& service) {
  json::object labels{{"ipaddress.kubernetes.io/ip-family", address.is_v4() ? "IPv4" : "IPv6"},
                      {kManagedBy, kAllocator}};
  json::object parent{{"resource", "services"}, {"namespace", service.namespace_}, {"name", service.name}};
  return {{"metadata", json::object{{"name", address.str()}, {"labels", std::move(labels)}}},
          {"spec", json::object{{"parentRef", std::move(parent)}}}};
}

bool covers(const json::object& range, const net::IpAddress& address) {
  return std::ranges::any_of(cidrs_of(range), [&](const net::Prefix& cidr) { return cidr.contains(address); });
}

void set_ready(json::object& range, bool ready, const std::string& now) {
  json::object condition{{"type", "Ready"}, {"status", ready ? "True" : "False"}, {"lastTransitionTime", now}};
  condition["reason"] = ready ? "" : "Terminating";
  condition["message"] = ready
                             ? "Kubernetes Service CIDR is ready"
                             : "There are still IPAddresses referencing the ServiceCIDR, please remove them or create "
                               "a new ServiceCIDR";
  child_object(range, "status")["conditions"] = json::array{std::move(condition)};
}

bool is_ready(const json::object& range) {
  const json::array* conditions = array_at(range, "status.conditions");
  return conditions && !conditions->empty() && conditions->front().is_object() &&
         text_at(conditions->front().get_object(), "status") == "True";
}

json::array without_ours(const json::object& range) {
  json::array out;
  if (const json::array* finalizers = array_at(range, "metadata.finalizers"))
    for (const json::value& value : *finalizers)
      if (!value.is_string() || value.get_string() != kFinalizer) out.push_back(value);
  return out;
}

}  // namespace

const k8s::ResourceType& Registry::ranges() { return *k8s::find_by_kind("networking.k8s.io/v1", "ServiceCIDR"); }
const k8s::ResourceType& Registry::addresses() { return *k8s::find_by_kind("networking.k8s.io/v1", "IPAddress"); }

void Registry::follow_addresses() {
  for (const auto& [key, record] : store_.objects(services())) allocator_.observe(record->document);
  for (const auto& [key, record] : store_.objects(ranges())) allocator_.observe_range(record->document);
  for (const auto& [key, record] : store_.objects(addresses())) allocator_.observe_address(record->document);
  store_.subscribe([this](const StoreEvent& event) {
    const bool gone = event.type == controllers::ObjectEvent::Type::kDeleted;
    if (event.resource == &services()) {
      if (event.previous) allocator_.forget(event.previous->document);
      if (!gone) allocator_.observe(event.object->document);
    } else if (event.resource == &addresses()) {
      if (event.previous) allocator_.forget_address(event.previous->document);
      if (!gone) allocator_.observe_address(event.object->document);
    } else if (event.resource == &ranges()) {
      if (gone)
        allocator_.forget_range(key_of(event.object->document).name);
      else
        allocator_.observe_range(event.object->document);
    }
  });
}

void Registry::prepare_new_range(json::object& range) const {
  json::array finalizers = without_ours(range);
  finalizers.emplace_back(kFinalizer);
  metadata_of(range)["finalizers"] = std::move(finalizers);
  set_ready(range, true, timestamp());
}

StatusOr<> Registry::have_address_objects() {
  if (!store_.get(ranges(), {"", kDefaultServiceCidr})) {
    json::array cidrs;
    for (const net::Prefix& cidr : options_.service_ranges.cidrs) cidrs.emplace_back(cidr.str());
    json::object range{{"metadata", json::object{{"name", kDefaultServiceCidr}}},
                       {"spec", json::object{{"cidrs", std::move(cidrs)}}}};
    if (auto made = create(ranges(), "", std::move(range)); !made) return std::unexpected(made.error());
  }
  for (const Record& service : store_.list(services()))
    if (auto held = hold_addresses(service->document); !held) return held;
  return {};
}

StatusOr<> Registry::hold_addresses(const json::object& service) {
  const k8s::NamespacedName key = key_of(service);
  for (const net::IpAddress& address : addresses_of(&service)) {
    if (store_.get(addresses(), {"", address.str()})) continue;
    if (auto made = create(addresses(), "", address_object(address, key)); !made) return std::unexpected(made.error());
  }
  return {};
}

StatusOr<> Registry::let_go_of_addresses(const json::object& before, const json::object* now) {
  const auto kept = addresses_of(now);
  for (const net::IpAddress& address : addresses_of(&before)) {
    if (std::ranges::find(kept, address) != kept.end()) continue;
    const k8s::NamespacedName name{"", address.str()};
    const Record object = store_.get(addresses(), name);
    if (!object || !belongs_to(object->document, key_of(before))) continue;
    if (auto gone = store_.erase(addresses(), name, object->document); !gone)
      return std::unexpected(from_error(gone.error()));
  }
  return release_ranges();
}

// A Service still has it: what was removed by hand is there again.
StatusOr<> Registry::address_went(const json::object& address) {
  const k8s::NamespacedName parent{std::string(text_at(address, "spec.parentRef.namespace")),
                                   std::string(text_at(address, "spec.parentRef.name"))};
  if (belongs_to(address, parent))
    if (const Record service = store_.get(services(), parent))
      if (auto held = hold_addresses(service->document); !held) return held;
  return release_ranges();
}

bool Registry::is_needed(const json::object& range) const {
  std::vector<const json::object*> others;
  for (const auto& [key, other] : store_.objects(ranges()))
    if (!is_terminating(other->document)) others.push_back(&other->document);
  for (const auto& [key, object] : store_.objects(addresses())) {
    const auto address = net::IpAddress::parse(key.name);
    if (!address || !covers(range, *address)) continue;
    const json::object* labels = object_at(object->document, "metadata.labels");
    const json::value* manager = labels ? labels->if_contains(kManagedBy) : nullptr;
    if (!manager || !manager->is_string() || manager->get_string() != kAllocator) continue;
    if (std::ranges::none_of(others, [&](const json::object* other) { return covers(*other, *address); })) return true;
  }
  return false;
}

StatusOr<> Registry::release_ranges() {
  std::vector<k8s::NamespacedName> leaving;
  for (const auto& [key, range] : store_.objects(ranges()))
    if (is_terminating(range->document)) leaving.push_back(key);
  for (const k8s::NamespacedName& key : leaving) {
    const Record range = store_.get(ranges(), key);
    if (!range || !is_terminating(range->document)) continue;  // one that went made another go
    json::object document = range->document;
    const bool needed = is_needed(document);
    if (needed) {
      if (is_ready(document)) set_ready(document, false, timestamp());
    } else if (json::array others = without_ours(document); others.empty()) {
      metadata_of(document).erase("finalizers");
    } else {
      metadata_of(document)["finalizers"] = std::move(others);
    }
    if (document == range->document) continue;
    if (!has_entries(document, "metadata.finalizers")) {
      if (auto gone = erase(ranges(), key, std::move(document), false); !gone) return std::unexpected(gone.error());
    } else if (auto changed = store_.put(ranges(), key, std::move(document)); !changed) {
      return std::unexpected(from_error(changed.error()));
    }
  }
  return {};
}

StatusOr<> Registry::after_write(const k8s::ResourceType& type, const json::object* before, const json::object* now) {
  if (&type == &services()) return before ? let_go_of_addresses(*before, now) : StatusOr<>{};
  if (&type == &addresses() && !now) return address_went(*before);
  if (&type != &ranges()) return {};
  if (!now && key_of(*before).name == kDefaultServiceCidr) return have_address_objects();
  return release_ranges();
}

}  // namespace carrick::apiserver
