#pragma once

#include "controllers/cluster.h"
#include "k8s/objects.h"
#include "k8s/snapshot.h"

// What a cluster would make of manifests: the same controllers, a cluster in memory, a pretend kubelet. PURE: no files,
// no network, no clock; equal manifests give equal plans.
namespace carrick::controllers {

struct PlanOptions {
  int nodes = 3;  // "node1".. as the lab names them, InternalIPs 192.0.2.(10+i) and 2001:db8:2::(10+i)
  bool ipv4 = true, ipv6 = true;
};

struct Plan {
  // Where an object of the snapshot came from. Objects that controllers made are not in here.
  struct Source {
    std::string file;
    int line = 0;
    std::map<std::string, int> lines;  // field path -> line
  };
  k8s::Snapshot snapshot;                                                 // synced
  std::map<std::pair<std::string, k8s::NamespacedName>, Source> sources;  // (kind, name)
  std::map<std::string, int> ignored;        // "example.com/v1 Widget" -> how many: kinds Carrick has no use for
  std::vector<std::string> made_namespaces;  // used by the manifests, but made by none of them
  std::vector<std::string> problems;         // what does not come up, one sentence each (a pod that fits no node)
};

// kInvalid for objects that the API server would refuse, each in a line "file:line: sentence".
Result<Plan> make_plan(const std::vector<k8s::ManifestObject>& objects, const PlanOptions& options = {});

// Every object the network looks at, decoded. Objects that cannot be decoded are left out (and logged).
k8s::Snapshot snapshot_of(const Cluster& cluster, uint64_t revision = 1);

}  // namespace carrick::controllers
