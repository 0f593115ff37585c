#include "controllers/endpoints/mirroring.h"

#include "controllers/endpoints/slice_writer.h"
#include "net/ip.h"

namespace carrick::controllers {

namespace {

const k8s::ResourceType& endpoints_type() { return *k8s::find_by_kind("v1", "Endpoints"); }

bool wants_mirror(const json::object& endpoints) {
  return text_at(endpoints, {"metadata", "labels", "endpointslice.kubernetes.io/skip-mirror"}) != "true" &&
         !value_at(endpoints, {"metadata", "annotations", "control-plane.alpha.kubernetes.io/leader"});
}

std::vector<k8s::EndpointPort> ports_of(const json::object& subset) {
  std::vector<k8s::EndpointPort> ports;
  const auto* from = array_at(subset, {"ports"});
  if (!from) return ports;
  for (const auto& port : *from) {
    if (!port.is_object()) continue;
    const auto& entry = port.get_object();
    const auto protocol = text_at(entry, {"protocol"});
    k8s::EndpointPort out{std::string(text_at(entry, {"name"})), std::string(protocol.empty() ? "TCP" : protocol),
                          std::nullopt, std::nullopt};
    if (entry.contains("appProtocol")) out.appProtocol = std::string(text_at(entry, {"appProtocol"}));
    if (const auto number = number_at(entry, {"port"})) out.port = static_cast<int32_t>(*number);
    ports.push_back(std::move(out));
  }
  return ports;
}

void append(const json::object& subset, const char* field, bool ready, std::map<std::string, EndpointGroup>& by_type) {
  const auto* addresses = array_at(subset, {field});
  if (!addresses) return;
  for (const auto& address : *addresses) {
    if (!address.is_object()) continue;
    const auto& entry = address.get_object();
    const auto ip = net::IpAddress::parse(text_at(entry, {"ip"}));
    if (!ip) continue;
    k8s::Endpoint endpoint;
    endpoint.addresses.push_back(ip->str());
    endpoint.conditions.ready = ready;
    if (const auto hostname = text_at(entry, {"hostname"}); !hostname.empty())
      endpoint.hostname = std::string(hostname);
    if (const auto node = text_at(entry, {"nodeName"}); !node.empty()) endpoint.nodeName = std::string(node);
    if (const auto* target = object_at(entry, {"targetRef"})) {
      auto text = [&](const char* key) { return std::string(text_at(*target, {key})); };
      endpoint.targetRef =
          k8s::ObjectReference{text("kind"), text("namespace"), text("name"), text("uid"), text("apiVersion")};
    }
    by_type[ip->is_v4() ? "IPv4" : "IPv6"].endpoints.push_back(std::move(endpoint));
  }
}

std::vector<EndpointGroup> groups_of(const json::object& endpoints) {
  std::vector<EndpointGroup> groups;
  const auto* subsets = array_at(endpoints, {"subsets"});
  if (!subsets) return groups;
  for (const auto& subset : *subsets) {
    if (!subset.is_object()) continue;
    std::map<std::string, EndpointGroup> by_type;
    append(subset.get_object(), "addresses", true, by_type);
    append(subset.get_object(), "notReadyAddresses", false, by_type);
    for (auto& [type, group] : by_type) {
      group.address_type = type;
      group.ports = ports_of(subset.get_object());
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

k8s::StringMap text_map(const json::object& document, const char* field) {
  k8s::StringMap out;
  if (const auto* from = object_at(document, {"metadata", field})) {
    for (const auto& pair : *from) {
      if (pair.value().is_string()) out[std::string(pair.key())] = std::string(pair.value().get_string());
    }
  }
  return out;
}

SliceOwner slice_owner(const json::object& endpoints, const k8s::NamespacedName& key) {
  SliceOwner owner;
  owner.service = key;
  owner.name_prefix = key.name + "-";
  owner.labels = text_map(endpoints, "labels");
  owner.labels[k8s::kServiceNameLabel] = key.name;
  owner.labels[kManagedByLabel] = kMirrorController;
  owner.annotations = text_map(endpoints, "annotations");
  owner.annotations.erase("kubectl.kubernetes.io/last-applied-configuration");
  k8s::ObjectMeta metadata;
  metadata.name = key.name;
  metadata.uid = std::string(text_at(endpoints, {"metadata", "uid"}));
  owner.owner_reference = owner_reference(endpoints_type(), metadata);
  owner.max_endpoints = 1000;  // one subset, one slice: as kube-controller-manager's default
  return owner;
}

}  // namespace

void MirroringController::observe(const Change& change) {
  if (change.type == &endpoints_type() || change.is<k8s::Service>()) queue.add(change.key);
  if (writing_) return;
  for (const auto* slice : {change.was<k8s::EndpointSlice>(), change.becomes<k8s::EndpointSlice>()}) {
    if (!slice) continue;
    const auto& labels = slice->metadata.labels;
    const auto by = labels.find(kManagedByLabel);
    const auto service = labels.find(k8s::kServiceNameLabel);
    if (by != labels.end() && by->second == kMirrorController && service != labels.end()) {
      queue.add({slice->metadata.namespace_, service->second});
    }
  }
}

Result<void> MirroringController::reconcile(const k8s::NamespacedName& key) {
  const auto* service = mirror().find<k8s::Service>(key);
  const Document endpoints = cluster().get(endpoints_type(), key);
  const bool mirrored = service && endpoints && (*service)->spec.selector.empty() && wants_mirror(*endpoints) &&
                        !value_at(*endpoints, {"metadata", "deletionTimestamp"});
  std::vector<Stored<k8s::EndpointSlice>> existing;
  for (const auto& name : mirror().slices_of(key)) {
    const auto* slice = mirror().find<k8s::EndpointSlice>(name);
    const auto by = (*slice)->metadata.labels.find(kManagedByLabel);
    if (by != (*slice)->metadata.labels.end() && by->second == kMirrorController) existing.push_back(*slice);
  }
  if (!mirrored && existing.empty()) return {};
  writing_ = true;
  auto written = write_slices(desk_, mirrored ? slice_owner(*endpoints, key) : SliceOwner{}, std::move(existing),
                              mirrored ? groups_of(*endpoints) : std::vector<EndpointGroup>{}, {});
  writing_ = false;
  return written;
}

}  // namespace carrick::controllers
