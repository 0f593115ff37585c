#include "explain/service_report.h"

#include <algorithm>
#include <boost/json.hpp>

#include "base/text.h"
#include "desired/object_facts.h"
#include "desired/services/endpoints.h"

namespace carrick::explain {
namespace {

namespace json = boost::json;
using desired::Candidate;
using desired::FrontendKey;
using desired::FrontendKind;
using desired::FrontendRow;
using desired::FrontendScope;

std::string_view kind_text(FrontendKind kind) {
  switch (kind) {
    case FrontendKind::kClusterIp:
      return "ClusterIP";
    case FrontendKind::kNodePort:
      return "NodePort";
    case FrontendKind::kExternalIp:
      return "external IP";
    case FrontendKind::kLoadBalancer:
      return "load balancer";
    case FrontendKind::kHostPort:
      return "hostPort";
    case FrontendKind::kDns:
      return "cluster DNS";
    case FrontendKind::kAddress:
      return "every other port";
  }
  return "";
}

std::string state_of(const Candidate& one) {
  if (one.ready) return "ready";
  if (one.terminating) return one.serving ? "draining" : "terminating";
  return "not ready";
}

class Reporter {
 public:
  Reporter(const World& world, const k8s::Service& service, std::vector<std::string> nodes)
      : world_(world), service_(service), nodes_(std::move(nodes)) {
    auto slices = desired::slices_by_service(*world.snapshot);
    if (auto found = slices.find(service.metadata.key()); found != slices.end()) slices_ = found->second;
    for (const auto& node : nodes_)
      for (const auto& [key, row] : world.tables.at(node).frontends)
        if (row.owner.kind == "Service" && row.owner.namespace_ == service.metadata.namespace_ &&
            row.owner.name == service.metadata.name)
          rows_[row.owner.clause].push_back({node, &key, &row});
  }

  ServiceReport run() {
    const auto& spec = service_.spec;
    ServiceReport out{.name = service_.metadata.key(),
                      .type = spec.type.empty() ? "ClusterIP" : spec.type,
                      .internal_policy = spec.internalTrafficPolicy.value_or("Cluster"),
                      .external_policy = spec.externalTrafficPolicy.empty() ? "Cluster" : spec.externalTrafficPolicy,
                      .distribution = spec.trafficDistribution.value_or(""),
                      .source_ranges = spec.loadBalancerSourceRanges,
                      .nodes = nodes_.size(),
                      .findings = desired::service_findings(service_, slices_)};
    if (rows_.empty()) out.not_forwarded = why_not_forwarded();
    for (size_t i = 0; i < spec.ports.size(); ++i)
      for (bool v4 : {true, false}) add_port(out, i, v4);
    return out;
  }

 private:
  struct Seen {
    std::string node;
    const FrontendKey* key;
    const FrontendRow* row;
  };

  std::string why_not_forwarded() const {
    if (service_.spec.type == "ExternalName")
      return fmt::format("ExternalName: its name is an alias of {}, in DNS only", service_.spec.externalName);
    if (service_.spec.clusterIP == "None") return "headless: DNS answers with the addresses of its endpoints";
    if (service_.spec.ports.empty()) return "it has no ports";
    return "it is left to another proxy, or has no address yet";
  }

  void add_port(ServiceReport& out, size_t index, bool v4) const {
    auto found = rows_.find(fmt::format("spec.ports[{}]", index));
    if (found == rows_.end()) return;
    const auto& spec = service_.spec.ports[index];
    ReportedPort port{.clause = found->first,
                      .name = spec.name,
                      .port = static_cast<uint16_t>(spec.port),
                      .node_port = static_cast<uint16_t>(spec.nodePort),
                      .protocol = desired::protocol_or_tcp(spec.protocol),
                      .v4 = v4};
    std::vector<const Seen*> seen;
    for (const auto& one : found->second)
      if (one.key->address.is_v4() == v4) seen.push_back(&one);
    if (seen.empty()) return;
    bool drops = false, has_backend = false;
    for (const auto* one : seen) {
      add_address(port, *one);
      out.affinity_seconds = std::max(out.affinity_seconds, one->row->affinity_seconds);
      has_backend |= !one->row->backends.empty();
      drops |= one->row->drop_when_empty;
    }
    add_endpoints(port, spec, seen);
    if (!has_backend)
      port.nothing = drops ? "dropped: endpoints exist, but the traffic policy is Local and none is on the node"
                           : "refused at once: no endpoint is ready";
    out.ports.push_back(std::move(port));
  }

  static void add_address(ReportedPort& port, const Seen& one) {
    ReportedAddress address{std::string(kind_text(one.row->kind)),
                            one.row->kind == FrontendKind::kNodePort ? "*" : one.key->address.str(), one.key->port};
    auto same = [&](const ReportedAddress& known) {
      return known.kind == address.kind && known.address == address.address && known.port == address.port;
    };
    if (std::ranges::none_of(port.addresses, same)) port.addresses.push_back(std::move(address));
  }

  void add_endpoints(ReportedPort& port, const k8s::ServicePort& spec, const std::vector<const Seen*>& seen) const {
    // The view of any node: what differs between nodes (local or not) is asked of the rows.
    const auto& view = world_.views.at(nodes_.front());
    for (const auto& one : desired::candidates(spec, port.v4, slices_, view)) {
      ReportedEndpoint endpoint{.target = {one.backend.address, one.backend.port},
                                .pod = one.backend.pod.name.empty() ? "" : one.backend.pod.str(),
                                .node = one.backend.node_name.str(),
                                .state = state_of(one),
                                .owner = one.backend.owner};
      if (auto node = world_.snapshot->nodes.find({"", endpoint.node}); node != world_.snapshot->nodes.end())
        endpoint.zone = desired::zone_of(*node->second);
      for (const auto* row : seen)
        if (uses(*row->row, endpoint.target)) {
          auto& users = row->key->scope == FrontendScope::kInternal ? endpoint.pods_of : endpoint.outside_at;
          if (std::ranges::find(users, row->node) == users.end()) users.push_back(row->node);
        }
      if (endpoint.pods_of.size() < nodes_.size()) endpoint.why_not = why_not(one);
      port.endpoints.push_back(std::move(endpoint));
    }
  }

  static bool uses(const FrontendRow& row, const net::SocketAddress& target) {
    return std::ranges::any_of(row.backends,
                               [&](const auto& b) { return b.address == target.address && b.port == target.port; });
  }

  std::string why_not(const Candidate& one) const {
    if (std::ranges::any_of(rows_, [](const auto& entry) {
          return std::ranges::any_of(entry.second, [](const Seen& s) { return s.row->kind == FrontendKind::kDns; });
        }))
      return "every node answers the cluster DNS address itself";
    if (!one.ready && !one.terminating) return "it is not ready";
    if (!one.ready && !one.serving) return "it is terminating and serves no longer";
    if (!one.ready) return "it is terminating: used only where no endpoint is ready";
    if (service_.spec.internalTrafficPolicy.value_or("Cluster") == "Local")
      return one.backend.node_name.empty() ? "internalTrafficPolicy is Local and the endpoint names no node"
                                           : "internalTrafficPolicy is Local: only its own node uses it";
    if (!one.for_nodes.empty()) return fmt::format("its hint gives it to node {}", join(one.for_nodes, ", "));
    if (!one.for_zones.empty()) return fmt::format("its hint gives it to zone {}", join(one.for_zones, ", "));
    return "it was not chosen";
  }

  const World& world_;
  const k8s::Service& service_;
  std::vector<std::string> nodes_;
  desired::SliceList slices_;
  std::map<std::string, std::vector<Seen>> rows_;  // by clause
};

std::string users_text(const std::vector<std::string>& users, size_t nodes) {
  if (users.empty()) return "-";
  return users.size() == nodes && nodes > 1 ? "all nodes" : join(users, ",");
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string head_text(const ServiceReport& report) {
  std::string out = fmt::format("Service {}: {}", report.name.str(), report.type);
  if (!report.not_forwarded.empty()) return out + "\n" + report.not_forwarded + "\n";
  out += fmt::format("; internalTrafficPolicy {}", report.internal_policy);
  if (report.type != "ClusterIP") out += fmt::format("; externalTrafficPolicy {}", report.external_policy);
  if (!report.distribution.empty()) out += fmt::format("; trafficDistribution {}", report.distribution);
  if (report.affinity_seconds) out += fmt::format("; a client keeps its endpoint for {} s", report.affinity_seconds);
  if (!report.source_ranges.empty()) out += fmt::format("; load balancer open to {}", join(report.source_ranges, ", "));
  out += "\n";
  for (const auto& finding : report.findings) out += fmt::format("{}: {}\n", finding.owner.str(), finding.sentence);
  return out;
}

json::array findings_json(const desired::Findings& findings) {
  json::array out;
  for (const auto& one : findings) out.push_back(json::object{{"owner", one.owner.str()}, {"sentence", one.sentence}});
  return out;
}

}  // namespace

Result<ServiceReport> report_service(const World& world, const k8s::NamespacedName& name, const std::string& node) {
  TRY_VOID(parse_party(world, fmt::format("{}/svc/{}", name.namespace_, name.name), false));
  auto found = world.snapshot->services.find(name);
  if (found == world.snapshot->services.end()) return fail(ErrorKind::kNotFound, "there is no Service {}", name.str());
  std::vector<std::string> nodes;
  for (const auto& [known, view] : world.views)
    if (node.empty() || known == node) nodes.push_back(known);
  if (nodes.empty()) {
    std::vector<std::string> known;
    for (const auto& [one, view] : world.views) known.push_back(one);
    return fail(ErrorKind::kInvalid, "there is no node \"{}\"; there are: {}", node, join(known, ", "));
  }
  return Reporter(world, *found->second, std::move(nodes)).run();
}

void add_hits(ServiceReport& report, const std::vector<EndpointHits>& hits) {
  for (auto& port : report.ports)
    for (auto& endpoint : port.endpoints) {
      uint64_t sum = 0;
      for (const auto& one : hits)
        if (one.clause == port.clause && one.target == endpoint.target) sum += one.hits;
      endpoint.hits = sum;
    }
}

std::string to_text(const ServiceReport& report) {
  std::string out = head_text(report);
  for (const auto& port : report.ports) {
    out += fmt::format("\n{}{}/{} {}\n", port.name.empty() ? "" : port.name + " ", port.port,
                       net::protocol_name(port.protocol), port.v4 ? "IPv4" : "IPv6");
    for (const auto& address : port.addresses)
      out += fmt::format("  {:<14} {}\n", address.kind,
                         address.address == "*"
                             ? fmt::format("port {} of every node", address.port)
                             : net::SocketAddress{*net::IpAddress::parse(address.address), address.port}.str());
    if (!port.nothing.empty()) out += "  connections are " + port.nothing + "\n";
    if (port.endpoints.empty()) continue;
    TextTable table({"  ENDPOINT", "POD", "NODE", "ZONE", "STATE", "HITS", "PODS OF", "FROM OUTSIDE AT",
                     "NOT USED ELSEWHERE BECAUSE"});
    for (const auto& one : port.endpoints)
      table.add({"  " + one.target.str(), or_dash(one.pod), or_dash(one.node), or_dash(one.zone), one.state,
                 one.hits ? std::to_string(*one.hits) : "-", users_text(one.pods_of, report.nodes),
                 users_text(one.outside_at, report.nodes), one.why_not});
    out += table.str();
  }
  return out;
}

std::string to_json(const ServiceReport& report) {
  json::array ports;
  for (const auto& port : report.ports) {
    json::array addresses, endpoints;
    for (const auto& one : port.addresses)
      addresses.push_back(json::object{{"kind", one.kind}, {"address", one.address}, {"port", one.port}});
    for (const auto& one : port.endpoints) {
      endpoints.push_back(json::object{{"address", one.target.address.str()},
                                       {"port", one.target.port},
                                       {"pod", one.pod},
                                       {"node", one.node},
                                       {"zone", one.zone},
                                       {"state", one.state},
                                       {"podsOf", json::value_from(one.pods_of)},
                                       {"outsideAt", json::value_from(one.outside_at)},
                                       {"whyNot", one.why_not},
                                       {"slice", one.owner.name.view()}});
      if (one.hits) endpoints.back().as_object()["hits"] = *one.hits;
    }
    json::object out{{"name", port.name},
                     {"port", port.port},
                     {"protocol", net::protocol_name(port.protocol)},
                     {"family", port.v4 ? "IPv4" : "IPv6"},
                     {"addresses", std::move(addresses)},
                     {"endpoints", std::move(endpoints)}};
    if (port.node_port) out["nodePort"] = port.node_port;
    if (!port.nothing.empty()) out["nothing"] = port.nothing;
    ports.push_back(std::move(out));
  }
  json::object out{{"namespace", report.name.namespace_},
                   {"name", report.name.name},
                   {"type", report.type},
                   {"internalTrafficPolicy", report.internal_policy},
                   {"externalTrafficPolicy", report.external_policy},
                   {"trafficDistribution", report.distribution},
                   {"affinitySeconds", report.affinity_seconds},
                   {"loadBalancerSourceRanges", json::value_from(report.source_ranges)},
                   {"nodes", report.nodes},
                   {"findings", findings_json(report.findings)},
                   {"ports", std::move(ports)}};
  if (!report.not_forwarded.empty()) out["notForwarded"] = report.not_forwarded;
  return json::serialize(out);
}

}  // namespace carrick::explain
