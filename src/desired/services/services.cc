#include "desired/services/services.h"

#include <algorithm>

#include "desired/object_facts.h"
#include "desired/services/endpoints.h"

namespace carrick::desired {
namespace {

constexpr const char* kProxyNameLabel = "service.kubernetes.io/service-proxy-name";
constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
constexpr uint32_t kDefaultAffinitySeconds = 10800;
constexpr uint16_t kDnsPort = 53;

std::vector<net::IpAddress> parse_all(const std::vector<std::string>& texts) {
  std::vector<net::IpAddress> out;
  for (const auto& text : texts)
    if (auto address = net::IpAddress::parse(text)) out.push_back(*address);
  return out;
}

uint32_t affinity_of(const k8s::ServiceSpec& spec) {
  if (spec.sessionAffinity != "ClientIP") return 0;
  if (spec.sessionAffinityConfig && spec.sessionAffinityConfig->clientIP &&
      spec.sessionAffinityConfig->clientIP->timeoutSeconds)
    return static_cast<uint32_t>(std::max(1, *spec.sessionAffinityConfig->clientIP->timeoutSeconds));
  return kDefaultAffinitySeconds;
}

net::IpAddress loopback(bool v4) { return net::IpAddress::parse(v4 ? "127.0.0.1" : "::1").value(); }

class ServiceRows {
 public:
  ServiceRows(const k8s::Service& service, const SliceList& slices, const k8s::Snapshot& snapshot, const NodeView& node)
      : service_(service), spec_(service.spec), slices_(slices), node_(node) {
    if (auto self = snapshot.nodes.find({"", node.node_name}); self != snapshot.nodes.end())
      zone_ = zone_of(*self->second);
  }

  FrontendTable run() {
    if (!is_forwarded(service_)) return {};
    cluster_ips_ = parse_all(spec_.clusterIPs);
    if (cluster_ips_.empty()) cluster_ips_ = parse_all({spec_.clusterIP});
    for (const auto& address : cluster_ips_)
      out_[{address, 0, net::Protocol::kAny, FrontendScope::kInternal}] = {
          .kind = FrontendKind::kAddress,
          .service_id = service_id(nullptr, FrontendScope::kInternal, address.is_v4()),
          .owner = owner_of("Service", service_.metadata, "spec.ports")};
    for (size_t i = 0; i < spec_.ports.size(); ++i) {
      const auto& port = spec_.ports[i];
      protocol_ = protocol_or_tcp(port.protocol);
      if (port.port < 1 || port.port > 65535 || protocol_ == net::Protocol::kAny) continue;
      add_port(i, true);
      add_port(i, false);
    }
    return std::move(out_);
  }

 private:
  bool has_family(bool v4) const {
    return std::ranges::any_of(cluster_ips_, [&](const auto& a) { return a.is_v4() == v4; });
  }

  // Without a port: of an address alone.
  uint64_t service_id(const k8s::ServicePort* port, FrontendScope scope, bool v4) const {
    return net::stable_hash(fmt::format("{}/{}/{}:{}/{}/{}/{}", service_.metadata.namespace_, service_.metadata.name,
                                        port ? port->name : "", port ? port->port : 0,
                                        net::protocol_name(port ? protocol_ : net::Protocol::kAny),
                                        static_cast<int>(scope), v4 ? 4 : 6));
  }

  void add_port(size_t index, bool v4) {
    if (!has_family(v4)) return;
    const auto& port = spec_.ports[index];
    v4_ = v4;
    port_ = &port;
    owner_ = owner_of("Service", service_.metadata, fmt::format("spec.ports[{}]", index));
    const auto all = candidates(port, v4, slices_, node_);
    choice_ = choose_endpoints(all, node_.node_name, zone_);
    listed_.clear();
    if (node_.reset_removed && protocol_ == net::Protocol::kTcp)
      for (const auto& one : all) listed_.emplace_back(one.backend.address, one.backend.port);
    const auto number = static_cast<uint16_t>(port.port);
    bool internal_local = spec_.internalTrafficPolicy.value_or("Cluster") == "Local";
    for (const auto& address : cluster_ips_)
      if (address.is_v4() == v4)
        add({address, number, protocol_, FrontendScope::kInternal}, FrontendKind::kClusterIp, internal_local);
    if (spec_.type == "NodePort" || spec_.type == "LoadBalancer") add_node_port();
    if (node_.external_ips)
      for (const auto& address : parse_all(spec_.externalIPs)) add_external(address, number, FrontendKind::kExternalIp);
    if (spec_.type != "LoadBalancer") return;
    for (const auto& ingress : service_.status.loadBalancer.ingress) {
      if (ingress.ipMode.value_or("VIP") != "VIP") continue;  // SVC-D12
      if (auto address = net::IpAddress::parse(ingress.ip)) add_external(*address, number, FrontendKind::kLoadBalancer);
    }
  }

  void add_node_port() {
    if (port_->nodePort < 1 || port_->nodePort > 65535) return;
    const auto number = static_cast<uint16_t>(port_->nodePort);
    for (const auto& address : node_.addresses) {
      if (address.is_v4() != v4_) continue;
      add_external(address, number, FrontendKind::kNodePort);
      add({loopback(v4_), number, protocol_, FrontendScope::kLoopback}, FrontendKind::kNodePort, false);
    }
    if (node_.returns_directly() && spec_.externalTrafficPolicy != "Local")
      add({any_node(v4_), number, protocol_, FrontendScope::kExternal}, FrontendKind::kNodePort, false);
  }

  // SVC-D8: from inside the cluster these addresses always have Cluster semantics.
  void add_external(const net::IpAddress& address, uint16_t number, FrontendKind kind) {
    if (address.is_v4() != v4_) return;
    add({address, number, protocol_, FrontendScope::kInternal}, kind, false);
    add({address, number, protocol_, FrontendScope::kExternal}, kind, spec_.externalTrafficPolicy == "Local");
  }

  void add(const FrontendKey& key, FrontendKind kind, bool local) {
    FrontendRow row;
    row.kind = kind;
    row.service_id = service_id(port_, key.scope, v4_);
    row.owner = owner_;
    if (kind == FrontendKind::kClusterIp && is_node_dns()) {
      row.kind = FrontendKind::kDns;
      row.backends = dns_backends();
    } else {
      row.backends = local ? choice_.local : choice_.cluster;
      row.rule = local ? choice_.local_rule : choice_.cluster_rule;
      row.unchosen = unchosen(row.backends);
      row.drop_when_empty = local && row.backends.empty() && choice_.elsewhere;  // SVC-D3
      row.affinity_seconds = affinity_of(spec_);
    }
    // A NodePort names the node, so its connections never come by another one.
    row.consistent = key.scope == FrontendScope::kExternal && kind != FrontendKind::kNodePort;
    row.snat = key.scope == FrontendScope::kExternal && !local;
    if (kind == FrontendKind::kLoadBalancer)
      for (const auto& text : spec_.loadBalancerSourceRanges)
        if (auto range = net::Prefix::parse(trim(text)); range && range->is_v4() == v4_)
          row.source_ranges.push_back(*range);
    out_.emplace(key, std::move(row));
  }

  // Both lists are in order of address and port.
  std::vector<net::SocketAddress> unchosen(const std::vector<Backend>& chosen) const {
    std::vector<net::SocketAddress> out;
    auto next = chosen.begin();
    for (const auto& one : listed_) {
      if (next != chosen.end() && next->address == one.address && next->port == one.port)
        ++next;
      else
        out.push_back(one);
    }
    return out;
  }

  // ADR 6. Without a DNS server of that family on the node it is a Service like any other.
  bool is_node_dns() const {
    return service_.metadata.key() == node_.dns_service && port_->port == kDnsPort &&
           protocol_ != net::Protocol::kSctp && !dns_backends().empty();
  }

  std::vector<Backend> dns_backends() const {
    std::vector<Backend> out;
    for (const auto& address : node_.dns_addresses)
      if (address.is_v4() == v4_) out.push_back({address, kDnsPort, node_.node_name, {}, true, owner_});
    return out;
  }

  static std::string_view trim(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
  }

  const k8s::Service& service_;
  const k8s::ServiceSpec& spec_;
  const SliceList& slices_;
  const NodeView& node_;
  std::string zone_;
  std::vector<net::IpAddress> cluster_ips_;
  FrontendTable out_;
  // Of the port and family at hand.
  net::Protocol protocol_ = net::Protocol::kTcp;
  bool v4_ = true;
  const k8s::ServicePort* port_ = nullptr;
  Owner owner_;
  EndpointChoice choice_;
  std::vector<net::SocketAddress> listed_;  // see FrontendRow::unchosen
};

}  // namespace

bool is_forwarded(const k8s::Service& service) {
  const auto& labels = service.metadata.labels;
  return service.spec.type != "ExternalName" && service.spec.clusterIP != "None" && !labels.contains(kProxyNameLabel) &&
         !labels.contains(kHeadlessLabel);
}

std::map<k8s::NamespacedName, SliceList> slices_by_service(const k8s::Snapshot& snapshot) {
  std::map<k8s::NamespacedName, SliceList> out;
  for (const auto& [key, slice] : snapshot.endpointslices) {
    auto label = slice->metadata.labels.find(k8s::kServiceNameLabel);
    if (label != slice->metadata.labels.end()) out[{key.namespace_, label->second}].push_back(slice);
  }
  return out;
}

FrontendTable compile_service(const k8s::Service& service, const SliceList& slices, const k8s::Snapshot& snapshot,
                              const NodeView& node) {
  return ServiceRows(service, slices, snapshot, node).run();
}

namespace {

// A hostPort on one address, for one kind of client.
void add_host_port(FrontendTable& out, const NodeView& node, const std::string& container, const LocalPod& local,
                   const PortMapping& mapping, const net::IpAddress& address, FrontendScope scope) {
  if (!mapping.host_ip.is_unspecified() && mapping.host_ip != address) return;
  auto target = std::ranges::find_if(local.addresses, [&](const auto& a) { return a.is_v4() == address.is_v4(); });
  if (target == local.addresses.end()) return;
  FrontendRow row;
  row.kind = FrontendKind::kHostPort;
  row.owner = {"Pod", local.pod.namespace_, local.pod.name.empty() ? container : local.pod.name,
               fmt::format("hostPort {}", mapping.host_port)};
  row.backends = {{*target, mapping.container_port, node.node_name, local.pod, true, row.owner}};
  row.service_id =
      net::stable_hash(fmt::format("hostPort/{}/{}/{}/{}/{}", address.str(), mapping.host_port,
                                   net::protocol_name(mapping.protocol), container, static_cast<int>(scope)));
  out.emplace(FrontendKey{address, mapping.host_port, mapping.protocol, scope}, std::move(row));
}

}  // namespace

FrontendTable compile_host_ports(const NodeView& node) {
  FrontendTable out;
  for (const auto& [container, local] : node.pods) {
    for (const auto& mapping : local.port_mappings) {
      if (mapping.host_port == 0) continue;
      for (const auto& address : node.addresses) {
        for (auto scope : {FrontendScope::kInternal, FrontendScope::kExternal})
          add_host_port(out, node, container, local, mapping, address, scope);
        add_host_port(out, node, container, local, mapping, loopback(address.is_v4()), FrontendScope::kLoopback);
      }
    }
  }
  return out;
}

FrontendTable compile_services(const k8s::Snapshot& snapshot, const NodeView& node) {
  static const SliceList kNoSlices;
  const auto slices = slices_by_service(snapshot);
  FrontendTable out;
  for (const auto& [key, service] : snapshot.services) {
    auto own = slices.find(key);
    out.merge(compile_service(*service, own == slices.end() ? kNoSlices : own->second, snapshot, node));
  }
  out.merge(compile_host_ports(node));
  return out;
}

}  // namespace carrick::desired
