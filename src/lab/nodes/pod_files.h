#pragma once

#include "k8s/core.h"
#include "lab/config.h"
#include "lab/nodes/sandbox.h"

namespace carrick::lab {

// resolv.conf and hosts of a pod, in its folder. `cluster_dns`: ClusterIPs of kube-system/kube-dns.
Result<void> write_pod_files(const LabPaths& paths, const LabConfig& config, const Sandbox& sandbox,
                             const k8s::Pod& pod, const std::vector<net::IpAddress>& cluster_dns);

}  // namespace carrick::lab
