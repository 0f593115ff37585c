#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "k8s/snapshot.h"
#include "lab/host/record.h"
#include "watch/client.h"

namespace carrick::lab {

struct Progress {
  size_t nodes_ready = 0, nodes = 0, pods_ready = 0, pods = 0, agents_realized = 0;
};

struct WaitEnd {
  std::shared_ptr<const k8s::Snapshot> snapshot;
  std::vector<std::string> problems;  // empty: every pod is Ready and every row is realized; else what is not, and why
};

// Waits until every workload has its pods, every pod is Ready and every agent says that it has realized what the API
// server holds.
WaitEnd wait_until_ready(const RunningLab& lab, const watch::Credentials& credentials, std::chrono::seconds limit,
                         const std::function<void(const Progress&)>& progress);

}  // namespace carrick::lab
