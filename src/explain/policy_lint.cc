#include <algorithm>

#include "base/text.h"
#include "desired/object_facts.h"
#include "explain/policy.h"

// What is suspicious in policies, with a reason a person can check.
namespace carrick::explain {
namespace {

using desired::Direction;
using desired::Owner;
using desired::PolicyAction;
using desired::PolicyRule;
using desired::PolicyTier;

class Linter {
 public:
  Linter(const k8s::Snapshot& snapshot, const Locate& locate)
      : snapshot_(snapshot), locate_(locate), reach_(snapshot, has_ipv4(snapshot)) {}

  std::vector<PolicyFinding> run() {
    for (const auto& [key, policy] : snapshot_.networkpolicies) look_at(*policy);
    for (const auto& [key, policy] : snapshot_.clusternetworkpolicies) look_at(*policy);
    for (const auto& rule : reach_.table().rules) look_at(rule);
    duplicates();
    workloads();
    std::vector<PolicyFinding> sorted;  // the worst first
    for (Severity severity : {Severity::kError, Severity::kWarning, Severity::kInfo})
      for (const auto& finding : out_)
        if (finding.severity == severity) sorted.push_back(finding);
    return sorted;
  }

 private:
  static bool has_ipv4(const k8s::Snapshot& snapshot) {
    return std::ranges::any_of(snapshot.pods, [](const auto& entry) {
      return std::ranges::any_of(desired::addresses_of(*entry.second), [](const auto& a) { return a.is_v4(); });
    });
  }

  void find(const char* rule, Severity severity, Owner owner, std::string sentence) {
    std::string place = locate_ && !owner.name.empty() ? locate_(owner) : "";
    out_.push_back({rule, severity, std::move(owner), std::move(sentence), std::move(place)});
  }

  static bool everybody(const k8s::LabelSelector& selector) {
    return selector.matchLabels.empty() && selector.matchExpressions.empty();
  }

  void look_at(const k8s::NetworkPolicy& policy) {
    const Owner owner = desired::owner_of("NetworkPolicy", policy.metadata);
    const bool selects = std::ranges::any_of(snapshot_.pods, [&](const auto& entry) {
      const auto& pod = *entry.second;
      return entry.first.namespace_ == policy.metadata.namespace_ && !pod.spec.hostNetwork &&
             k8s::matches(policy.spec.podSelector, pod.metadata.labels);
    });
    if (!selects) find("selects-nothing", Severity::kWarning, owner, "its podSelector selects no pod of its namespace");
    if (policy.spec.policyTypes.empty() && !policy.spec.egress.empty())
      find("types-not-said", Severity::kInfo, owner,
           "it has egress rules and no policyTypes, so it isolates ingress as well");
    for (size_t i = 0; i < policy.spec.ingress.size(); ++i)
      wide(policy, "ingress", i, policy.spec.ingress[i].from, policy.spec.ingress[i].ports.empty());
    for (size_t i = 0; i < policy.spec.egress.size(); ++i)
      wide(policy, "egress", i, policy.spec.egress[i].to, policy.spec.egress[i].ports.empty());
  }

  void wide(const k8s::NetworkPolicy& policy, const char* direction, size_t index,
            const std::vector<k8s::NetworkPolicyPeer>& peers, bool any_port) {
    const bool anybody = peers.empty() || std::ranges::any_of(peers, [](const auto& peer) {
                           return peer.ipBlock && peer.ipBlock->except.empty() &&
                                  (peer.ipBlock->cidr == "0.0.0.0/0" || peer.ipBlock->cidr == "::/0");
                         });
    if (anybody && any_port)
      find("allows-everything", Severity::kInfo,
           desired::owner_of("NetworkPolicy", policy.metadata, fmt::format("spec.{}[{}]", direction, index)),
           std::string_view(direction) == "ingress" ? "it lets everybody in on every port"
                                                    : "it lets its pods reach everything on every port");
  }

  void look_at(const k8s::ClusterNetworkPolicy& policy) {
    const Owner owner = desired::owner_of("ClusterNetworkPolicy", policy.metadata);
    for (const auto& why : k8s::unknown_parts(policy.spec))
      find("not-held", Severity::kError, owner, why + "; it fails closed");
    if (policy.spec.ingress.empty() && policy.spec.egress.empty())
      find("no-rules", Severity::kWarning, owner, "it has no rules, so it does nothing");
    for (const auto& [key, other] : snapshot_.clusternetworkpolicies)
      if (key < policy.metadata.key() && other->spec.tier == policy.spec.tier &&
          other->spec.priority == policy.spec.priority)
        find("same-priority", Severity::kWarning, owner,
             fmt::format(
                 "ClusterNetworkPolicy {} has the same tier and priority; which is asked first is nobody's promise",
                 key.name));
  }

  void look_at(const PolicyRule& rule) {
    if (rule.subjects.empty()) {
      if (rule.tier != PolicyTier::kNetworkPolicy)
        find("selects-nothing", Severity::kWarning, rule.owner, "its policy's subject selects no pod");
      return;
    }
    const bool ingress = rule.direction == Direction::kIngress;
    if (!rule.any_peer && !rule.any_pod && rule.peers.empty() && rule.classes.empty())
      find("peers-select-nothing", Severity::kWarning, rule.owner,
           fmt::format("no pod and no address is meant by its {}", ingress ? "from" : "to"));
    for (const auto& port : rule.ports)
      if (port.is_named && port.named.empty() && port.named_classes.empty())
        find("named-port-nobody-has", Severity::kWarning, rule.owner,
             fmt::format("no {} pod has a {} port called \"{}\"", ingress ? "selected" : "destination",
                         net::protocol_name(port.protocol), port.name));
    if (dead(rule)) find("dead-rule", Severity::kWarning, rule.owner, "other rules already say all that it says");
    if (rule.tier == PolicyTier::kNetworkPolicy) half_open(rule);
  }

  const PolicyParty* any_of(desired::Identity id) const {
    for (const auto& party : reach_.parties())
      if (party.identity == id && !party.workload.empty()) return &party;
    return nullptr;
  }

  // Without the rule every pod it is about may do the same. Compared with the others of its tier, over every party.
  bool dead(const PolicyRule& rule) const {
    bool says_something = false;
    for (desired::Identity id : rule.subjects) {
      const PolicyParty* subject = any_of(id);
      if (!subject) continue;
      for (const auto& peer : reach_.parties()) {
        PortSet left = reach_.said(rule, *subject, peer);
        if (left.empty()) continue;
        says_something = true;
        for (const auto& other : reach_.table().rules) {
          if (&other == &rule || other.direction != rule.direction || other.tier != rule.tier ||
              !std::ranges::binary_search(other.subjects, id))
            continue;
          // Of two equal rules the later one is dead; in a tier only what comes before counts.
          const bool tiered = rule.tier != PolicyTier::kNetworkPolicy;
          if (tiered && other.order > rule.order) continue;
          const bool equal = !tiered && reach_.said(other, *subject, peer) == reach_.said(rule, *subject, peer);
          if (equal && &other > &rule) continue;
          left = left - reach_.said(other, *subject, peer);
        }
        if (!left.empty()) return false;
      }
    }
    return says_something;
  }

  // One end opens what the other keeps shut: for pods that the rule names.
  void half_open(const PolicyRule& rule) {
    const bool ingress = rule.direction == Direction::kIngress;
    std::set<std::string> shut;
    size_t open = 0;
    for (desired::Identity id : rule.subjects)
      for (desired::Identity other : rule.peers) {
        const PolicyParty *subject = any_of(id), *peer = any_of(other);
        if (!subject || !peer || id == other) continue;
        const PortSet said = reach_.said(rule, *subject, *peer);
        const PortSet there = reach_.allowed(ingress ? Direction::kEgress : Direction::kIngress, *peer, *subject);
        if (said.empty()) continue;
        if ((said & there).empty())
          shut.insert(fmt::format("{} {} {} on {}", ingress ? peer->name : subject->name,
                                  ingress ? "may not send to" : "is not let in by",
                                  ingress ? subject->name : peer->name, said.str()));
        else
          ++open;
      }
    if (!shut.empty() && open == 0)
      find("half-open", Severity::kWarning, rule.owner,
           fmt::format("it opens one end only: {}{}", *shut.begin(),
                       shut.size() > 1 ? fmt::format(" (and {} more)", shut.size() - 1) : ""));
  }

  void duplicates() {
    for (const auto& [key, policy] : snapshot_.networkpolicies)
      for (const auto& [other_key, other] : snapshot_.networkpolicies)
        if (other_key < key && other_key.namespace_ == key.namespace_ && other->spec == policy->spec) {
          find("duplicate", Severity::kWarning, desired::owner_of("NetworkPolicy", policy->metadata),
               fmt::format("NetworkPolicy {} says the same", other_key.str()));
          break;
        }
  }

  void workloads() {
    PolicyParty dns;
    dns.identity = desired::kNodeDnsIdentity;
    dns.address = net::IpAddress::parse(reach_.ipv4() ? desired::kNodeDnsV4 : desired::kNodeDnsV6).value();
    dns.region = reach_.region_of(dns.address).region;
    const PortSet ask = PortSet::range(net::Protocol::kUdp, 53, 53);
    for (const auto& party : reach_.parties()) {
      if (party.workload.empty()) continue;
      const Owner pod{"Pod", party.pods.front().namespace_, party.pods.front().name, {}};
      if (!reach_.isolated(Direction::kIngress, party))
        find("not-isolated", Severity::kInfo, pod,
             fmt::format("no NetworkPolicy isolates {} for ingress: everybody reaches it", party.name));
      const bool sends = std::ranges::any_of(
          reach_.parties(), [&](const auto& peer) { return !reach_.allowed(Direction::kEgress, party, peer).empty(); });
      if (sends && !reach_.allowed(Direction::kEgress, party, dns).contains(ask))
        find("no-dns", Severity::kWarning, pod,
             fmt::format("{} may send, but cannot ask the cluster's DNS on 53/udp", party.name));
    }
  }

  const k8s::Snapshot& snapshot_;
  const Locate& locate_;
  PolicyReach reach_;
  std::vector<PolicyFinding> out_;
};

}  // namespace

std::string_view severity_word(Severity severity) {
  return severity == Severity::kInfo ? "info" : severity == Severity::kWarning ? "warning" : "error";
}

std::vector<std::pair<std::string, std::string>> lint_rules() {
  return {{"not-held", "a rule of a ClusterNetworkPolicy that Carrick cannot hold as it stands"},
          {"selects-nothing", "a policy whose selector selects no pod"},
          {"peers-select-nothing", "a rule whose peers are nobody"},
          {"named-port-nobody-has", "a port name that no destination pod has"},
          {"dead-rule", "a rule that changes nothing, as others say the same and more"},
          {"duplicate", "two policies of one namespace that say the same"},
          {"half-open", "a rule that opens one end of a connection whose other end stays shut"},
          {"no-dns", "a pod that may send and cannot ask the cluster's DNS"},
          {"same-priority", "two ClusterNetworkPolicies of one tier and priority"},
          {"no-rules", "a ClusterNetworkPolicy without rules"},
          {"types-not-said", "egress rules without policyTypes, which isolate ingress too"},
          {"allows-everything", "a rule for everybody and every port"},
          {"not-isolated", "a pod that no NetworkPolicy isolates for ingress"}};
}

std::vector<PolicyFinding> policy_lint(const k8s::Snapshot& snapshot, const Locate& locate) {
  return Linter(snapshot, locate).run();
}

}  // namespace carrick::explain
