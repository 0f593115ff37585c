#pragma once

#include <set>
#include <utility>
#include <vector>

#include "desired/policy/policy.h"

// The two halves of compile_policy: what the policies mean for all pods, and the rows of some of them.
namespace carrick::desired {

// Every rule with the identities and classes it means, isolation of every identity, classes; no rows.
struct PolicyModel {
  PolicyTable table;
  bool needs_addresses = false;  // an egress rule has a named port: the result depends on addresses of pods
  bool needs_nodes = false;      // a rule names nodes
};
PolicyModel resolve_policies(const k8s::Snapshot& snapshot, const IdentityTable& identities);

// The part that concerns `subjects`, with rows; null = everybody.
PolicyTable rows_for(const PolicyTable& model, const std::set<Identity>* subjects);

// [first, last] as aligned blocks: value and number of leading bits that count.
std::vector<std::pair<uint16_t, uint8_t>> split_range(uint16_t first, uint16_t last);

}  // namespace carrick::desired
