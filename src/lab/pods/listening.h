#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "desired/listeners/listeners.h"
#include "k8s/snapshot.h"
#include "lab/host/record.h"

// Whether the programs in pods listen yet. Without a readiness probe a pod is Ready when its program runs, as the
// kubelet says it, which is before the program listens: whoever wants to connect at once has to look.
namespace carrick::lab {

// A port where a pod would listen by its manifest, and does not.
struct SilentPort {
  k8s::NamespacedName pod;
  desired::Listener port;
  std::string str() const;  // "shop/web: 8080/tcp"
};
using PodFilter = std::function<bool(const k8s::Pod&)>;  // absent = all

// Of running pods with a container that is a program of this machine; ports that the responder plays are open when
// their pod is Ready. No connection is made: the pods' own tables of sockets are read.
std::vector<SilentPort> silent_ports(const RunningLab& lab, const k8s::Snapshot& snapshot, const PodFilter& filter);

// Looks again until there is none, or `limit` has passed: what is left then. `meanwhile` is told what is waited for.
std::vector<SilentPort> wait_for_programs(const RunningLab& lab, const k8s::Snapshot& snapshot, const PodFilter& filter,
                                          std::chrono::milliseconds limit,
                                          const std::function<void(const std::vector<SilentPort>&)>& meanwhile = {});

// Ports of /proc/net/{tcp,tcp6,udp,udp6} that others can reach: TCP sockets that listen, UDP sockets without a peer,
// those on a loopback address left out.
void add_open_ports(std::string_view table, net::Protocol protocol, std::set<desired::Listener>& out);

}  // namespace carrick::lab
