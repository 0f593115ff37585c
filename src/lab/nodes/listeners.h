#pragma once

#include <memory>
#include <set>
#include <vector>

#include "k8s/snapshot.h"
#include "lab/responder/responder.h"

namespace carrick::lab {

// The ports on which the responder answers for a pod: containerPorts, target ports of the Services that select it, and the
// ports of its probes (12 % of real target ports are declared nowhere as a containerPort).
std::set<Listener> listeners_of(const k8s::Pod& pod, const k8s::Snapshot& snapshot);

}  // namespace carrick::lab
