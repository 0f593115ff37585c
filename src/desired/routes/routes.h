#pragma once

#include <map>

#include "desired/node_view.h"
#include "desired/owner.h"
#include "k8s/snapshot.h"

// routes: where the pod CIDRs of other nodes are.
namespace carrick::desired {

struct RouteRow {
  std::string node_name;
  net::IpAddress node;  // its InternalIP; v4 where both ends have it, so one tunnel carries both families
  Owner owner;
  bool operator==(const RouteRow&) const = default;
};
using RouteTable = std::map<net::Prefix, RouteRow>;  // key: pod CIDR of another node

RouteTable compile_routes(const k8s::Snapshot& snapshot, const NodeView& node);

}  // namespace carrick::desired
