#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "k8s/core.h"
#include "lab/config.h"
#include "lab/host/paths.h"
#include "lab/responder/responder.h"

namespace carrick::lab {

// The network side of one pod on its node, as containerd's pod sandbox. Its folder paths.pod(...) holds `sandbox.json`,
// the bind mount `netns`, and what its processes see as resolv.conf and hosts: enough for a new lab-nodes to go on, and
// for `lab exec` and `probe`.
struct Sandbox {
  k8s::NamespacedName pod;
  std::string uid, node;
  std::string container_id;  // 64 hexadecimal digits, from the uid: a repeated start finds what an interrupted one left
  std::string netns;         // path inside the lab
  std::string hostname;
  bool host_network = false;
  bool plumbed = false;                 // ADD has succeeded; false after a kill in between: then DEL comes first
  std::vector<std::string> addresses;   // status.podIPs
  std::vector<std::string> containers;  // names of spec.containers, then of spec.initContainers
  std::string started_at;
  std::string folder;  // where it was loaded from; not stored
};

// Where the pod's processes are: below its node's, so that socket programs of the node apply to them.
std::string pod_cgroup(const LabConfig& config, const Sandbox& sandbox);
std::string container_id_of(const std::string& pod_uid);
Result<void> save_sandbox(const LabPaths& paths, const Sandbox& sandbox);
Result<Sandbox> load_sandbox(const std::string& folder);
std::vector<Sandbox> load_sandboxes(const LabPaths& paths);

}  // namespace carrick::lab
