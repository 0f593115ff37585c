#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>

namespace carrick::agent {

// Calls `look` every so often, on the io_context's thread, until it is gone.
class Ticker {
 public:
  using Clock = std::chrono::steady_clock;

  Ticker(boost::asio::io_context& io, Clock::duration period, std::function<void(Clock::time_point)> look)
      : timer_(io), period_(period), look_(std::move(look)) {
    wait();
  }
  ~Ticker() { timer_.cancel(); }

 private:
  void wait() {
    timer_.expires_after(period_);
    timer_.async_wait([this](auto error) {
      if (error) return;
      look_(Clock::now());
      wait();
    });
  }

  boost::asio::steady_timer timer_;
  Clock::duration period_;
  std::function<void(Clock::time_point)> look_;
};

}  // namespace carrick::agent
