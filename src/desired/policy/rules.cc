#include "desired/policy/rules.h"

#include <algorithm>
#include <optional>

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

  void add_direction(const k8s::NetworkPolicy& policy, const std::vector<size_t>& selected, Direction direction) {
    if (!applies(policy.spec, direction)) return;
    bool ingress = direction == Direction::kIngress;
    auto& isolated = ingress ? model_.table.ingress_isolated_by : model_.table.egress_isolated_by;
    std::vector<Identity> subjects;
    for (size_t index : selected) {
      Identity id = selection_.classes()[index].id;
      subjects.push_back(id);
      isolated[id].push_back(owner_of("NetworkPolicy", policy.metadata));
    }
    sort_unique(subjects);
    size_t count = ingress ? policy.spec.ingress.size() : policy.spec.egress.size();
    for (size_t i = 0; i < count; ++i) {
      PolicyRule rule;
      rule.owner =
          owner_of("NetworkPolicy", policy.metadata, fmt::format("spec.{}[{}]", ingress ? "ingress" : "egress", i));
      rule.direction = direction;
      rule.policy = policy.metadata.key();
      rule.index = static_cast<int>(i);
      rule.subjects = subjects;
      if (ingress)
        add_rule(std::move(rule), policy.spec.ingress[i].from, policy.spec.ingress[i].ports, selected);
      else
        add_rule(std::move(rule), policy.spec.egress[i].to, policy.spec.egress[i].ports, selected);
    }
  }

  void add_rule(PolicyRule rule, const std::vector<k8s::NetworkPolicyPeer>& peers,
                const std::vector<k8s::NetworkPolicyPort>& ports, const std::vector<size_t>& selected) {
    Pending pending{model_.table.rules.size(), {}, {}};
    std::vector<AddressBlock> blocks;
    rule.any_peer = peers.empty();
    std::vector<size_t> chosen;
    for (const auto& peer : peers) {
      for (size_t index : selection_.peers(rule.policy.namespace_, peer)) {
        chosen.push_back(index);
        rule.peers.push_back(selection_.classes()[index].id);
      }
      if (!peer.ipBlock) continue;
      auto block = parse_block(*peer.ipBlock);
      if (!block) continue;
      pending.blocks.push_back(block->text);
      blocks.push_back(*block);
      blocks_.emplace(block->text, std::move(*block));
    }
    sort_unique(rule.peers);
    rule.any_port = ports.empty();
    for (const auto& port : ports) add_port(rule, port, selected, chosen, blocks, pending);
    model_.table.rules.push_back(std::move(rule));
    pending_.push_back(std::move(pending));
  }

  // NP-6.
  void add_port(PolicyRule& rule, const k8s::NetworkPolicyPort& port, const std::vector<size_t>& selected,
                const std::vector<size_t>& peers, const std::vector<AddressBlock>& blocks, Pending& pending) {
    PolicyRule::Port out;
    out.protocol = protocol_or_tcp(port.protocol.value_or("TCP"));
    if (out.protocol == net::Protocol::kAny) return;  // a protocol that does not exist matches nothing
    if (!port.port) {
      rule.ports.push_back(std::move(out));
      return;
    }
    if (const auto* number = std::get_if<int32_t>(&*port.port)) {
      int32_t last = port.endPort.value_or(*number);
      if (*number < 1 || last > 65535 || last < *number) return;
      out.first = static_cast<uint16_t>(*number);
      out.last = static_cast<uint16_t>(last);
      rule.ports.push_back(std::move(out));
      return;
    }
    out.is_named = true;
    out.name = std::get<std::string>(*port.port);
    auto learn = [&](size_t index) {
      if (auto number = selection_.port(index, out.name, out.protocol))
        out.named[selection_.classes()[index].id] = *number;
    };
    if (rule.direction == Direction::kIngress) {
      for (size_t index : selected) learn(index);
    } else if (rule.any_peer) {
      for (size_t index = 0; index < selection_.classes().size(); ++index) learn(index);
    } else {
      for (size_t index : peers) learn(index);
      for (const auto& block : blocks) pods_in_block(block, out, rule.ports.size(), pending);
    }
    rule.ports.push_back(std::move(out));
  }

  // An egress ipBlock with a named port means, of the pods inside the block, each one's own number: the addresses of
  // the pods with one number are a block of their own.
  void pods_in_block(const AddressBlock& block, const PolicyRule::Port& port, size_t port_index, Pending& pending) {
    model_.needs_addresses = true;
    std::map<uint16_t, std::set<net::Prefix>> by_number;
    for (size_t index = 0; index < selection_.classes().size(); ++index) {
      auto number = selection_.port(index, port.name, port.protocol);
      if (!number) continue;
      for (const auto* pod : selection_.classes()[index].members)
        for (const auto& address : addresses_of(*pod))
          if (in_block(block, address)) by_number[*number].insert(net::Prefix::host(address));
    }
    for (const auto& [number, hosts] : by_number) {
      AddressBlock pods{fmt::format("pods:{}:{}/{}={}", block.text, port.name, static_cast<int>(port.protocol), number),
                        {hosts.begin(), hosts.end()},
                        {}};
      pending.named[{port_index, number}].push_back(pods.text);
      blocks_.emplace(pods.text, std::move(pods));
    }
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
          for (CidrClass number : classes.of_block(text)) rule.ports[port.first].named_classes[number] = port.second;
    }
  }

  const k8s::Snapshot& snapshot_;
  Selection selection_;
  PolicyModel model_;
  Blocks blocks_;
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
