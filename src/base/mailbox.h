#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>

namespace carrick {

// Bounded coalescing mailbox between two strands: it holds one value, the newest wins, and `wake` runs on the
// producer's thread once for each change from empty to full (typically it posts to the consumer's executor, which calls
// take()).
template <class T>
class Mailbox {
 public:
  explicit Mailbox(std::function<void()> wake = {}) : wake_(std::move(wake)) {}

  void on_wake(std::function<void()> wake) { wake_ = std::move(wake); }

  void put(std::shared_ptr<const T> value) {
    bool was_empty;
    {
      std::lock_guard lock(mutex_);
      was_empty = !value_;
      value_ = std::move(value);
    }
    if (was_empty && wake_) wake_();
  }

  // The newest value, or null when nothing came since the last take().
  std::shared_ptr<const T> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(value_, nullptr);
  }

 private:
  std::mutex mutex_;
  std::shared_ptr<const T> value_;
  std::function<void()> wake_;
};

}  // namespace carrick
