#pragma once

#include <random>
#include <set>

#include "desired/desired.h"

// For tests: objects in one line each, and random clusters that change step by step. Address plan of DESIGN 6.
namespace carrick::desired::testing {

using k8s::NamespacedName;

class TestCluster {
 public:
  k8s::Snapshot snapshot;
  k8s::ChangeSet changes;  // since the last publish()

  void publish() {
    ++snapshot.revision;
    changes = {};
  }

  k8s::Namespace& add_namespace(const std::string& name, k8s::StringMap labels = {}) {
    k8s::Namespace object;
    object.metadata.name = name;
    object.metadata.labels = std::move(labels);
    object.metadata.labels["kubernetes.io/metadata.name"] = name;
    return put(snapshot.namespaces, changes.namespaces, std::move(object));
  }

  // Node number i: 192.0.2.(10+i), pods 10.1.i.0/24 and 2001:db8:1:i::/64.
  k8s::Node& add_node(int i, const std::string& zone = {}) {
    k8s::Node object;
    object.metadata.name = node_name(i);
    if (!zone.empty()) object.metadata.labels["topology.kubernetes.io/zone"] = zone;
    object.spec.podCIDRs = {fmt::format("10.1.{}.0/24", i), fmt::format("2001:db8:1:{:x}::/64", i)};
    object.spec.podCIDR = object.spec.podCIDRs[0];
    object.status.addresses = {{"InternalIP", fmt::format("192.0.2.{}", 10 + i)},
                               {"InternalIP", fmt::format("2001:db8:2::{:x}", 10 + i)}};
    return put(snapshot.nodes, changes.nodes, std::move(object));
  }
  static std::string node_name(int i) { return fmt::format("node-{}", i); }

  // A running pod with the next addresses of its node; `ports` are (name, number, protocol).
  struct Port {
    std::string name;
    int number;
    std::string protocol = "TCP";
  };
  k8s::Pod& add_pod(const std::string& ns, const std::string& name, k8s::StringMap labels, int node,
                    std::vector<Port> ports = {}) {
    k8s::Pod object;
    object.metadata.namespace_ = ns;
    object.metadata.name = name;
    object.metadata.uid = fmt::format("uid-{}", ++uids_);
    object.metadata.labels = std::move(labels);
    object.spec.nodeName = node_name(node);
    k8s::Container container;
    container.name = "main";
    for (auto& port : ports) container.ports.push_back({port.name, port.protocol, {}, port.number, 0});
    object.spec.containers.push_back(std::move(container));
    int host = ++hosts_[node] + 1;
    object.status.podIPs = {{fmt::format("10.1.{}.{}", node, host)},
                            {fmt::format("2001:db8:1:{:x}::{:x}", node, host)}};
    object.status.podIP = object.status.podIPs[0].ip;
    object.status.phase = "Running";
    return put(snapshot.pods, changes.pods, std::move(object));
  }

  k8s::NetworkPolicy& add_policy(const std::string& ns, const std::string& name, k8s::NetworkPolicySpec spec) {
    k8s::NetworkPolicy object;
    object.metadata.namespace_ = ns;
    object.metadata.name = name;
    object.spec = std::move(spec);
    return put(snapshot.networkpolicies, changes.networkpolicies, std::move(object));
  }

  k8s::ClusterNetworkPolicy& add_cluster_policy(const std::string& name, k8s::ClusterNetworkPolicySpec spec) {
    k8s::ClusterNetworkPolicy object;
    object.metadata.name = name;
    object.spec = std::move(spec);
    return put(snapshot.clusternetworkpolicies, changes.clusternetworkpolicies, std::move(object));
  }

  k8s::Service& add_service(const std::string& ns, const std::string& name, std::vector<std::string> ips,
                            std::vector<k8s::ServicePort> ports, k8s::StringMap selector = {}) {
    k8s::Service object;
    object.metadata.namespace_ = ns;
    object.metadata.name = name;
    object.spec.type = "ClusterIP";
    object.spec.clusterIPs = std::move(ips);
    object.spec.clusterIP = object.spec.clusterIPs.empty() ? "" : object.spec.clusterIPs[0];
    object.spec.ports = std::move(ports);
    object.spec.selector = std::move(selector);
    return put(snapshot.services, changes.services, std::move(object));
  }

  k8s::EndpointSlice& add_slice(const std::string& ns, const std::string& name, const std::string& service,
                                std::vector<k8s::EndpointPort> ports, std::vector<k8s::Endpoint> endpoints,
                                const std::string& type = "IPv4") {
    k8s::EndpointSlice object;
    object.metadata.namespace_ = ns;
    object.metadata.name = name;
    object.metadata.labels["kubernetes.io/service-name"] = service;
    object.addressType = type;
    object.ports = std::move(ports);
    object.endpoints = std::move(endpoints);
    return put(snapshot.endpointslices, changes.endpointslices, std::move(object));
  }

  // What the EndpointSlice controller would write for a Service: one slice for each set of port numbers.
  void slices_for(const std::string& ns, const std::string& service) {
    const k8s::Service& object = *snapshot.services.at({ns, service});
    for (bool v4 : {true, false}) {
      std::map<std::vector<int>, std::vector<k8s::Endpoint>> by_ports;
      for (const auto& [key, pod] : snapshot.pods) {
        if (key.namespace_ != ns || object.spec.selector.empty() ||
            !k8s::matches(object.spec.selector, pod->metadata.labels))
          continue;
        k8s::Endpoint endpoint;
        for (const auto& ip : pod->status.podIPs)
          if ((ip.ip.find(':') == std::string::npos) == v4) endpoint.addresses = {ip.ip};
        if (endpoint.addresses.empty()) continue;
        endpoint.nodeName = pod->spec.nodeName;
        endpoint.targetRef = k8s::ObjectReference{"Pod", ns, key.name, pod->metadata.uid, {}};
        std::vector<int> numbers;
        for (const auto& port : object.spec.ports) numbers.push_back(target_port(*pod, port));
        by_ports[numbers].push_back(std::move(endpoint));
      }
      int index = 0;
      for (auto& [numbers, endpoints] : by_ports) {
        std::vector<k8s::EndpointPort> ports;
        for (size_t i = 0; i < numbers.size(); ++i)
          if (numbers[i])
            ports.push_back({object.spec.ports[i].name, object.spec.ports[i].protocol, std::nullopt, numbers[i]});
        add_slice(ns, fmt::format("{}-{}-{}", service, v4 ? "v4" : "v6", index++), service, ports, endpoints,
                  v4 ? "IPv4" : "IPv6");
      }
    }
  }

  void slices_for_nobody(const std::string& ns, const std::string& service) {
    for (const char* family : {"v4", "v6"})
      snapshot.endpointslices.erase({ns, fmt::format("{}-{}-0", service, family)});
  }

  static int target_port(const k8s::Pod& pod, const k8s::ServicePort& port) {
    if (const int32_t* number = std::get_if<int32_t>(&port.targetPort)) return *number ? *number : port.port;
    for (const auto& declared : pod.spec.containers.at(0).ports)
      if (declared.name == std::get<std::string>(port.targetPort) &&
          (declared.protocol.empty() ? "TCP" : declared.protocol) == (port.protocol.empty() ? "TCP" : port.protocol))
        return declared.containerPort;
    return 0;
  }

  // The view of a node on which every pod bound to it is plumbed.
  NodeView view(int i) const {
    NodeView out;
    out.node_name = node_name(i);
    out.addresses = {ip(fmt::format("192.0.2.{}", 10 + i)), ip(fmt::format("2001:db8:2::{:x}", 10 + i))};
    out.dns_addresses = {ip(kNodeDnsV4), ip(kNodeDnsV6)};
    uint32_t ifindex = 10;
    for (const auto& [key, pod] : snapshot.pods)
      if (pod->spec.nodeName == out.node_name && !pod->spec.hostNetwork)
        out.pods["c-" + pod->metadata.uid] = local_pod(*pod, ++ifindex);
    return out;
  }

  static LocalPod local_pod(const k8s::Pod& pod, uint32_t ifindex) {
    LocalPod out;
    out.pod = pod.metadata.key();
    out.uid = pod.metadata.uid;
    out.container_id = "c-" + pod.metadata.uid;
    out.host_link = fmt::format("lxc{}", ifindex);
    out.ifindex = ifindex;
    for (const auto& address : pod.status.podIPs) out.addresses.push_back(ip(address.ip));
    return out;
  }

  static net::IpAddress ip(const std::string& text) { return net::IpAddress::parse(text).value(); }

  template <class T>
  T& put(k8s::ObjectMap<T>& objects, std::set<NamespacedName>& changed, T object) {
    NamespacedName key = object.metadata.key();
    auto shared = std::make_shared<T>(std::move(object));
    T& out = *shared;  // may be finished in place until the next publish()
    objects[key] = shared;
    changed.insert(key);
    return out;
  }
  template <class T>
  void erase(k8s::ObjectMap<T>& objects, std::set<NamespacedName>& changed, const NamespacedName& key) {
    objects.erase(key);
    changed.insert(key);
  }

 private:
  std::map<int, int> hosts_;
  int uids_ = 0;
};

// Random pieces of a cluster with few names, so that things meet.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<uint64_t>(n)); }
  bool chance(int percent) { return below(100) < percent; }
  template <class T>
  const T& pick(const std::vector<T>& list) {
    return list[static_cast<size_t>(below(static_cast<int>(list.size())))];
  }

  k8s::StringMap labels() {
    k8s::StringMap out;
    for (const char* key : {"app", "tier", "env"})
      if (chance(60)) out[key] = value();
    return out;
  }
  std::string value() { return pick<std::string>({"a", "b", "c"}); }

  k8s::LabelSelector selector() {
    k8s::LabelSelector out;
    if (chance(25)) return out;
    if (chance(60)) out.matchLabels[key()] = value();
    if (chance(40)) {
      k8s::LabelSelectorRequirement requirement{
          key(), pick<std::string>({"In", "NotIn", "Exists", "DoesNotExist"}), {}};
      if (requirement.operator_ == "In" || requirement.operator_ == "NotIn")
        for (int i = 1 + below(2); i > 0; --i) requirement.values.push_back(value());
      out.matchExpressions.push_back(requirement);
    }
    return out;
  }
  std::string key() { return pick<std::string>({"app", "tier", "env"}); }

  k8s::IPBlock block() {
    switch (below(8)) {
      case 0:
        return {"0.0.0.0/0", chance(50) ? std::vector<std::string>{"10.1.0.0/16"} : std::vector<std::string>{}};
      case 1:
        return {"::/0", chance(50) ? std::vector<std::string>{"2001:db8:1::/48"} : std::vector<std::string>{}};
      case 2:
        return {fmt::format("10.1.{}.0/24", below(3)),
                chance(50) ? std::vector<std::string>{fmt::format("10.1.{}.{}/32", below(3), 2 + below(6))}
                           : std::vector<std::string>{}};
      case 3:
        return {fmt::format("10.1.{}.{}/32", below(3), 2 + below(6)), {}};
      case 4:
        return {fmt::format("2001:db8:1:{}::/64", below(3)),
                chance(50) ? std::vector<std::string>{fmt::format("2001:db8:1:{}::{}/128", below(3), 2 + below(6))}
                           : std::vector<std::string>{}};
      case 5:
        return {"10.1.0.0/16", {fmt::format("10.1.{}.0/28", below(3)), fmt::format("10.1.{}.4/30", below(3))}};
      case 6:
        return {"192.0.2.0/24", {}};
      default:
        return {"203.0.113.0/24", {}};
    }
  }

  k8s::NetworkPolicyPeer peer() {
    k8s::NetworkPolicyPeer out;
    if (chance(30)) {
      out.ipBlock = block();
      return out;
    }
    int shape = below(3);
    if (shape != 0) out.podSelector = selector();
    if (shape != 1)
      out.namespaceSelector =
          chance(40) ? k8s::LabelSelector{{{"kubernetes.io/metadata.name", pick<std::string>({"x", "y", "z"})}}, {}}
                     : selector();
    return out;
  }

  k8s::NetworkPolicyPort port() {
    k8s::NetworkPolicyPort out;
    if (chance(70)) out.protocol = pick<std::string>({"TCP", "UDP", "SCTP"});
    if (chance(15)) return out;
    if (chance(30)) {
      out.port = pick<std::string>({"http", "dns", "metrics", "nobody"});
      return out;
    }
    out.port = pick<int32_t>({80, 81, 53, 8080, 79});
    if (chance(25)) out.endPort = std::get<int32_t>(*out.port) + below(40);
    return out;
  }

  k8s::NetworkPolicySpec policy() {
    k8s::NetworkPolicySpec out;
    out.podSelector = selector();
    auto peers = [&](auto& list) {
      for (int i = below(3); i > 0; --i) list.push_back(peer());
    };
    auto ports = [&](auto& list) {
      for (int i = below(3); i > 0; --i) list.push_back(port());
    };
    for (int i = below(3); i > 0; --i) {
      auto& rule = out.ingress.emplace_back();
      peers(rule.from);
      ports(rule.ports);
    }
    for (int i = below(3); i > 0; --i) {
      auto& rule = out.egress.emplace_back();
      peers(rule.to);
      ports(rule.ports);
    }
    switch (below(4)) {
      case 0:
        break;  // NP-2 decides
      case 1:
        out.policyTypes = {"Ingress"};
        break;
      case 2:
        out.policyTypes = {"Egress"};
        break;
      default:
        out.policyTypes = {"Ingress", "Egress"};
    }
    return out;
  }

  k8s::LabelSelector namespaces() {
    return chance(40) ? k8s::LabelSelector{{{"kubernetes.io/metadata.name", pick<std::string>({"x", "y", "z"})}}, {}}
                      : selector();
  }

  k8s::ClusterNetworkPolicyPeer cluster_peer(bool egress, bool pods_only) {
    k8s::ClusterNetworkPolicyPeer out;
    const int shape = below(egress && !pods_only ? 5 : 2);
    if (shape == 0) out.namespaces = namespaces();
    if (shape == 1) out.pods = k8s::NamespacedPod{namespaces(), selector()};
    if (shape == 2) out.nodes = selector();
    if (shape >= 3)
      for (int i = 1 + below(2); i > 0; --i) out.networks.push_back(block().cidr);
    return out;
  }

  k8s::ClusterNetworkPolicyProtocol cluster_protocol(bool named) {
    k8s::ClusterNetworkPolicyProtocol out;
    if (named && chance(40)) {
      out.destinationNamedPort = pick<std::string>({"http", "dns", "metrics", "nobody"});
      return out;
    }
    k8s::PolicyTransport transport;
    transport.destinationPort.emplace();
    const int32_t number = pick<int32_t>({80, 81, 53, 8080, 79});
    if (chance(70))
      transport.destinationPort->number = number;
    else
      transport.destinationPort->range = k8s::PolicyPortRange{number, number + 1 + below(40)};
    switch (below(3)) {
      case 0:
        out.udp = transport;
        break;
      case 1:
        out.sctp = transport;
        break;
      default:
        out.tcp = transport;
    }
    return out;
  }

  k8s::ClusterNetworkPolicySpec cluster_policy() {
    k8s::ClusterNetworkPolicySpec out;
    out.tier = pick<std::string>({"Admin", "Admin", "Baseline"});
    out.priority = below(4);
    if (chance(50))
      out.subject.namespaces = namespaces();
    else
      out.subject.pods = k8s::NamespacedPod{namespaces(), selector()};
    auto fill = [&](auto& rule, auto& peers, bool egress) {
      rule.action = pick<std::string>({"Accept", "Deny", "Pass"});
      const bool named = chance(50);
      for (int i = 1 + below(2); i > 0; --i) peers.push_back(cluster_peer(egress, named));
      for (int i = below(3); i > 0; --i) rule.protocols.push_back(cluster_protocol(named));
      if (egress && chance(4)) peers.push_back({.domainNames = {"example.com"}});
    };
    for (int i = below(4); i > 0; --i) {
      auto& rule = out.ingress.emplace_back();
      fill(rule, rule.from, false);
    }
    for (int i = below(4); i > 0; --i) {
      auto& rule = out.egress.emplace_back();
      fill(rule, rule.to, true);
    }
    return out;
  }

  std::vector<TestCluster::Port> container_ports() {
    std::vector<TestCluster::Port> out;
    if (chance(60)) out.push_back({"http", pick<int>({80, 8080})});
    if (chance(40)) out.push_back({"dns", 53, "UDP"});
    if (chance(30)) out.push_back({"metrics", pick<int>({81, 9090})});
    if (chance(20)) out.push_back({"", 80, "SCTP"});
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

}  // namespace carrick::desired::testing
