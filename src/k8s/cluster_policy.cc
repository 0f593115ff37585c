#include "k8s/cluster_policy.h"

#include <fmt/format.h>

namespace carrick::k8s {
namespace {

std::string unknown_peer(const ClusterNetworkPolicyPeer& peer) {
  if (!peer.domainNames.empty()) return "domainNames are not supported";
  if (peer.namespaces || peer.pods || peer.nodes || !peer.networks.empty()) return {};
  return "a peer is of a kind that is not known";
}

bool is_known(const ClusterNetworkPolicyProtocol& protocol) {
  const auto has_port = [](const std::optional<PolicyTransport>& transport) {
    return !transport || !transport->destinationPort || transport->destinationPort->number ||
           transport->destinationPort->range;
  };
  if (!protocol.tcp && !protocol.udp && !protocol.sctp && protocol.destinationNamedPort.empty()) return false;
  return has_port(protocol.tcp) && has_port(protocol.udp) && has_port(protocol.sctp);
}

}  // namespace

std::string unknown_part(const std::string& action, const std::vector<ClusterNetworkPolicyPeer>& peers,
                         const std::vector<ClusterNetworkPolicyProtocol>& protocols) {
  if (action != "Accept" && action != "Deny" && action != "Pass") return "its action is not known";
  if (peers.empty()) return "it has no peers";
  for (const auto& peer : peers)
    if (std::string why = unknown_peer(peer); !why.empty()) return why;
  for (const auto& protocol : protocols)
    if (!is_known(protocol)) return "a protocol is of a kind that is not known";
  return {};
}

std::vector<std::string> unknown_parts(const ClusterNetworkPolicySpec& spec) {
  std::vector<std::string> out;
  if (!spec.subject.namespaces && !spec.subject.pods)
    out.push_back("spec.subject: it is of a kind that is not known and selects nothing");
  const auto note = [&](const char* list, size_t index, const std::string& why) {
    if (!why.empty()) out.push_back(fmt::format("spec.{}[{}]: {}", list, index, why));
  };
  for (size_t i = 0; i < spec.ingress.size(); ++i)
    note("ingress", i, unknown_part(spec.ingress[i].action, spec.ingress[i].from, spec.ingress[i].protocols));
  for (size_t i = 0; i < spec.egress.size(); ++i)
    note("egress", i, unknown_part(spec.egress[i].action, spec.egress[i].to, spec.egress[i].protocols));
  return out;
}

}  // namespace carrick::k8s
