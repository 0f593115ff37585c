#include "controllers/endpoints/legacy_endpoints.h"

#include <algorithm>

#include "controllers/endpoints/service_endpoints.h"
#include "controllers/workloads/pods.h"

namespace carrick::controllers {

namespace {

constexpr const char* kManagedBy = "endpoints.kubernetes.io/managed-by";
constexpr size_t kMaxAddresses = 1000;  // of one Endpoints object; more are left out and the object says so
constexpr const char* kOverCapacity = "endpoints.kubernetes.io/over-capacity";

const k8s::ResourceType& endpoints_type() { return *k8s::find_by_kind("v1", "Endpoints"); }

json::array ports_of(const std::vector<k8s::EndpointPort>& ports) {
  json::array out;
  for (const auto& port : ports) {
    json::object entry{{"port", *port.port}, {"protocol", *port.protocol}};
    if (!port.name.value_or("").empty()) entry["name"] = *port.name;
    if (port.appProtocol) entry["appProtocol"] = *port.appProtocol;
    out.push_back(std::move(entry));
  }
  return out;
}

json::object address_entry(const k8s::Service& service, const k8s::Pod& pod, const std::string& ip) {
  json::object entry{{"ip", ip},
                     {"targetRef",
                      {{"kind", "Pod"},
                       {"namespace", pod.metadata.namespace_},
                       {"name", pod.metadata.name},
                       {"uid", pod.metadata.uid}}}};
  if (!pod.spec.nodeName.empty()) entry["nodeName"] = pod.spec.nodeName;
  if (serves_by_name(service, pod)) entry["hostname"] = pod.spec.hostname;
  return entry;
}

struct Subset {
  std::map<std::string, json::object> ready, not_ready;  // by address
};

json::array values(const std::map<std::string, json::object>& addresses) {
  json::array out;
  for (const auto& [ip, entry] : addresses) out.push_back(entry);
  return out;
}

// By the ports' text: subsets of equal ports are one, in an order that does not depend on that of the pods.
json::array subsets_of(const Mirror& mirror, const k8s::Service& service, bool& truncated) {
  std::map<std::string, Subset> subsets;
  const auto family = address_types(service).front();
  size_t count = 0;
  for (const auto* pod : mirror.pods_selected(service.metadata.namespace_, service.spec.selector)) {
    if (!is_candidate(mirror, service, **pod)) continue;
    if (is_being_deleted(**pod) && !service.spec.publishNotReadyAddresses) continue;
    const auto ports = resolve_ports(service, **pod);
    if (ports.empty() && !service.spec.ports.empty()) continue;
    const auto ip = address_of(**pod, family);
    if (ip.empty()) continue;
    truncated = ++count > kMaxAddresses;
    if (truncated) break;
    auto& subset = subsets[json::serialize(ports_of(ports))];
    const bool ready = service.spec.publishNotReadyAddresses || is_ready(**pod);
    (ready ? subset.ready : subset.not_ready)[ip] = address_entry(service, **pod, ip);
  }
  json::array out;
  for (const auto& [ports, subset] : subsets) {
    json::object entry;
    if (!subset.ready.empty()) entry["addresses"] = values(subset.ready);
    if (!subset.not_ready.empty()) entry["notReadyAddresses"] = values(subset.not_ready);
    if (auto parsed = json::parse(ports); !parsed.as_array().empty()) entry["ports"] = std::move(parsed);
    out.push_back(std::move(entry));
  }
  return out;
}

}  // namespace

void LegacyEndpointsController::observe(const Change& change) {
  observe_for_services(index_, mirror(), change,
                       [this](const k8s::NamespacedName& service) { pacing_.note(queue, service); });
  if (!writing_ && change.type == &endpoints_type()) queue.add(change.key);
}

Result<void> LegacyEndpointsController::reconcile(const k8s::NamespacedName& key) {
  const auto* found = mirror().find<k8s::Service>(key);
  const Document old = cluster().get(endpoints_type(), key);
  const bool ours = old && text_at(*old, {"metadata", "labels", kManagedBy}) == "endpoint-controller";
  if (!found || !has_endpoints(**found)) {
    const bool gone = !found || (*found)->spec.type == "ExternalName";
    if (!gone || !ours) return {};
    const auto removed = cluster().remove(endpoints_type(), key);
    return removed || removed.error().kind == ErrorKind::kNotFound ? Result<void>{} : removed;
  }
  const k8s::Service& service = **found;
  pacing_.worked(key, mirror().pods_selected(key.namespace_, service.spec.selector).size());
  bool truncated = false;
  json::array subsets = subsets_of(mirror(), service, truncated);
  json::object endpoints = old ? *old : new_document(endpoints_type(), key.namespace_, key.name);
  if (subsets.empty())
    endpoints.erase("subsets");
  else
    endpoints["subsets"] = std::move(subsets);
  auto& metadata = child(endpoints, "metadata");
  metadata.erase("labels");
  set_labels(metadata, service.metadata.labels);
  auto& labels = child(metadata, "labels");
  labels[kManagedBy] = "endpoint-controller";
  if (is_headless(service)) labels[kHeadlessLabel] = "";
  if (truncated)
    child(metadata, "annotations")[kOverCapacity] = "truncated";
  else if (auto* annotations = metadata.if_contains("annotations"); annotations && annotations->is_object())
    annotations->get_object().erase(kOverCapacity);
  if (old && endpoints == *old) return {};
  writing_ = true;
  auto written = old ? cluster().update(endpoints_type(), std::move(endpoints))
                     : cluster().create(endpoints_type(), std::move(endpoints));
  writing_ = false;
  if (!written) return std::unexpected(written.error());
  return {};
}

}  // namespace carrick::controllers
