#include "controllers/lifecycle/orphan_addresses.h"

#include <algorithm>

namespace carrick::controllers {
namespace {

constexpr std::chrono::seconds kPatience(60);

const k8s::ResourceType& addresses_type() {
  static const k8s::ResourceType& type = *k8s::find_by_kind("networking.k8s.io/v1", "IPAddress");
  return type;
}

bool has_address(const json::object& service, std::string_view address) {
  const auto* spec = service.if_contains("spec");
  const auto* list = spec && spec->is_object() ? spec->get_object().if_contains("clusterIPs") : nullptr;
  return list && list->is_array() && std::ranges::any_of(list->get_array(), [&](const json::value& value) {
           return value.is_string() && value.get_string() == address;
         });
}

}  // namespace

void OrphanAddresses::observe(const Change& change) {
  if (change.type == &addresses_type() && change.now) queue.add_at(change.key, now() + kPatience);
}

Result<void> OrphanAddresses::reconcile(const k8s::NamespacedName& key) {
  const Document address = cluster().get(addresses_type(), key);
  if (!address || text_at(*address, {"spec", "parentRef", "resource"}) != "services" ||
      !text_at(*address, {"spec", "parentRef", "group"}).empty())
    return {};
  const k8s::NamespacedName parent{std::string(text_at(*address, {"spec", "parentRef", "namespace"})),
                                   std::string(text_at(*address, {"spec", "parentRef", "name"}))};
  const Document service = cluster().get(k8s::resource<k8s::Service>(), parent);
  if (service && has_address(*service, key.name)) return {};
  const auto made = parse_timestamp(text_at(*address, {"metadata", "creationTimestamp"}));
  if (made && *made + kPatience > now()) {
    queue.add_at(key, *made + kPatience);
    return {};
  }
  auto removed = cluster().remove(addresses_type(), key);
  if (!removed && removed.error().kind != ErrorKind::kNotFound) return removed;
  return {};
}

}  // namespace carrick::controllers
