#include "desired/policy/rules.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "desired/object_facts.h"
#include "desired/policy/cidr_classes.h"
#include "desired/policy/selection.h"

namespace carrick::desired {
namespace {

using Blocks = std::map<std::string, AddressBlock>;

std::optional<AddressBlock> parse_block(const k8s::IPBlock& block) {
  auto cidr = net::Prefix::parse(block.cidr);
  if (!cidr) return std::nullopt;
  AddressBlock out{cidr->str(), {*cidr}, {}};
  for (const auto& text : block.except)
    if (auto except = net::Prefix::parse(text)) out.excepts.push_back(*except);
  std::ranges::sort(out.excepts);
  for (const auto& except : out.excepts) out.text += "-" + except.str();
  return out;
}

bool in_block(const AddressBlock& block, const net::IpAddress& address) {
  auto holds = [&](const net::Prefix& prefix) { return prefix.contains(address); };
  return std::ranges::any_of(block.cidrs, holds) && std::ranges::none_of(block.excepts, holds);
}

template <class T>
void sort_unique(std::vector<T>& list) {
  std::ranges::sort(list);
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

// NP-2.
bool applies(const k8s::NetworkPolicySpec& spec, Direction direction) {
  const char* name = direction == Direction::kIngress ? "Ingress" : "Egress";
  if (!spec.policyTypes.empty()) return std::ranges::find(spec.policyTypes, name) != spec.policyTypes.end();
  return direction == Direction::kIngress || !spec.egress.empty();
}

bool selects_everything(const k8s::LabelSelector& selector) {
  return selector.matchLabels.empty() && selector.matchExpressions.empty();
}

// NP-6. Nothing: it matches nothing.
std::optional<PolicyRule::Port> parse_port(const k8s::NetworkPolicyPort& port) {
  PolicyRule::Port out;
  out.protocol = protocol_or_tcp(port.protocol.value_or("TCP"));
  if (out.protocol == net::Protocol::kAny) return std::nullopt;  // a protocol that does not exist
  if (!port.port) return out;
  if (const auto* number = std::get_if<int32_t>(&*port.port)) {
    int32_t last = port.endPort.value_or(*number);
    if (*number < 1 || last > 65535 || last < *number) return std::nullopt;
    out.first = static_cast<uint16_t>(*number);
    out.last = static_cast<uint16_t>(last);
    return out;
  }
  out.is_named = true;
  out.name = std::get<std::string>(*port.port);
  return out;
}

std::vector<PolicyRule::Port> parse_ports(const std::vector<k8s::NetworkPolicyPort>& ports) {
  std::vector<PolicyRule::Port> out;
  for (const auto& port : ports)
    if (auto parsed = parse_port(port)) out.push_back(std::move(*parsed));
  return out;
}

// CNP-5. A name stands for whatever protocols the destination has it for.
std::vector<PolicyRule::Port> parse_ports(const std::vector<k8s::ClusterNetworkPolicyProtocol>& protocols) {
  std::vector<PolicyRule::Port> out;
  auto add = [&](net::Protocol protocol, const std::optional<k8s::PolicyTransport>& transport) {
    if (!transport) return;
    k8s::NetworkPolicyPort port{std::string(net::protocol_name(protocol)), std::nullopt, std::nullopt};
    if (transport->destinationPort && transport->destinationPort->number)
      port.port = *transport->destinationPort->number;
    if (transport->destinationPort && transport->destinationPort->range) {
      port.port = transport->destinationPort->range->start;
      port.endPort = transport->destinationPort->range->end;
    }
    if (auto parsed = parse_port(port)) out.push_back(std::move(*parsed));
  };
  for (const auto& one : protocols) {
    add(net::Protocol::kTcp, one.tcp);
    add(net::Protocol::kUdp, one.udp);
    add(net::Protocol::kSctp, one.sctp);
    if (one.destinationNamedPort.empty()) continue;
    for (net::Protocol protocol : {net::Protocol::kTcp, net::Protocol::kUdp, net::Protocol::kSctp}) {
      PolicyRule::Port port;
      port.protocol = protocol;
      port.is_named = true;
      port.name = one.destinationNamedPort;
      out.push_back(std::move(port));
    }
  }
  return out;
}

// CNP-3: policies of one tier in the order in which they are asked. Of equal priorities the first by name.
std::vector<std::pair<uint32_t, const k8s::ClusterNetworkPolicy*>> in_order(const k8s::Snapshot& snapshot,
                                                                            bool baseline) {
  std::vector<const k8s::ClusterNetworkPolicy*> policies;
  for (const auto& [key, policy] : snapshot.clusternetworkpolicies)
    if ((policy->spec.tier == "Baseline") == baseline) policies.push_back(policy.get());
  std::ranges::sort(policies, {}, [](const auto* policy) {
    return std::pair(policy->spec.priority, std::string_view(policy->metadata.name));
  });
  // A number that a policy of another priority does not change: rows stay as they are.
  constexpr uint32_t kMostEqual = (1 << 15) - 1, kLastPriority = 1023;
  std::vector<std::pair<uint32_t, const k8s::ClusterNetworkPolicy*>> out;
  uint32_t equal = 0;
  for (size_t i = 0; i < policies.size(); ++i) {
    equal = i > 0 && policies[i]->spec.priority == policies[i - 1]->spec.priority ? std::min(equal + 1, kMostEqual) : 0;
    const auto priority = static_cast<uint32_t>(std::clamp<int32_t>(policies[i]->spec.priority, 0, kLastPriority));
    out.emplace_back(priority << 20 | equal << 5, policies[i]);
  }
  return out;
}

class Resolver {
 public:
  Resolver(const k8s::Snapshot& snapshot, const IdentityTable& identities)
      : snapshot_(snapshot), selection_(snapshot, identities) {}

  PolicyModel run() {
    for (const auto& [key, policy] : snapshot_.networkpolicies) {
      auto selected = selection_.subjects(key.namespace_, policy->spec.podSelector);
      add_direction(*policy, selected, Direction::kIngress);
      add_direction(*policy, selected, Direction::kEgress);
    }
    for (bool baseline : {false, true})
      for (const auto& [order, policy] : in_order(snapshot_, baseline)) add_cluster_policy(order, *policy);
    name_classes();
    return std::move(model_);
  }

 private:
  // Classes are known only after every block has been seen.
  struct Pending {
    size_t rule = 0;
    std::vector<std::string> blocks;
    std::map<std::pair<size_t, uint16_t>, std::vector<std::string>>
        named;  // (port index, number) -> blocks of pods that have it
  };
  // Who a rule means: pods of these classes, and addresses.
  struct Peers {
    bool anybody = false, any_pod = false;
    std::vector<size_t> classes;
    std::vector<AddressBlock> blocks;
  };

  std::vector<Identity> identities_of(const std::vector<size_t>& classes) const {
    std::vector<Identity> out;
    for (size_t index : classes) out.push_back(selection_.classes()[index].id);
    sort_unique(out);
    return out;
  }

  void add_direction(const k8s::NetworkPolicy& policy, const std::vector<size_t>& selected, Direction direction) {
    if (!applies(policy.spec, direction)) return;
    bool ingress = direction == Direction::kIngress;
    auto& isolated = ingress ? model_.table.ingress_isolated_by : model_.table.egress_isolated_by;
    for (size_t index : selected)
      isolated[selection_.classes()[index].id].push_back(owner_of("NetworkPolicy", policy.metadata));
    size_t count = ingress ? policy.spec.ingress.size() : policy.spec.egress.size();
    for (size_t i = 0; i < count; ++i) {
      PolicyRule rule;
      rule.owner =
          owner_of("NetworkPolicy", policy.metadata, fmt::format("spec.{}[{}]", ingress ? "ingress" : "egress", i));
      rule.direction = direction;
      rule.policy = policy.metadata.key();
      rule.index = static_cast<int>(i);
      const auto& peers = ingress ? policy.spec.ingress[i].from : policy.spec.egress[i].to;
      const auto& ports = ingress ? policy.spec.ingress[i].ports : policy.spec.egress[i].ports;
      rule.any_port = ports.empty();
      add_rule(std::move(rule), peers_of(peers, policy.metadata.namespace_), parse_ports(ports), selected);
    }
  }

  void add_cluster_policy(uint32_t order, const k8s::ClusterNetworkPolicy& policy) {
    std::vector<size_t> selected;
    const auto& subject = policy.spec.subject;
    if (subject.namespaces)
      selected = selection_.peers({}, {std::nullopt, subject.namespaces, std::nullopt});
    else if (subject.pods)
      selected = selection_.peers({}, {subject.pods->podSelector, subject.pods->namespaceSelector, std::nullopt});
    std::erase_if(selected, [&](size_t index) { return selection_.classes()[index].pod == nullptr; });
    add_tier_rules(order, policy, selected, Direction::kIngress);
    add_tier_rules(order, policy, selected, Direction::kEgress);
  }

  void add_tier_rules(uint32_t order, const k8s::ClusterNetworkPolicy& policy, const std::vector<size_t>& selected,
                      Direction direction) {
    constexpr size_t kLastRule = 31;
    const bool ingress = direction == Direction::kIngress;
    const size_t count = ingress ? policy.spec.ingress.size() : policy.spec.egress.size();
    if (count > 0) {  // without rules it does not touch the direction
      const auto subjects = identities_of(selected);
      (ingress ? model_.table.ingress_tiered : model_.table.egress_tiered).insert(subjects.begin(), subjects.end());
    }
    for (size_t i = 0; i < count; ++i) {
      PolicyRule rule;
      rule.owner = owner_of("ClusterNetworkPolicy", policy.metadata,
                            fmt::format("spec.{}[{}]", ingress ? "ingress" : "egress", i));
      rule.direction = direction;
      rule.policy = policy.metadata.key();
      rule.index = static_cast<int>(i);
      rule.tier = policy.spec.tier == "Baseline" ? PolicyTier::kBaseline : PolicyTier::kAdmin;
      rule.order = order | static_cast<uint32_t>(std::min(i, kLastRule));
      const auto& action = ingress ? policy.spec.ingress[i].action : policy.spec.egress[i].action;
      const auto& peers = ingress ? policy.spec.ingress[i].from : policy.spec.egress[i].to;
      const auto& protocols = ingress ? policy.spec.ingress[i].protocols : policy.spec.egress[i].protocols;
      rule.action = action == "Accept" ? PolicyAction::kAccept
                    : action == "Pass" ? PolicyAction::kPass
                                       : PolicyAction::kDeny;
      if (k8s::unknown_part(action, peers, protocols).empty()) {
        rule.any_port = protocols.empty();
        add_rule(std::move(rule), peers_of(peers), parse_ports(protocols), selected);
      } else if (rule.action != PolicyAction::kAccept) {  // CNP-6
        rule.action = PolicyAction::kDeny;
        rule.any_port = true;
        add_rule(std::move(rule), {.anybody = true, .any_pod = false, .classes = {}, .blocks = {}}, {}, selected);
      }
    }
  }

  void select(Peers& out, const std::string& policy_namespace, const k8s::NetworkPolicyPeer& peer) const {
    const bool every_pod = peer.namespaceSelector && selects_everything(*peer.namespaceSelector) &&
                           (!peer.podSelector || selects_everything(*peer.podSelector));
    if (every_pod)
      out.any_pod = true;
    else
      std::ranges::copy(selection_.peers(policy_namespace, peer), std::back_inserter(out.classes));
  }

  Peers peers_of(const std::vector<k8s::NetworkPolicyPeer>& peers, const std::string& policy_namespace) const {
    Peers out;
    out.anybody = peers.empty();
    for (const auto& peer : peers) {
      if (!peer.ipBlock)
        select(out, policy_namespace, peer);
      else if (auto block = parse_block(*peer.ipBlock))
        out.blocks.push_back(std::move(*block));
    }
    return out;
  }

  Peers peers_of(const std::vector<k8s::ClusterNetworkPolicyPeer>& peers) {
    Peers out;
    for (const auto& peer : peers) {
      if (peer.namespaces) select(out, {}, {std::nullopt, peer.namespaces, std::nullopt});
      if (peer.pods) select(out, {}, {peer.pods->podSelector, peer.pods->namespaceSelector, std::nullopt});
      for (const auto& network : peer.networks)
        if (auto block = parse_block({network, {}})) out.blocks.push_back(std::move(*block));
      if (peer.nodes) out.blocks.push_back(addresses_of_nodes(*peer.nodes));
    }
    return out;
  }

  AddressBlock addresses_of_nodes(const k8s::LabelSelector& selector) {
    model_.needs_nodes = true;
    std::set<net::Prefix> hosts;
    for (const auto& [key, node] : snapshot_.nodes)
      if (k8s::matches(selector, node->metadata.labels))
        for (const auto& address : every_ip(*node)) hosts.insert(net::Prefix::host(address));
    return block_of_hosts("nodes", hosts);
  }

  static AddressBlock block_of_hosts(std::string text, const std::set<net::Prefix>& hosts) {
    for (const auto& host : hosts) text += ":" + host.str();
    return {std::move(text), {hosts.begin(), hosts.end()}, {}};
  }

  void add_rule(PolicyRule rule, const Peers& peers, std::vector<PolicyRule::Port> ports,
                const std::vector<size_t>& selected) {
    Pending pending{model_.table.rules.size(), {}, {}};
    rule.subjects = identities_of(selected);
    rule.any_peer = peers.anybody;
    rule.any_pod = peers.any_pod;
    rule.peers = identities_of(peers.classes);
    for (const auto& block : peers.blocks) {
      pending.blocks.push_back(block.text);
      blocks_.emplace(block.text, block);
    }
    rule.ports = std::move(ports);
    for (size_t i = 0; i < rule.ports.size(); ++i)
      if (rule.ports[i].is_named) learn_numbers(rule, i, selected, peers, pending);
    model_.table.rules.push_back(std::move(rule));
    pending_.push_back(std::move(pending));
  }

  void learn_numbers(PolicyRule& rule, size_t port_index, const std::vector<size_t>& selected, const Peers& peers,
                     Pending& pending) {
    PolicyRule::Port& port = rule.ports[port_index];
    auto learn = [&](size_t index) {
      if (auto number = selection_.port(index, port.name, port.protocol))
        port.named[selection_.classes()[index].id] = *number;
    };
    if (rule.direction == Direction::kIngress) {
      std::ranges::for_each(selected, learn);
      return;
    }
    if (peers.anybody || peers.any_pod)
      for (size_t index = 0; index < selection_.classes().size(); ++index) learn(index);
    else
      std::ranges::for_each(peers.classes, learn);
    if (peers.anybody)
      addresses_with_port(nullptr, port, port_index, pending);
    else
      for (const auto& block : peers.blocks) addresses_with_port(&block, port, port_index, pending);
  }

  // An egress rule for addresses with a named port means each pod's own number: the addresses of pods with one number
  // are a block of their own. Without a block only pods of a node's network are known by address; others are peers.
  void addresses_with_port(const AddressBlock* block, const PolicyRule::Port& port, size_t port_index,
                           Pending& pending) {
    model_.needs_addresses = true;
    std::map<uint16_t, std::set<net::Prefix>> by_number;
    auto note = [&](const k8s::Pod& pod, uint16_t number) {
      for (const auto& address : addresses_of(pod))
        if (!block || in_block(*block, address)) by_number[number].insert(net::Prefix::host(address));
    };
    if (block)
      for (size_t index = 0; index < selection_.classes().size(); ++index)
        if (auto number = selection_.port(index, port.name, port.protocol))
          for (const auto* pod : selection_.classes()[index].members) note(*pod, *number);
    for (const auto* pod : pods_of_node_networks())
      if (auto number = named_port(*pod, port.name, port.protocol)) note(*pod, *number);
    for (const auto& [number, hosts] : by_number) {
      AddressBlock pods = block_of_hosts("pods", hosts);
      pending.named[{port_index, number}].push_back(pods.text);
      blocks_.emplace(pods.text, std::move(pods));
    }
  }

  const std::vector<const k8s::Pod*>& pods_of_node_networks() {
    if (!host_pods_) {
      host_pods_.emplace();
      for (const auto& [key, pod] : snapshot_.pods)
        if (pod->spec.hostNetwork && !is_finished(*pod)) host_pods_->push_back(pod.get());
    }
    return *host_pods_;
  }

  void name_classes() {
    if (blocks_.empty()) return;
    CidrClasses classes(blocks_);
    model_.table.cidrs = classes.table();
    for (const auto& pending : pending_) {
      auto& rule = model_.table.rules[pending.rule];
      for (const auto& block : pending.blocks)
        rule.classes.insert(rule.classes.end(), classes.of_block(block).begin(), classes.of_block(block).end());
      sort_unique(rule.classes);
      for (const auto& [port, texts] : pending.named)
        for (const auto& text : texts)
          for (CidrClass number : classes.of_block(text))
            rule.ports[port.first].named_classes.emplace(number, port.second);
    }
  }

  const k8s::Snapshot& snapshot_;
  Selection selection_;
  PolicyModel model_;
  Blocks blocks_;
  std::optional<std::vector<const k8s::Pod*>> host_pods_;
  std::vector<Pending> pending_;
};

}  // namespace

PolicyModel resolve_policies(const k8s::Snapshot& snapshot, const IdentityTable& identities) {
  return Resolver(snapshot, identities).run();
}

PolicyTable compile_policy(const k8s::Snapshot& snapshot, const IdentityTable& identities,
                           const std::set<Identity>& subjects) {
  PolicyModel model = resolve_policies(snapshot, identities);
  return rows_for(model.table, subjects.empty() ? nullptr : &subjects);
}

}  // namespace carrick::desired
