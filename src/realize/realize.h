#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "desired/desired.h"
#include "kernel/programs.h"
#include "reconcile/reconcile.h"

// The node's tables written into the data plane's maps.
namespace carrick::realize {

// Facts of the node that no table holds.
struct NodeConfig {
  uint32_t uplink_ifindex = 0;   // 0: there is none, nothing leaves the node
  uint32_t overlay_ifindex = 0;  // collect-metadata vxlan device; 0: there is none
  bool native_routing = false;   // with overlay_ifindex: pods of other nodes are not reached by it
  bool dsr = false;              // connections from outside go on through it as they came; needs overlay_ifindex
  bool uplink_peer = false;      // the uplink is a veth without a queue: its other end takes packets at once
  bool reset_removed = false;    // NodeView::reset_removed
  uint32_t vni = 1;
  uint64_t netns_cookie = 0;              // kernel::own_netns_cookie(); 0: no socket counts as the node's own
  std::vector<net::IpAddress> addresses;  // of the node, at most one of each family: sources of masqueraded traffic
  // Source ports of masqueraded traffic; outside ip_local_port_range (default 32768-60999) and the NodePorts.
  uint16_t nat_first = 61000, nat_last = 65535;
  bool operator==(const NodeConfig&) const = default;
};

struct TableStatus {
  std::string name;
  size_t rows = 0;     // in the map
  size_t failing = 0;  // not as they should be
};

struct Status {
  uint64_t revision = 0;  // of the last tables of which every row is realized; 0: none yet
  uint32_t epoch = 0;     // judgements made before it are made again
  bool settled = false;
  uint64_t retired_backends = 0;  // rows of `backends`, `members` and `peers` that were taken away, ever
  std::vector<TableStatus> tables;
  std::vector<reconcile::Failure> failures;
  std::optional<reconcile::Time> next_retry;  // call retry() then
};

// Not for two threads at once. The programs must outlive it.
class Realizer {
 public:
  // Reads back what the maps hold (pinned from an earlier life, or empty).
  static Result<std::unique_ptr<Realizer>> create(kernel::Programs& programs, reconcile::Options options = {});
  ~Realizer();

  // Brings the maps to these tables by the smallest difference. Rows that fail are in the status and in the next retry;
  // an error means that nothing could be done.
  Result<Status> apply(const desired::Tables& tables, const NodeConfig& node, reconcile::Time now);
  Result<Status> apply(const desired::Tables& tables, const NodeConfig& node) {
    return apply(tables, node, std::chrono::steady_clock::now());
  }
  // What is due of the rows that failed.
  Result<Status> retry(reconcile::Time now);
  const Status& status() const;

 private:
  struct State;
  explicit Realizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace carrick::realize
