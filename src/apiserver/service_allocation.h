#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "apiserver/status.h"
#include "net/ip.h"

namespace carrick::apiserver {

inline constexpr const char* kDefaultServiceCidr = "kubernetes";  // made of the ranges of the start
std::vector<net::Prefix> cidrs_of(const k8s::json::object& service_cidr);

// Which ClusterIPs and node ports are taken, and what a Service gets (SVC-A3..A9). observe() and forget() follow what
// is stored; allocate() only fills the document: a write that fails afterwards has taken nothing.
class ServiceAllocator {
 public:
  struct Ranges {
    std::vector<net::Prefix> cidrs;  // one for each family of the cluster, the primary family first
    uint16_t first_node_port = 30000, last_node_port = 32767;
  };
  // `random(n)` gives a number below n.
  ServiceAllocator(Ranges ranges, std::function<uint64_t(uint64_t)> random);

  // Fills ipFamilyPolicy, ipFamilies, clusterIP(s), nodePorts and healthCheckNodePort of a defaulted Service; `old` is
  // the stored one on update, else null. Errors are findings for a 422.
  std::vector<k8s::FieldError> allocate(k8s::json::object& service, const k8s::json::object* old) const;

  void observe(const k8s::json::object& service);
  void forget(const k8s::json::object& service);

  // SVC-A13 (service_ranges.cc): ServiceCIDR and IPAddress objects. A range that is being deleted gives no address.
  void observe_range(const k8s::json::object& service_cidr);
  void forget_range(const std::string& name);
  void observe_address(const k8s::json::object& address);
  void forget_address(const k8s::json::object& address);

  static uint64_t address_band(uint64_t size);  // SVC-A3: static users take offsets below it
  static uint64_t port_band(uint64_t size);     // SVC-A4

 private:
  class Filling;
  std::optional<net::IpAddress> free_address(const net::Prefix& cidr) const;
  std::optional<uint16_t> free_port(const std::set<uint16_t>& also_taken) const;

  static std::string family_of(const net::Prefix& cidr);
  std::vector<net::Prefix> open_ranges(std::string_view family) const;  // those of the start first

  struct Range {
    std::vector<net::Prefix> cidrs;
    bool open = true;
  };
  Ranges ranges_;
  std::map<std::string, Range> objects_;  // ServiceCIDRs by name
  std::function<uint64_t(uint64_t)> random_;
  std::map<net::IpAddress, k8s::NamespacedName> addresses_;
  std::map<uint16_t, k8s::NamespacedName> ports_;
};

}  // namespace carrick::apiserver
