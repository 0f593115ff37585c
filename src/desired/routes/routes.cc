#include "desired/routes/routes.h"

#include <algorithm>

#include "desired/object_facts.h"
#include "desired/pods/peer_index.h"

namespace carrick::desired {

RouteTable compile_routes(const k8s::Snapshot& snapshot, const NodeView& node) {
  bool self_has_v4 = std::ranges::any_of(node.addresses, [](const auto& a) { return a.is_v4(); });
  RouteTable out;
  for (const auto& [key, object] : snapshot.nodes) {
    if (key.name == node.node_name) continue;
    const auto addresses = internal_ips(*object);
    if (addresses.empty()) continue;  // nowhere to send to yet
    for (const auto& cidr : pod_cidrs(*object)) {
      RouteRow row;
      row.node_name = key.name;
      row.node = choose_node_address(addresses, node.routing == Routing::kVxlan, self_has_v4, cidr.is_v4());
      row.owner = {"Node", {}, key.name, "spec.podCIDRs"};
      out.emplace(cidr, std::move(row));
    }
  }
  return out;
}

}  // namespace carrick::desired
