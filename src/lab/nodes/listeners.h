#pragma once

#include <memory>
#include <set>
#include <vector>

#include "k8s/snapshot.h"
#include "lab/responder/responder.h"

namespace carrick::lab {

// The pod's row of desired::compile_listeners: where `explain` takes it to listen, the responder listens.
std::set<Listener> listeners_of(const k8s::Pod& pod, const k8s::Snapshot& snapshot);

}  // namespace carrick::lab
