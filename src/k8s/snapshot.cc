#include "k8s/snapshot.h"

#include "k8s/codec.h"
#include "net/ip.h"

namespace carrick::k8s {

namespace {
template <class T>
void add(std::string& text, std::string_view kind, const ObjectMap<T>& objects) {
  for (const auto& [key, object] : objects)
    text.append(kind).append("/").append(key.str()).append("=").append(json::serialize(encode(*object))).append("\n");
}
}  // namespace

uint64_t digest(const Snapshot& snapshot) {
  std::string text;
  add(text, "namespace", snapshot.namespaces);
  add(text, "node", snapshot.nodes);
  add(text, "pod", snapshot.pods);
  add(text, "service", snapshot.services);
  add(text, "slice", snapshot.endpointslices);
  add(text, "policy", snapshot.networkpolicies);
  add(text, "clusterpolicy", snapshot.clusternetworkpolicies);
  return net::stable_hash(text);
}

bool ChangeSet::empty() const {
  return !everything && namespaces.empty() && nodes.empty() && pods.empty() && services.empty() &&
         endpointslices.empty() && networkpolicies.empty() && clusternetworkpolicies.empty();
}

void ChangeSet::merge(const ChangeSet& later) {
  everything |= later.everything;
  namespaces.insert(later.namespaces.begin(), later.namespaces.end());
  nodes.insert(later.nodes.begin(), later.nodes.end());
  pods.insert(later.pods.begin(), later.pods.end());
  services.insert(later.services.begin(), later.services.end());
  endpointslices.insert(later.endpointslices.begin(), later.endpointslices.end());
  networkpolicies.insert(later.networkpolicies.begin(), later.networkpolicies.end());
  clusternetworkpolicies.insert(later.clusternetworkpolicies.begin(), later.clusternetworkpolicies.end());
}

}  // namespace carrick::k8s
