#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "k8s/meta.h"
#include "net/ip.h"

namespace carrick::desired {

enum class Routing { kNative, kVxlan };

// hostPort as CNI gives it (capability portMappings).
struct PortMapping {
  uint16_t host_port = 0, container_port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  net::IpAddress host_ip;  // unspecified = every node address
  bool operator==(const PortMapping&) const = default;
};

// A sandbox that the CNI plugin has plumbed on this node: facts of the node, not of the API.
struct LocalPod {
  k8s::NamespacedName pod;  // empty when the runtime gave no Kubernetes arguments
  std::string uid, container_id;
  std::string host_link;  // name of the host end of its veth
  uint32_t ifindex = 0;   // of the host end, in the node's namespace
  net::MacAddress pod_mac, host_mac;
  std::vector<net::IpAddress> addresses;  // at most one of each family
  std::vector<PortMapping> port_mappings;
  bool operator==(const LocalPod&) const = default;
};

// What a node knows of itself. With a Snapshot it determines every table.
struct NodeView {
  std::string node_name;
  std::vector<net::IpAddress> addresses;  // InternalIPs, at most one of each family
  Routing routing = Routing::kNative;
  bool dsr = false;  // connections from outside are answered by the backend's node itself
  bool tunnels() const { return dsr || routing == Routing::kVxlan; }
  // The tunnel knows nodes by their IPv4 addresses.
  bool returns_directly() const {
    return dsr && std::ranges::any_of(addresses, [](const auto& own) { return own.is_v4(); });
  }
  std::map<std::string, LocalPod> pods;  // by container id
  // The agent's DNS server listens here, on lo of the node (one of each family that the cluster has).
  std::vector<net::IpAddress> dns_addresses;
  k8s::NamespacedName dns_service{"kube-system", "kube-dns"};  // its ClusterIPs lead to dns_addresses
  std::string cluster_domain = "cluster.local";
  bool external_ips = true;                // forward externalIPs of Services, which Kubernetes is giving up (KEP-5707)
  std::vector<net::Prefix> service_cidrs;  // reverse DNS zones, and where unknown addresses are nobody's; may be empty
  bool reset_removed = false;              // connections to removed endpoints are ended: see FrontendRow::unchosen
  bool operator==(const NodeView&) const = default;
};

// Link-local address of the node's own DNS server (the one node-local DNS has everywhere) and its ULA twin.
inline constexpr const char* kNodeDnsV4 = "169.254.20.10";
inline constexpr const char* kNodeDnsV6 = "fd00:ca22:1c::10";
// Next hop of every pod's default route, answered by a permanent neighbour entry.
inline constexpr const char* kPodGatewayV4 = "169.254.1.1";
inline constexpr const char* kPodGatewayV6 = "fe80::1";

}  // namespace carrick::desired
