#include "agent/flow_sweeper.h"

#include "base/log.h"

namespace carrick::agent {
namespace {

// Connections that got entries. Those of the socket hooks get theirs when their first packet comes.
uint64_t accepted_connections(const std::vector<uint64_t>& counters) {
  uint64_t sum = 0;
  for (size_t hook = 0; hook < HOOK_COUNT; ++hook)
    if (hook != HOOK_SOCKET) sum += counters[hook * WIRE_DROP_SLOTS + DROP_NONE];
  return sum;
}

}  // namespace

FlowSweeper::FlowSweeper(boost::asio::io_context& io, kernel::Programs& programs, uint64_t capacity)
    : programs_(programs), swept_(Clock::now()), ticker_(io, kLook, [this](Clock::time_point now) { look(now); }) {
  stats_.capacity = capacity;
  if (auto counters = programs_.counters()) accepted_ = accepted_connections(*counters);
}

void FlowSweeper::look(Clock::time_point now) {
  auto counters = programs_.counters();
  if (!counters) return;
  const uint64_t accepted = accepted_connections(*counters);
  const bool may_be_filling = 2 * (accepted - accepted_) >= stats_.capacity / 4;
  const bool old = now - swept_ >= kAtLeast && (stats_.entries || accepted != accepted_);
  if (!may_be_filling && !old) return;
  accepted_ = accepted;
  swept_ = now;
  auto done = programs_.sweep_flows();
  if (!done) {
    if (!std::exchange(failed_, true)) log::error("{}", done.error().message);
    return;
  }
  ++stats_.sweeps;
  stats_.entries = done->living;
  stats_.removed += done->removed;
}

}  // namespace carrick::agent
