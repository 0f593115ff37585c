#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "kernel/programs.h"

namespace carrick::agent {

// Takes drop events from the ring as they come, at a pace that a flood cannot change: a bounded number at a time, and
// a pause after each time. What does not fit into the ring meanwhile is lost for whoever reads events, not for the
// counters. On the io_context's thread; `sink` is called no more once it is gone.
class DropReader {
 public:
  static constexpr size_t kBatch = 512;                                    // about what the smaller ring holds
  static constexpr std::chrono::milliseconds kPause{20}, kLongPause{250};  // the long one after a full batch

  DropReader(boost::asio::io_context& io, kernel::Programs& programs, std::function<void(const drop_event&)> sink);
  ~DropReader();

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;
};

}  // namespace carrick::agent
