#pragma once

#include <functional>
#include <map>

#include "explain/explain.h"
#include "tests/judges/node_plane.h"
#include "tests/support/scenario_world.h"

// The way of one packet over several nodes: programs where there are programs, and what a node's stack and the routers
// between nodes would do where there are none.
namespace carrick::testing {

enum class EndKind {
  kPod,      // handed to a pod
  kNode,     // handed to a process of a node
  kOutside,  // left for an address outside of the cluster
  kRefused,  // answered on the way, by RST or ICMP unreachable
  kDropped,  // ended by a program
  kNowhere,  // nobody has its address, or no route leads there
  kBroken,   // the judge cannot go on: a program did not run, or contradicts itself
};

struct End {
  EndKind kind = EndKind::kBroken;
  std::string node;        // where; empty outside
  uint32_t link = 0;       // kPod: its host end
  std::string frame;       // as it arrived; kRefused: the refusal
  std::string reason;      // of a drop or refusal
  bool at_uplink = false;  // kRefused: on its way between nodes, the sender is not here
  std::string story;       // a line for each hop
  net::FrameView view() const { return net::parse_frame(frame).value_or(net::FrameView{}); }
};

class PacketWalk {
 public:
  using Planes = std::map<std::string, std::unique_ptr<NodePlane>>;  // by node
  // `routes`: addresses that lead to a node though no node has them.
  PacketWalk(const explain::World& world, const Planes& planes, std::map<net::IpAddress, std::string> routes);

  // From a pod, from a process of a node, from a machine outside.
  End from_pod(const std::string& node, uint32_t link, const net::Frame& frame) const;
  End from_process(const std::string& node, const net::Frame& frame) const;
  End from_outside(const net::Frame& frame) const { return from_outside_bytes(frame.bytes()); }
  End from_outside_bytes(const std::string& frame) const;  // any frame between nodes

  // Host end of the pod that has the address, and its node.
  std::optional<std::pair<std::string, uint32_t>> pod_at(const net::IpAddress& address) const;

 private:
  class Hops;
  const explain::World& world_;
  const Planes& planes_;
  std::map<net::IpAddress, std::string> routes_;
  std::map<net::IpAddress, std::pair<std::string, uint32_t>> pods_;
  std::map<net::IpAddress, std::string> nodes_;
};

}  // namespace carrick::testing
