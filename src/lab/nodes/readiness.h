#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "k8s/core.h"

// Readiness by a pod's own probes, over the network, from its node (as the kubelet does).
namespace carrick::lab {

struct ProbeTarget {
  std::string address;  // the pod's, or the probe's `host`
  uint16_t port = 0;
  bool http = false;  // else a TCP handshake is enough
  std::string path, host_header;
  int timeout_seconds = 1;
};

// The network part of a probe; none when it has none (exec). kInvalid for a port name that the container does not have.
Result<std::optional<ProbeTarget>> probe_target(const k8s::Probe& probe, const k8s::Container& container,
                                                const std::string& pod_address);

// `done` gets an empty sentence when the probe passes (HTTP 200 to 399), else why not.
void run_probe(boost::asio::io_context& io, int node_netns, const ProbeTarget& target,
               std::function<void(std::string)> done);

}  // namespace carrick::lab
