#pragma once

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "k8s/core.h"
#include "lab/config.h"
#include "lab/nodes/pod_machine.h"
#include "lab/nodes/sandbox.h"

// What the lab's nodes write into the API. Pure.
namespace carrick::lab {

std::string timestamp_now();  // RFC 3339, seconds, UTC

// A Node as a kubelet and a cloud together would register it: labels, addresses, pod CIDRs.
boost::json::object node_document(const NodePlan& node, const std::string& now);
// status of a Node: merge patch.
boost::json::object node_status_patch(const NodePlan& node, const std::string& not_ready_because,
                                      const std::string& now);

struct ContainerState {
  ContainerLife life;
  bool ready = false;
};
struct PodState {
  std::string phase = "Pending";
  std::vector<std::string> host_addresses;
  std::vector<ContainerState> containers;  // of spec.initContainers, then of spec.containers
  size_t inits = 0;
  bool initialized = false;
  std::string message;  // why it is not ready, for people
  bool ready() const;
};
// Merge patch for the status subresource; holds only for the pod with this uid.
boost::json::object pod_status_patch(const k8s::Pod& pod, const Sandbox* sandbox, const PodState& state,
                                     const std::string& now);

}  // namespace carrick::lab
