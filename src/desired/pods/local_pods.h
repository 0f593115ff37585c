#pragma once

#include <set>

#include "desired/policy/policy.h"

namespace carrick::desired {

// The object of a plumbed pod: same name, and the same incarnation where both sides know its uid; null when unknown.
const k8s::Pod* object_of(const LocalPod& local, const k8s::Snapshot& snapshot);

// Identities whose policy this node needs: pods bound to it (before they are plumbed, so that rules wait for the pod
// and not the pod for rules). Never empty: compile_policy takes an empty set as everybody.
std::set<Identity> subjects_of_node(const k8s::Snapshot& snapshot, const NodeView& node,
                                    const IdentityTable& identities);

}  // namespace carrick::desired
