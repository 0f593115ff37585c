#pragma once

#include <optional>
#include <string>
#include <vector>

#include "desired/node_view.h"
#include "realize/realize.h"

// agent: one node of a cluster, assembled. wiring.cc has every arrow; there is no algorithm here.
namespace carrick::agent {

struct AgentOptions {
  std::string node_name;
  std::string kubeconfig;
  std::string state_dir = "/run/carrick";     // addresses given out, attachments (0700)
  std::string bpffs = "/sys/fs/bpf/carrick";  // maps, programs and links are pinned here
  std::string cgroup;                         // cgroup v2 folder of the node's tasks; empty = no socket hooks
  std::string cni_socket = "/run/carrick/cni.sock";
  std::string cni_conf_dir;   // where the conflist goes once pods can be served; empty = nowhere
  std::string uplink;         // empty = the link towards the API server
  bool uplink_queue = false;  // send through the uplink's own queue even where its other end could take packets at once
  desired::Routing routing = desired::Routing::kNative;
  bool dsr = false;            // direct server return; see desired::NodeView
  bool reset_removed = false;  // end connections to endpoints that are removed (docs/adr/0015); kube-proxy keeps them
  std::vector<net::SocketAddress> upstream_dns;  // for names outside the cluster
  std::string cluster_domain = "cluster.local";
  bool autopath = true;                          // dns::DnsOptions
  std::string resolv_conf = "/etc/resolv.conf";  // the node's, whose search path pods inherit; empty = none
  std::vector<net::Prefix> service_cidrs;        // reverse DNS zones
  bool external_ips = true;                      // forward externalIPs of Services
  uint16_t health_port = 10256;                  // /healthz and /livez, as kube-proxy's; 0 = nowhere
  std::optional<net::SocketAddress> metrics;     // where /metrics is served by HTTP, too
  bool small_maps = false;                       // a node of a lab: few connections, many nodes on one machine
};

// Runs until SIGTERM or SIGINT; pods, maps and programs stay as they are then. In the calling process's network
// namespace. kUnsupported: the kernel lacks something (its name is in the sentence).
Result<void> run(const AgentOptions& options);

}  // namespace carrick::agent
