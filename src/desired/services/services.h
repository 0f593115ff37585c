#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/shared_map.h"
#include "desired/node_view.h"
#include "desired/owner.h"
#include "k8s/snapshot.h"

// services: from an address and port that a client uses to the endpoints that answer.
namespace carrick::desired {

// kInternal: traffic of this node's pods and processes. kExternal: traffic that enters by the uplink (SVC-D8).
// kLoopback: processes in the node's own network namespace that connect to 127.0.0.1 or ::1 (SVC-D7, HP-2).
enum class FrontendScope : uint8_t { kInternal = 0, kExternal = 1, kLoopback = 2 };

// In the place of a frontend's address: a NodePort of whichever node, asked for by a node that hands a connection on
// (direct server return).
inline net::IpAddress any_node(bool v4) { return v4 ? net::IpAddress::v4(0) : net::IpAddress(); }

struct FrontendKey {
  net::IpAddress address;
  uint16_t port = 0;  // host order
  net::Protocol protocol = net::Protocol::kTcp;
  FrontendScope scope = FrontendScope::kInternal;
  auto operator<=>(const FrontendKey&) const = default;
};

// A k8s::NamespacedName that stands in many rows.
struct PodName {
  SharedText namespace_, name;
  PodName() = default;
  PodName(SharedText its_namespace, SharedText its_name)
      : namespace_(std::move(its_namespace)), name(std::move(its_name)) {}
  PodName(const k8s::NamespacedName& key) : namespace_(key.namespace_), name(key.name) {}
  operator k8s::NamespacedName() const { return {namespace_, name}; }
  std::string str() const { return k8s::NamespacedName(*this).str(); }
  bool operator==(const PodName&) const = default;
};

struct Backend {
  net::IpAddress address;
  uint16_t port = 0;
  SharedText node_name;
  PodName pod;  // empty for endpoints that are not pods
  bool local = false;
  Owner owner;  // the EndpointSlice
  bool operator==(const Backend&) const = default;
};

// Why a row has these backends of all endpoints (SVC-D1): ready ones; of those the ones whose hints name this node or
// its zone; terminating ones, as none is ready; with policy Local the same of this node.
enum class EndpointRule : uint8_t { kReady, kHintedNode, kHintedZone, kTerminating, kLocal, kLocalTerminating };

// kAddress: the row of a ClusterIP itself, port 0 and protocol kAny; what is asked of it beside its ports is refused
// (SVC-D4).
enum class FrontendKind : uint8_t { kClusterIp, kNodePort, kExternalIp, kLoadBalancer, kHostPort, kDns, kAddress };

// No usable endpoint gives a row without backends (the data plane rejects, or drops when `drop_when_empty`), never a
// missing row: the packet would leave the node (SVC-D3).
struct FrontendRow {
  FrontendKind kind = FrontendKind::kClusterIp;
  uint64_t service_id =
      0;  // stable hash of namespace/name/port/protocol/scope: the same on every node and after restart
  std::vector<Backend> backends;
  // With NodeView::reset_removed, of TCP: every other endpoint that stands in a slice of the Service, whatever its
  // conditions and node. A connection to one of them goes on.
  std::vector<net::SocketAddress> unchosen;
  EndpointRule rule = EndpointRule::kReady;
  bool drop_when_empty = false;   // SVC-D3: endpoints exist elsewhere, the policy is Local
  bool snat = false;              // SVC-D8: externalTrafficPolicy Cluster, a remote backend sees the node's address
  bool consistent = false;        // every node sends a connection to the same backend: it may enter by any of them
  uint32_t affinity_seconds = 0;  // SVC-D15; 0 = none
  std::vector<net::Prefix> source_ranges;  // SVC-D13, kLoadBalancer only: other clients are dropped; empty = everybody
  Owner owner;                             // the Service, clause "spec.ports[i]"
  bool operator==(const FrontendRow&) const = default;
};
using FrontendTable = SharedMap<FrontendKey, FrontendRow>;

using SliceList = std::vector<std::shared_ptr<const k8s::EndpointSlice>>;

// Not headless, no ExternalName, and not left to another proxy by its label (SVC-D23, D24).
bool is_forwarded(const k8s::Service& service);

// Slices by the Service they belong to, each list sorted by name.
std::map<k8s::NamespacedName, SliceList> slices_by_service(const k8s::Snapshot& snapshot);

// hostPorts of the pods plumbed here (HP-1).
FrontendTable compile_host_ports(const NodeView& node);

// Everything that one Service contributes (with its EndpointSlices). The whole table is the union over all Services
// plus hostPorts.
FrontendTable compile_service(const k8s::Service& service, const SliceList& slices, const k8s::Snapshot& snapshot,
                              const NodeView& node);
// Where two objects claim one key, Services come before hostPorts (HP-4), and the Service that is first by name wins.
FrontendTable compile_services(const k8s::Snapshot& snapshot, const NodeView& node);

}  // namespace carrick::desired
