#include "lab/supervisor/children.h"

#include <sys/wait.h>

#include <algorithm>

#include "base/log.h"

namespace carrick::lab {
namespace {

constexpr auto kFirstPause = std::chrono::milliseconds(100);
constexpr auto kLongestPause = std::chrono::seconds(5);
constexpr auto kProven = std::chrono::seconds(10);  // a process that lived so long begins again without a pause

std::string describe_end(int status) {
  if (WIFSIGNALED(status)) return fmt::format("killed by signal {}", WTERMSIG(status));
  return fmt::format("ended with exit code {}", WEXITSTATUS(status));
}

}  // namespace

Result<void> Children::start(std::string name, SpawnRequest request) {
  Child child{.name = std::move(name), .request = std::move(request)};
  child.pid = TRY(spawn(child.request));
  child.started = Clock::now();
  children_.push_back(std::move(child));
  return {};
}

void Children::ended(pid_t pid, int wait_status, Clock::time_point now) {
  auto it = std::ranges::find(children_, pid, &Child::pid);
  if (pid <= 0 || it == children_.end()) return;
  Child& child = *it;
  child.pid = 0;
  child.last_end = describe_end(wait_status);
  if (now - child.started >= kProven) child.pause = {};
  child.next_start = now + child.pause;
  child.pause = std::clamp<Clock::duration>(child.pause * 2, kFirstPause, kLongestPause);
  log::warn("{} {}; starting it again", child.name, child.last_end);
}

void Children::start_due(Clock::time_point now) {
  for (Child& child : children_) {
    if (child.pid != 0 || child.next_start > now) continue;
    ++child.restarts;
    child.started = now;
    auto pid = spawn(child.request);
    if (pid) {
      child.pid = *pid;
      continue;
    }
    log::error("{}: {}", child.name, pid.error().message);
    child.last_end = pid.error().message;
    child.next_start = now + child.pause;
    child.pause = std::clamp<Clock::duration>(child.pause * 2, kFirstPause, kLongestPause);
  }
}

Children::Clock::time_point Children::next_start() const {
  auto next = Clock::time_point::max();
  for (const Child& child : children_)
    if (child.pid == 0) next = std::min(next, child.next_start);
  return next;
}

}  // namespace carrick::lab
