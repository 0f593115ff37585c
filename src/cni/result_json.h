#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The result of ADD in the shape of every version of the CNI (spec/cni.md 1.4).
namespace carrick::cni {

struct ResultInterface {
  std::string name, mac;
  uint32_t mtu = 0;
  std::string sandbox;  // empty = on the host
};
struct ResultIp {
  std::string address;  // with prefix length
  std::string gateway;
  size_t interface = 0;  // place in the list of interfaces
};
struct ResultRoute {
  std::string dst, gw;
};
struct AddResult {
  std::vector<ResultInterface> interfaces;
  std::vector<ResultIp> ips;
  std::vector<ResultRoute> routes;
};

// With the result of the plugins before us in the chain, which is passed on with ours behind it. `dns` (may be null) is
// the network configuration's own.
boost::json::object render(const AddResult& result, std::string_view version, const boost::json::object* previous,
                           const boost::json::value* dns);

}  // namespace carrick::cni
