#pragma once

#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "desired/policy/policy.h"

// Which identities a selector means. Indexed by label, so that a policy costs what it selects, not the size of the
// cluster.
namespace carrick::desired {

// One identity, seen through any one of its pods: policies cannot tell those apart.
struct IdentityClass {
  Identity id = kNoIdentity;
  std::string_view namespace_;
  const k8s::StringMap* labels = nullptr;
  const k8s::Pod* pod = nullptr;  // null: the node's DNS server
  std::vector<const k8s::Pod*> members;
};

// Valid as long as the snapshot it was made from.
class Selection {
 public:
  Selection(const k8s::Snapshot& snapshot, const IdentityTable& identities);

  const std::vector<IdentityClass>& classes() const { return classes_; }
  // Pods of one namespace. The node's DNS server (last class) is never among them: nothing is enforced on it.
  std::vector<size_t> subjects(const std::string& namespace_, const k8s::LabelSelector& selector) const;
  // NP-4; ipBlock peers select nothing here.
  std::vector<size_t> peers(const std::string& policy_namespace, const k8s::NetworkPolicyPeer& peer) const;
  // Number that a port name stands for at the pods of a class; nullopt: they have none of that name and protocol.
  std::optional<uint16_t> port(size_t index, const std::string& name, net::Protocol protocol) const;

 private:
  using Posting = std::vector<uint32_t>;
  void add_posting(uint32_t index);
  const Posting* narrowest(const k8s::LabelSelector& selector, const Posting* start) const;
  void match_namespace(std::string_view name, const k8s::LabelSelector& selector, std::vector<size_t>& out) const;

  std::vector<IdentityClass> classes_;
  std::map<std::string, Posting, std::less<>> by_namespace_;
  std::map<std::string, k8s::StringMap, std::less<>> namespace_labels_;
  std::unordered_map<std::string, Posting> by_label_;  // "key\0value"
  Posting everything_;
};

}  // namespace carrick::desired
