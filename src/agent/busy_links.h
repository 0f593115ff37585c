#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "agent/ticker.h"
#include "base/result.h"

namespace carrick::agent {

// Finds pods' links that carry much and gives them the quicker way to the program (kernel::Programs::attach_busy): at
// most one a second, for each holds the lock of all network devices a while. On the io_context's thread.
class BusyLinks {
 public:
  using Clock = Ticker::Clock;
  static constexpr std::chrono::seconds kLook{1};
  static constexpr double kBusy = 10'000;  // packets a second that the pod sends

  struct Doors {
    std::function<Result<std::map<std::string, uint64_t>>()> received;  // packets by link
    std::function<uint32_t(const std::string&)> pod_link;               // its ifindex; 0 when it is no pod's
    std::function<Result<void>(uint32_t)> attach_busy;
  };

  BusyLinks(boost::asio::io_context& io, Doors doors);

  void look(Clock::time_point now);  // what the timer does

 private:
  Doors doors_;
  std::map<std::string, uint64_t> before_;
  Clock::time_point looked_;
  std::set<uint32_t> done_;
  Ticker ticker_;
};

}  // namespace carrick::agent
