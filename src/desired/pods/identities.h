#pragma once

#include <map>
#include <set>
#include <string>

#include "desired/policy/policy.h"

// How pods become identities. ADR 3: a number is a hash of what it stands for.
namespace carrick::desired {

// What policies look at: pods that agree on it (and on the namespace) cannot be told apart by any policy.
struct PolicyInterest {
  std::set<std::string> label_keys;  // of pods
  std::set<std::string> port_names;
  bool operator==(const PolicyInterest&) const = default;
};
PolicyInterest compile_interest(const k8s::Snapshot& snapshot);

// Canonical text of what an identity stands for; equal text = equal identity. The namespace stands for its labels.
std::string identity_content(const k8s::Pod& pod, const PolicyInterest& interest);
bool has_identity(const k8s::Pod& pod);  // not for hostNetwork pods (NP-11) and finished ones

// Number of a content when no other content hashes to the same: the ordinary case.
Identity preferred_identity(std::string_view content);
// Numbers of a whole set of contents: equal hashes are resolved by probing in sorted order, so the result depends on
// the set alone.
std::map<std::string, Identity> assign_identities(const std::set<std::string>& contents);

}  // namespace carrick::desired
