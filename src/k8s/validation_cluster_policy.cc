#include <set>

#include "k8s/codec.h"
#include "k8s/document.h"
#include "k8s/findings.h"
#include "net/ip.h"

// ClusterNetworkPolicy v1alpha2: what the upstream CRD asks for by its schema and its rules (CEL).
namespace carrick::k8s {
namespace {

constexpr size_t kMostItems = 25;

void check_count(size_t count, size_t most, const std::string& field, bool needed, Findings& findings) {
  if (needed && count == 0) findings.required(field, "must have at least 1 item");
  if (count > most) findings.too_many(field, count, most);
}

void check_one_of(int given, const std::string& field, Findings& findings) {
  if (given == 0) findings.required(field, "exactly one field must be set");
  if (given > 1) findings.forbidden(field, "exactly one field must be set");
}

void check_pods(const NamespacedPod& pods, const std::string& field, Findings& findings) {
  check_selector(pods.namespaceSelector, field + ".namespaceSelector", findings);
  check_selector(pods.podSelector, field + ".podSelector", findings);
}

// `[*.]label.label[.]`
bool is_domain_name(std::string_view text) {
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.ends_with('.')) text.remove_suffix(1);
  size_t labels = 0;
  const auto is_end = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; };
  while (!text.empty()) {
    const size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || !is_end(label.front()) || !is_end(label.back())) return false;
    for (const char c : label)
      if (!is_end(c) && c != '-' && c != '_') return false;
    ++labels;
    if (dot == text.npos) break;
    text.remove_prefix(dot + 1);
    if (text.empty()) return false;
  }
  return labels >= 2;
}

void check_set(const std::vector<std::string>& values, const std::string& field, Findings& findings) {
  check_count(values.size(), kMostItems, field, false, findings);
  std::set<std::string_view> seen;
  for (size_t i = 0; i < values.size(); ++i)
    if (!seen.insert(values[i]).second) findings.duplicate(at(field, i), values[i]);
}

void check_peer(const ClusterNetworkPolicyPeer& peer, const std::string& field, Findings& findings) {
  check_one_of(peer.namespaces.has_value() + peer.pods.has_value() + peer.nodes.has_value() + !peer.networks.empty() +
                   !peer.domainNames.empty(),
               field, findings);
  if (peer.namespaces) check_selector(*peer.namespaces, field + ".namespaces", findings);
  if (peer.pods) check_pods(*peer.pods, field + ".pods", findings);
  if (peer.nodes) check_selector(*peer.nodes, field + ".nodes", findings);
  check_set(peer.networks, field + ".networks", findings);
  for (size_t i = 0; i < peer.networks.size(); ++i)
    if (peer.networks[i].find('/') == std::string::npos || !net::Prefix::parse(peer.networks[i]))
      findings.invalid(at(field + ".networks", i), peer.networks[i], "Invalid CIDR format provided");
  check_set(peer.domainNames, field + ".domainNames", findings);
  for (size_t i = 0; i < peer.domainNames.size(); ++i)
    if (!is_domain_name(peer.domainNames[i]))
      findings.invalid(at(field + ".domainNames", i), peer.domainNames[i],
                       "must be a domain name of two labels or more, with `*.` in front at most");
}

void check_number(int32_t number, const std::string& field, Findings& findings) {
  if (number < 1) findings.invalid(field, number, "should be greater than or equal to 1");
  if (number > 65535) findings.invalid(field, number, "should be less than or equal to 65535");
}

void check_transport(const PolicyTransport& transport, const std::string& field, Findings& findings) {
  if (!transport.destinationPort) return findings.required(field, "exactly one field must be set");
  const auto& port = *transport.destinationPort;
  const std::string path = field + ".destinationPort";
  check_one_of(port.number.has_value() + port.range.has_value(), path, findings);
  if (port.number) check_number(*port.number, path + ".number", findings);
  if (!port.range) return;
  check_number(port.range->start, path + ".range.start", findings);
  check_number(port.range->end, path + ".range.end", findings);
  if (port.range->start >= port.range->end)
    findings.invalid(path + ".range", port.range->end, "Start port must be less than End port");
}

void check_protocol(const ClusterNetworkPolicyProtocol& protocol, const std::string& field, Findings& findings) {
  check_one_of(protocol.tcp.has_value() + protocol.udp.has_value() + protocol.sctp.has_value() +
                   !protocol.destinationNamedPort.empty(),
               field, findings);
  if (protocol.tcp) check_transport(*protocol.tcp, field + ".tcp", findings);
  if (protocol.udp) check_transport(*protocol.udp, field + ".udp", findings);
  if (protocol.sctp) check_transport(*protocol.sctp, field + ".sctp", findings);
}

struct Rule {
  const std::string &name, &action;
  const std::vector<ClusterNetworkPolicyPeer>& peers;
  const std::vector<ClusterNetworkPolicyProtocol>& protocols;
};

void check_rule(const Rule& rule, const std::string& field, const char* peers_name, Findings& findings) {
  constexpr size_t kLongestName = 100;
  const bool egress = std::string_view(peers_name) == "to";
  if (rule.name.size() > kLongestName) findings.too_long(field + ".name", kLongestName);
  if (rule.action.empty())
    findings.required(field + ".action");
  else
    findings.check_supported(field + ".action", rule.action, {"Accept", "Deny", "Pass"});
  const std::string peers = fmt::format("{}.{}", field, peers_name);
  check_count(rule.peers.size(), kMostItems, peers, true, findings);
  check_count(rule.protocols.size(), kMostItems, field + ".protocols", false, findings);
  bool addresses = false, named = false;
  for (size_t i = 0; i < rule.peers.size(); ++i) {
    const auto& peer = rule.peers[i];
    check_peer(peer, at(peers, i), findings);
    const bool of_addresses = peer.nodes || !peer.networks.empty() || !peer.domainNames.empty();
    if (of_addresses && !egress)
      findings.forbidden(at(peers, i), "only egress rules have nodes, networks and domainNames");
    if (!peer.domainNames.empty() && rule.action != "Accept")
      findings.forbidden(at(peers, i) + ".domainNames", "only Accept rules have domainNames");
    addresses |= of_addresses;
  }
  for (size_t i = 0; i < rule.protocols.size(); ++i) {
    check_protocol(rule.protocols[i], at(field + ".protocols", i), findings);
    named |= !rule.protocols[i].destinationNamedPort.empty();
  }
  if (addresses && named)
    findings.forbidden(field,
                       "networks/nodes/domainNames peer cannot be set with namedPorts since there are no namedPorts "
                       "for networks/nodes/domainNames");
}

}  // namespace

void check_clusternetworkpolicy(const json::object& document, Findings& findings) {
  constexpr int32_t kLastPriority = 1000;
  const auto decoded = decode<ClusterNetworkPolicy>(document);
  if (!decoded) return findings.add("TypeInvalid", "spec", decoded.error().message, {});
  const ClusterNetworkPolicySpec& spec = decoded->spec;
  if (spec.tier.empty())
    findings.required("spec.tier");
  else
    findings.check_supported("spec.tier", spec.tier, {"Admin", "Baseline"});
  findings.not_negative("spec.priority", spec.priority);
  if (spec.priority > kLastPriority)
    findings.invalid("spec.priority", spec.priority, "should be less than or equal to 1000");
  if (const json::object* given = child(document, "spec"); !given || !given->contains("priority"))
    findings.required("spec.priority");
  check_one_of(spec.subject.namespaces.has_value() + spec.subject.pods.has_value(), "spec.subject", findings);
  if (spec.subject.namespaces) check_selector(*spec.subject.namespaces, "spec.subject.namespaces", findings);
  if (spec.subject.pods) check_pods(*spec.subject.pods, "spec.subject.pods", findings);
  check_count(spec.ingress.size(), kMostItems, "spec.ingress", false, findings);
  check_count(spec.egress.size(), kMostItems, "spec.egress", false, findings);
  for (size_t i = 0; i < spec.ingress.size(); ++i) {
    const auto& rule = spec.ingress[i];
    check_rule({rule.name, rule.action, rule.from, rule.protocols}, at("spec.ingress", i), "from", findings);
  }
  for (size_t i = 0; i < spec.egress.size(); ++i) {
    const auto& rule = spec.egress[i];
    check_rule({rule.name, rule.action, rule.to, rule.protocols}, at("spec.egress", i), "to", findings);
  }
}

}  // namespace carrick::k8s
