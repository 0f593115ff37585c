#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>

#include "agent/ticker.h"
#include "kernel/programs.h"

namespace carrick::agent {

struct FlowStats {
  uint64_t entries = 0, capacity = 0;  // of the flow table, two a connection; entries as of the last sweep
  uint64_t sweeps = 0, removed = 0;    // since the agent's start
};

// Takes ended connections out of the flow table before it is full (docs/adr/0013). Looks every second how many
// connections were accepted, and sweeps when they may have filled a quarter of the table, or when the last sweep is a
// minute old. On the io_context's thread.
class FlowSweeper {
 public:
  using Clock = Ticker::Clock;
  static constexpr std::chrono::seconds kLook{1}, kAtLeast{60};

  // capacity: entries of the table. `programs` outlives this.
  FlowSweeper(boost::asio::io_context& io, kernel::Programs& programs, uint64_t capacity);

  void look(Clock::time_point now);  // what the timer does
  const FlowStats& stats() const { return stats_; }

 private:
  kernel::Programs& programs_;
  FlowStats stats_;
  uint64_t accepted_ = 0;  // connections by the last sweep
  Clock::time_point swept_;
  bool failed_ = false;  // said once
  Ticker ticker_;
};

}  // namespace carrick::agent
