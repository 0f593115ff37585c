#pragma once

#include <map>
#include <set>

#include "k8s/snapshot.h"
#include "net/ip.h"

// listeners: where the lab's responder answers in each pod, and so what `explain` takes for open and `probe` asks.
namespace carrick::desired {

struct Listener {
  uint16_t port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  auto operator<=>(const Listener&) const = default;
};
using ListenerTable = std::map<k8s::NamespacedName, std::set<Listener>>;

// Declared containerPorts, targetPorts of the Services that select the pod (12 % of them are declared nowhere), and
// ports of probes, with names resolved. Every pod that is not finished has an entry, an empty one when it listens
// nowhere.
ListenerTable compile_listeners(const k8s::Snapshot& snapshot);

}  // namespace carrick::desired
