#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::dns {

// resolv.conf(5), as far as Kubernetes cares.
struct ResolvConf {
  std::vector<std::string> nameservers;  // IP addresses
  std::vector<std::string> searches;
  std::vector<std::string> options;  // "ndots:5", "edns0"
  bool operator==(const ResolvConf&) const = default;

  int ndots() const;  // 1 unless an option says otherwise
  std::string str() const;
};

// Unknown lines and comments are skipped; of several search lines the last one counts, as in glibc.
ResolvConf parse_resolv_conf(std::string_view text);

// The parts of a Pod that its resolv.conf follows from.
struct PodDns {
  std::string namespace_;
  std::string policy = "ClusterFirst";  // spec.dnsPolicy
  bool host_network = false;
  std::vector<std::string> nameservers, searches;                           // spec.dnsConfig
  std::vector<std::pair<std::string, std::optional<std::string>>> options;  // spec.dnsConfig.options: name, value
};

struct PodResolvConf {
  ResolvConf conf;
  std::vector<std::string> warnings;  // what the limits cut off, as kubelet says in Events
};

// DNS-C1, DNS-C2; the behaviour of kubelet, with its limits: 3 nameservers, 32 search paths of 2048 characters in all.
// `cluster_dns`: the ClusterIPs of the DNS Service. Without one, ClusterFirst falls back to Default with a warning.
// kInvalid: unknown policy, or None without a nameserver.
Result<PodResolvConf> pod_resolv_conf(const PodDns& pod, const std::vector<net::IpAddress>& cluster_dns,
                                      std::string_view zone, const ResolvConf& node);

// Port 53 of each nameserver that is an address.
std::vector<net::SocketAddress> upstreams_of(const ResolvConf& conf);

// The names that a stub resolver tries for `name`, in order (glibc: as is first from ndots dots on, or when it ends in
// a dot).
std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view name);

}  // namespace carrick::dns
