#pragma once

#include <set>

#include "controllers/documents.h"
#include "net/ip.h"

namespace carrick::controllers {

// ClusterIPs and node ports for a plan: 10.96.1.0, 2001:db8:96::100 and 30086 upwards, in the order of creation, so
// that a plan can be repeated. What a Service asks for itself is reserved before anything is given away. (The API
// server's allocator chooses at random, SVC-A3; its results cannot be foretold, only their ranges.)
class PretendAllocation {
 public:
  PretendAllocation(bool ipv4, bool ipv6);
  void reserve(const json::object& service);
  // Fills ipFamilyPolicy, ipFamilies, clusterIP(s) and nodePorts.
  Result<void> allocate(json::object& service);

 private:
  Result<json::array> families(const json::object& spec) const;
  net::IpAddress next_address(bool v4);
  int64_t next_port();
  Result<void> allocate_ports(json::object& spec);

  std::vector<std::string> cluster_families_;
  std::set<net::IpAddress> reserved_, taken_;
  std::set<int64_t> ports_;
  net::IpAddress next_v4_, next_v6_;
  int64_t next_port_ = 30086;
};

}  // namespace carrick::controllers
