#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>

#include "controllers/documents.h"

namespace carrick::controllers {

// Keys that want a look, each at most once. A key that failed, or wants to be looked at later, waits for its time.
// Bounded by the number of objects.
class WorkQueue {
 public:
  using Key = k8s::NamespacedName;

  void add(const Key& key) {
    if (pending_.insert(key).second) ready_.push_back(key);
  }
  // The earlier of two times for one key wins.
  void add_at(const Key& key, Time due) {
    auto [at, inserted] = due_.try_emplace(key, due);
    if (inserted || due < at->second) {
      if (!inserted) by_time_.erase({at->second, key});
      at->second = due;
      by_time_.insert({due, key});
    }
  }
  // Back-off: 10 ms doubled with each failure in a row, at most 30 s.
  void add_after_failure(const Key& key, Time now) {
    const int failures = std::min(failures_[key]++, 12);
    add_at(key, now + std::min<std::chrono::milliseconds>(std::chrono::milliseconds(10LL << failures),
                                                          std::chrono::seconds(30)));
  }
  void forget_failures(const Key& key) { failures_.erase(key); }

  bool has_ready() const { return !ready_.empty(); }
  std::optional<Key> take() {
    if (ready_.empty()) return std::nullopt;
    Key key = std::move(ready_.front());
    ready_.pop_front();
    pending_.erase(key);
    return key;
  }
  void move_due(Time now) {
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
      const Key key = by_time_.begin()->second;
      by_time_.erase(by_time_.begin());
      due_.erase(key);
      add(key);
    }
  }
  std::optional<Time> next_due() const {
    return by_time_.empty() ? std::nullopt : std::optional(by_time_.begin()->first);
  }

 private:
  std::deque<Key> ready_;
  std::set<Key> pending_;
  std::map<Key, Time> due_;
  std::set<std::pair<Time, Key>> by_time_;
  std::map<Key, int> failures_;
};

}  // namespace carrick::controllers
