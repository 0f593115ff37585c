#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "lab/host/record.h"
#include "lab/prober/engine.h"

namespace carrick::lab {

struct ProbeSource {
  std::string node;
  std::string netns, resolv_conf;  // paths on the machine
};

// Runs all tasks in processes of their own, one for each node that has sources, in the cgroup of that node: so the
// node's socket programs see the connections. Tasks that met silence although `retry_silence` says that they should not
// are tried once more, with `patience`: a packet may have been lost, or the machine busy.
Result<std::vector<ProbeOutcome>> probe_from_nodes(const RunningLab& lab, const std::vector<ProbeSource>& sources,
                                                   const std::vector<ProbeTask>& tasks,
                                                   std::chrono::milliseconds timeout,
                                                   std::chrono::milliseconds patience,
                                                   const std::function<bool(size_t)>& retry_silence);

}  // namespace carrick::lab
