#pragma once

#include <algorithm>

#include "controllers/controllers.h"
#include "controllers/work_queue.h"

namespace carrick::controllers {

// A reconcile costs in proportion to the pods it looks at, and while many pods come up there is a reason for one with
// each of them: together, the square. So the next one of a large key waits 1 ms for every 4 pods, at most 250 ms,
// counted from the last. Without timers nothing waits.
class Pacing {
 public:
  explicit Pacing(const Options& options) : options_(options) {}

  void note(WorkQueue& queue, const k8s::NamespacedName& key) const {
    const auto wait = not_before_.find(key);
    if (wait != not_before_.end() && wait->second > options_.now())
      queue.add_at(key, wait->second);
    else
      queue.add(key);
  }
  void worked(const k8s::NamespacedName& key, size_t pods) {
    const auto wait =
        std::min<std::chrono::milliseconds>(std::chrono::milliseconds(pods / 4), std::chrono::milliseconds(250));
    if (!options_.after || wait.count() < 5)
      not_before_.erase(key);
    else
      not_before_[key] = options_.now() + wait;
  }

 private:
  const Options& options_;
  std::map<k8s::NamespacedName, Time> not_before_;
};

}  // namespace carrick::controllers
