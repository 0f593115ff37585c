#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "k8s/snapshot.h"
#include "watch/assembly.h"
#include "watch/client.h"

namespace carrick::watch {

struct WatcherStats {
  uint64_t lists = 0, events = 0, restarts = 0, decode_failures = 0;
  std::string last_error;
  KindVersions versions;
};

// Lists and watches what the network needs (k8s::Snapshot) and publishes immutable snapshots on the io_context's
// thread. Events that arrive together are published together. A watch that ends is resumed from its resourceVersion;
// 410 lists again, and objects that vanished meanwhile are in the ChangeSet. Until every resource has been listed once,
// nothing is published; while the API server is away the last snapshot stays.
class SnapshotWatcher {
 public:
  using Publish = std::function<void(std::shared_ptr<const k8s::Snapshot>, const k8s::ChangeSet&)>;
  SnapshotWatcher(boost::asio::io_context& io, Client& client, Publish publish, Detail detail = Detail::kObjects);
  ~SnapshotWatcher();
  void start();
  WatcherStats stats() const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

// All of it once, blocking: for commands (explain --lab, probe, status).
Result<k8s::Snapshot> fetch_snapshot(const Credentials& credentials);

}  // namespace carrick::watch
