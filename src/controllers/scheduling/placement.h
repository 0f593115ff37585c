#pragma once

#include "controllers/mirror.h"

// Which nodes may take a pod, by rules that read only the pod and the node. PURE.
namespace carrick::controllers {

bool tolerates(const std::vector<k8s::Toleration>& tolerations, const k8s::Taint& taint);
// The first NoSchedule or NoExecute taint that the pod does not tolerate, or null. A node that says it is not Ready
// counts as tainted node.kubernetes.io/not-ready.
std::optional<k8s::Taint> untolerated_taint(const k8s::Node& node, const std::vector<k8s::Toleration>& tolerations);

// nodeSelector and the required part of nodeAffinity (read from the document: the structs do not carry it).
bool selects_node(const k8s::PodSpec& spec, const json::object& pod_document, const k8s::Node& node);

// HP-5: host ports that a pod takes on its node. hostIP "" is 0.0.0.0, which collides with every address.
struct HostPort {
  std::string host_ip;
  std::string protocol;
  int32_t port = 0;
  auto operator<=>(const HostPort&) const = default;
};
std::vector<HostPort> host_ports(const k8s::PodSpec& spec);
bool collide(const HostPort& a, const HostPort& b);

}  // namespace carrick::controllers
