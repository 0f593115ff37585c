#pragma once

#include <array>

#include "explain/explain.h"

// Policies as a whole, without packets: who may reach whom on which ports. Exact: pods that no policy tells apart are
// one party, addresses that no policy tells apart are one region, and ports are sets of ranges, so nothing is sampled.
// What is judged are policies alone; whether anybody listens, and how Services translate, is explain()'s.
namespace carrick::explain {

// A set of ports of each protocol; what is neither TCP, UDP nor SCTP has no ports and is all or nothing.
class PortSet {
 public:
  PortSet() = default;
  static PortSet everything();
  static PortSet range(net::Protocol protocol, uint16_t first, uint16_t last);
  bool empty() const;
  bool contains(const desired::Listener& port) const;
  bool contains(const PortSet& other) const { return (other - *this).empty(); }
  desired::Listener first() const;  // of a set that is not empty; kAny stands for what has no ports
  std::string str() const;          // "all", "tcp 80,9000-9010; udp 53", "none"
  friend PortSet operator|(const PortSet& a, const PortSet& b);
  friend PortSet operator&(const PortSet& a, const PortSet& b);
  friend PortSet operator-(const PortSet& a, const PortSet& b);
  auto operator<=>(const PortSet&) const = default;

 private:
  enum Group { kTcp, kUdp, kSctp, kOther, kGroups };
  using Ranges = std::vector<std::pair<uint32_t, uint32_t>>;  // sorted, disjoint, not adjacent; [first, last]
  template <class Keep>
  static PortSet combine(const PortSet& a, const PortSet& b, Keep keep);
  std::array<Ranges, kGroups> groups_;
};

// A side of a connection: pods of one workload that no policy tells apart, or a region of addresses that are nobody's.
struct PolicyParty {
  std::string name;      // "shop/api", "shop/api (api-0)", "outside", "outside 203.0.113.0/24"
  std::string workload;  // "shop/api"; empty: a region
  std::vector<k8s::NamespacedName> pods;
  net::IpAddress address;  // one of it
  desired::Identity identity = desired::kNoIdentity;
  desired::CidrClass region = 0;
};

// The policies of one state of a cluster, in one family of addresses.
class PolicyReach {
 public:
  PolicyReach(const k8s::Snapshot& snapshot, bool ipv4);
  const std::vector<PolicyParty>& parties() const { return parties_; }
  // Ports that `from` may reach at `to`. Two regions, and a pod and itself, are no question of policies.
  PortSet between(const PolicyParty& from, const PolicyParty& to) const;
  // One end alone.
  PortSet allowed(desired::Direction direction, const PolicyParty& subject, const PolicyParty& peer) const;
  // What one rule is about, whatever others say.
  PortSet said(const desired::PolicyRule& rule, const PolicyParty& subject, const PolicyParty& peer) const;
  bool isolated(desired::Direction direction, const PolicyParty& subject) const;  // by a NetworkPolicy
  // The same pod or region in this state; pods that are not there: null.
  const PolicyParty* party_of(const k8s::NamespacedName& pod) const;
  PolicyParty region_of(const net::IpAddress& address) const;
  // Where regions begin: every prefix that some policy names and that is not of pods or nodes, and the whole family.
  std::vector<net::Prefix> region_edges() const;
  const desired::PolicyTable& table() const { return table_; }
  const k8s::Snapshot& snapshot() const { return snapshot_; }
  bool ipv4() const { return ipv4_; }

 private:
  bool means(const desired::PolicyRule& rule, const PolicyParty& peer) const;
  desired::CidrClass class_of(const net::IpAddress& address) const;
  void add_pods();
  void add_regions();

  const k8s::Snapshot& snapshot_;
  bool ipv4_;
  desired::PolicyTable table_;
  std::vector<PolicyParty> parties_;
  std::map<k8s::NamespacedName, size_t> by_pod_;
  std::map<std::pair<desired::Identity, desired::Direction>, std::vector<const desired::PolicyRule*>> rules_;
  mutable std::map<std::tuple<desired::Identity, desired::Direction, desired::Identity, desired::CidrClass>, PortSet>
      known_;
};

// "outside 10.0.0.0/8 except 10.1.0.0/16", given every edge; and an address there, null when narrower edges cover it.
std::string region_name(const net::Prefix& prefix, const std::vector<net::Prefix>& edges);
std::optional<net::IpAddress> address_in_region(const net::Prefix& prefix, const std::vector<net::Prefix>& edges);

// ---- Reports ----

struct PolicyEdge {
  std::string from, to;
  PortSet ports;
  auto operator<=>(const PolicyEdge&) const = default;
};
// Every pair that may talk, parties that behave alike together.
std::vector<PolicyEdge> policy_edges(const PolicyReach& reach);
struct PolicyDifference {
  std::string from, to;
  PortSet added, removed;
  auto operator<=>(const PolicyDifference&) const = default;
};
// Pods are the same when workload, place in the order of its pods and policies make them so; a pod that only one state
// has reaches nothing in the other.
std::vector<PolicyDifference> policy_diff(const PolicyReach& before, const PolicyReach& after);

enum class Severity : uint8_t { kInfo, kWarning, kError };
std::string_view severity_word(Severity severity);
struct PolicyFinding {
  std::string rule;  // "dead-rule"
  Severity severity = Severity::kWarning;
  desired::Owner owner;
  std::string sentence;
  std::string place;  // "policies.yaml:12" or empty
};
std::vector<PolicyFinding> policy_lint(const k8s::Snapshot& snapshot, const Locate& locate);
// The rules that policy_lint() knows, with what each looks for.
std::vector<std::pair<std::string, std::string>> lint_rules();
// What RULES.yaml (docs/guide/policy.md) says, and does not hold: each with a flow that shows it. kInvalid names file
// and line of what is no rule.
Result<std::vector<PolicyFinding>> policy_check(const k8s::Snapshot& snapshot, std::string_view rules,
                                                const std::string& file, size_t* count);

std::string edges_text(const std::vector<PolicyEdge>& edges);
std::string edges_json(const std::vector<PolicyEdge>& edges);
std::string edges_csv(const std::vector<PolicyEdge>& edges);
std::string edges_dot(const std::vector<PolicyEdge>& edges);
std::string diff_text(const std::vector<PolicyDifference>& differences);
std::string diff_json(const std::vector<PolicyDifference>& differences);
std::string findings_text(const std::vector<PolicyFinding>& findings);
std::string findings_json(const std::vector<PolicyFinding>& findings);
std::string findings_sarif(const std::vector<PolicyFinding>& findings);
std::string findings_junit(const std::vector<PolicyFinding>& findings, size_t checks);

}  // namespace carrick::explain
