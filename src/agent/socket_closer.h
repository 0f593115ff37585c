#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernel/programs.h"

namespace carrick::agent {

// Ends sockets that connect() led to backends which are gone: UDP of the node (docs/adr/0011), and where asked for TCP
// of the node and its pods (docs/adr/0015). A burst of changes costs one look, and looks never cost more than a tenth
// of the time. On the io_context's thread.
class SocketCloser {
 public:
  // Paths of the pods' network namespaces, as they are then.
  using Namespaces = std::function<std::vector<std::string>()>;
  // `programs` outlives this.
  SocketCloser(boost::asio::io_context& io, kernel::Programs& programs, bool reset_removed, Namespaces pods)
      : programs_(programs), reset_removed_(reset_removed), pods_(std::move(pods)), timer_(io) {}

  // After each round of the realizer; `retired`: its retired_backends. Looks soon when they are others than at the last
  // look, and at the start, when what changed is not known.
  void realized(uint64_t retired);
  uint64_t aborted_connections() const { return aborted_; }  // TCP, since the agent's start

 private:
  using Clock = std::chrono::steady_clock;
  void look();
  void end_removed_connections();

  kernel::Programs& programs_;
  const bool reset_removed_;
  Namespaces pods_;
  boost::asio::steady_timer timer_;
  bool pending_ = false;
  uint64_t retired_ = 0;
  std::optional<uint64_t> looked_at_;
  Clock::duration took_{};  // the last look
  uint64_t aborted_ = 0;
};

}  // namespace carrick::agent
