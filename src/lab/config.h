#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

// What a lab is made of: the answers to `lab up`'s flags, and the addresses that follow from them.
namespace carrick::lab {

enum class IpFamily { kDual, kIpv4, kIpv6 };

struct LabConfig {
  std::string name = "carrick";
  int nodes = 3;
  IpFamily family = IpFamily::kDual;
  bool vxlan = false;
  bool dsr = false;             // see agent::AgentOptions
  bool full_maps = false;       // as large as a real node's
  bool uplink_queue = false;    // see agent::AgentOptions
  bool reset_removed = false;   // the same
  std::string data_dir;         // empty: the API server's store lives and dies with the lab
  std::string kubeconfig_path;  // a copy for the user; empty = only the lab's own
  int api_port = 0;             // on 127.0.0.1 of the machine; 0 = any free one
  std::string cni_binary;       // path of carrick-cni on the machine
  std::string cgroup_mount;     // of cgroup v2
  // Images that are programs of the machine: name and absolute path.
  std::vector<std::pair<std::string, std::string>> images;

  bool has_v4() const { return family != IpFamily::kIpv6; }
  bool has_v6() const { return family != IpFamily::kIpv4; }
};

// kInvalid with a sentence when a name or a number is out of range.
Result<void> check_config(const LabConfig& config);
std::string encode_config(const LabConfig& config);
Result<LabConfig> decode_config(std::string_view text);

// Everything that belongs to one node of the lab; a pure function of its index (from 1).
struct NodePlan {
  int index = 0;
  std::string name;                        // "node1"
  std::string zone;                        // "z1" .. "z3"
  std::vector<net::IpAddress> addresses;   // InternalIPs, the primary family first
  std::vector<net::Prefix> pod_cidrs;      // same order
  std::string fabric_link;                 // the fabric's end of its uplink
  net::MacAddress uplink_mac, fabric_mac;  // derived, so neighbour entries can be permanent before anything talks
};
NodePlan plan_node(const LabConfig& config, int index);
std::vector<NodePlan> plan_nodes(const LabConfig& config);

// The fabric routes; one address of each family, the gateway of every node. The API server listens on it too.
inline constexpr const char* kFabricV4 = "192.0.2.1";
inline constexpr const char* kFabricV6 = "2001:db8:2::1";
inline constexpr int kApiPort = 6443;
// "The world": the address of its fabric end, a web server and a resolver.
inline constexpr const char* kOutsideGatewayV4 = "203.0.113.1";
inline constexpr const char* kOutsideGatewayV6 = "2001:db8:203::1";
inline constexpr const char* kOutsideWebV4 = "203.0.113.10";
inline constexpr const char* kOutsideWebV6 = "2001:db8:203::10";
inline constexpr const char* kOutsideResolverV4 = "203.0.113.53";
inline constexpr const char* kOutsideResolverV6 = "2001:db8:203::53";
inline constexpr const char* kPodNetV4 = "10.1.0.0/16";
inline constexpr const char* kPodNetV6 = "2001:db8:1::/48";
inline constexpr const char* kServiceNetV4 = "10.96.0.0/16";
inline constexpr const char* kServiceNetV6 = "2001:db8:96::/112";

std::vector<net::IpAddress> fabric_addresses(const LabConfig& config);
std::vector<net::IpAddress> web_addresses(const LabConfig& config);
std::vector<net::IpAddress> resolver_addresses(const LabConfig& config);

}  // namespace carrick::lab
