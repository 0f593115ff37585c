#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "lab/host/process.h"

namespace carrick::lab {

// The processes of a lab. One that ends is started again, at once the first time and then after a pause that doubles.
class Children {
 public:
  using Clock = std::chrono::steady_clock;

  struct Child {
    std::string name;
    SpawnRequest request;
    pid_t pid = 0;  // 0: waiting for next_start
    int restarts = 0;
    std::string last_end;  // "killed by signal 9", for people
    Clock::time_point started, next_start;
    Clock::duration pause{};
  };

  // Descriptors in `request` must stay open as long as this object.
  Result<void> start(std::string name, SpawnRequest request);
  // A process of the lab has ended: one of ours, or an orphan (then nothing happens).
  void ended(pid_t pid, int wait_status, Clock::time_point now);
  void start_due(Clock::time_point now);
  // When start_due has something to do next; Clock::time_point::max() for never.
  Clock::time_point next_start() const;
  const std::vector<Child>& list() const { return children_; }

 private:
  std::vector<Child> children_;
};

}  // namespace carrick::lab
