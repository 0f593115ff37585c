#pragma once

#include <set>

#include "base/shared_map.h"
#include "k8s/cluster_policy.h"
#include "k8s/core.h"
#include "k8s/discovery.h"
#include "k8s/networking.h"

namespace carrick::k8s {

template <class T>
using ObjectMap = SharedMap<NamespacedName, std::shared_ptr<const T>>;

// What the network looks at, at one moment. Immutable once published; successive snapshots share what did not change,
// so a copy costs nothing.
struct Snapshot {
  uint64_t revision = 0;  // grows by one with each published snapshot of one watcher
  ObjectMap<Namespace> namespaces;
  ObjectMap<Node> nodes;
  ObjectMap<Pod> pods;
  ObjectMap<Service> services;
  ObjectMap<EndpointSlice> endpointslices;
  ObjectMap<NetworkPolicy> networkpolicies;
  ObjectMap<ClusterNetworkPolicy> clusternetworkpolicies;
  bool synced = false;  // every needed watch has delivered its first list: only then may anything be pruned
};

// A number that two snapshots share when they hold the same of the same objects: whether somebody else has seen what
// one has seen oneself. An agent's snapshot holds less of each (watch::for_tables).
uint64_t digest(const Snapshot& snapshot);

// What differs between two snapshots. A consumer that missed one treats it as `everything`.
struct ChangeSet {
  bool everything = false;
  std::set<NamespacedName> namespaces, nodes, pods, services, endpointslices, networkpolicies, clusternetworkpolicies;
  bool empty() const;
  void merge(const ChangeSet& later);
};

}  // namespace carrick::k8s
