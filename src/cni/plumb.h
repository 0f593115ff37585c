#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "desired/node_view.h"
#include "kernel/netlink.h"

namespace carrick::cni {

struct PodPlumbRequest {
  std::string id;     // of the attachment: names, numbers and MACs derive from it
  std::string netns;  // path
  std::string ifname = "eth0";
  std::vector<net::IpAddress> addresses;  // at most one of each family; the first is the primary one
  uint32_t mtu = 1500;
  net::MacAddress pod_mac;  // zero = derived from the id
  // Called when the host end exists and neither end is up, so that a pod is closed before its first packet.
  std::function<Result<void>(uint32_t ifindex)> attach;
};

// Wires pods into the namespace it was opened in (the node's). Not for two threads at once.
//   host end: routes podIP/32 and /128, permanent neighbours, rp_filter 0, no link-local address
//   pod end:  the addresses as /32 and /128, default routes by kPodGatewayV4/V6 on link, permanent neighbours to the
//   host end
class Plumber {
 public:
  static Result<Plumber> open(kernel::Network& network);

  // A failure leaves nothing behind. kAlreadyExists: the namespace has a link of that name. kNotFound: no such
  // namespace.
  Result<desired::LocalPod> plumb(const PodPlumbRequest& request);
  // Everything that plumb() made is there. The pod may have more.
  Result<void> check(const desired::LocalPod& pod, const std::string& netns, const std::string& ifname);
  // Host ends of pods, by name.
  Result<std::vector<kernel::Link>> host_links();

 private:
  Plumber(kernel::Network& network, std::unique_ptr<kernel::Netlink> node)
      : network_(&network), node_(std::move(node)) {}
  Result<void> create(const PodPlumbRequest& request, int netns_fd, desired::LocalPod& pod);
  Result<void> fill_pod(const PodPlumbRequest& request, int netns_fd, const desired::LocalPod& pod);
  Result<void> open_host_end(const desired::LocalPod& pod);

  kernel::Network* network_;
  std::unique_ptr<kernel::Netlink> node_;
  uint32_t next_ifindex_ = 0;
};

// "cr" and 13 characters of the id's hash: 15 in all, the most that Linux takes.
std::string host_link_name(const std::string& id);

// Removes the host ends (and with them the pod ends, routes and neighbours) in one request: each request waits for RCU
// grace periods (20-40 ms), however many links it names. Missing ones are success. Blocks; meant for a thread of its
// own.
Result<void> remove_host_links(kernel::Network& network, const std::vector<std::string>& names);

// Forwarding in the node's namespace, without which no pod reaches anything by the stack.
Result<void> prepare_node(kernel::Network& network);

// Link group of every pod's host end: what is in it and in no record of ours is an orphan.
inline constexpr uint32_t kPodLinkGroup = 0xca;

}  // namespace carrick::cni
