#include "desired/object_facts.h"
#include "desired/pods/local_pods.h"

namespace carrick::desired {

const k8s::Pod* object_of(const LocalPod& local, const k8s::Snapshot& snapshot) {
  auto found = snapshot.pods.find(local.pod);
  if (found == snapshot.pods.end()) return nullptr;
  const auto& uid = found->second->metadata.uid;
  if (!local.uid.empty() && !uid.empty() && local.uid != uid) return nullptr;
  return found->second.get();
}

std::set<Identity> subjects_of_node(const k8s::Snapshot& snapshot, const NodeView& node,
                                    const IdentityTable& identities) {
  std::set<Identity> out{kThisNodeIdentity};
  for (const auto& [key, pod] : snapshot.pods) {
    if (pod->spec.nodeName != node.node_name) continue;
    if (auto id = identities.find(key); id != identities.end()) out.insert(id->second);
  }
  for (const auto& [container, local] : node.pods)
    if (object_of(local, snapshot))
      if (auto id = identities.find(local.pod); id != identities.end()) out.insert(id->second);
  return out;
}

PodTable compile_pods(const k8s::Snapshot& snapshot, const NodeView& node, const IdentityTable& identities,
                      const PolicyTable& policy) {
  PodTable out;
  for (const auto& [container, local] : node.pods) {
    PodRow row;
    row.addresses = local.addresses;
    row.pod_mac = local.pod_mac;
    row.host_mac = local.host_mac;
    row.host_link = local.host_link;
    row.owner = {"Pod", local.pod.namespace_, local.pod.name, {}};
    // Without Kubernetes arguments (cnitool, other runtimes) no policy can mean it: open, like a pod no policy selects.
    if (!local.pod.name.empty()) {
      auto id = identities.find(local.pod);
      row.blocked = !object_of(local, snapshot) || id == identities.end();  // NP-17
      if (!row.blocked) {
        row.identity = id->second;
        row.ingress_isolated = policy.ingress_isolated_by.contains(id->second);
        row.egress_isolated = policy.egress_isolated_by.contains(id->second);
        row.ingress_tiered = policy.ingress_tiered.contains(id->second);
        row.egress_tiered = policy.egress_tiered.contains(id->second);
      }
    } else {
      row.owner.name = container;
    }
    out.emplace(local.ifindex, std::move(row));
  }
  return out;
}

}  // namespace carrick::desired
