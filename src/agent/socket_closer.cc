#include "agent/socket_closer.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/connected_sockets.h"
#include "kernel/netns.h"
#include "realize/removed_connections.h"
#include "realize/stale_sockets.h"

namespace carrick::agent {

void SocketCloser::realized(uint64_t retired) {
  retired_ = retired;
  if (looked_at_ == retired || pending_) return;
  pending_ = true;
  timer_.expires_after(std::max<Clock::duration>(std::chrono::milliseconds(100), 10 * took_));
  timer_.async_wait([this](auto error) {
    if (error) return;
    pending_ = false;
    look();
  });
}

void SocketCloser::look() {
  looked_at_ = retired_;
  const auto start = Clock::now();
  if (auto ended = realize::end_stale_sockets(programs_, kernel::linux_sockets()); !ended)
    log::warn("sockets whose backend is gone are not told: {}", ended.error().message);
  if (reset_removed_) end_removed_connections();
  took_ = Clock::now() - start;
}

void SocketCloser::end_removed_connections() {
  const auto each = [this](const std::function<void()>& look) {
    look();
    const auto inside = [&]() -> Result<void> {
      look();
      return {};
    };
    for (const auto& path : pods_())
      if (auto ns = kernel::open_netns(path); !ns)
        log::debug("no socket of {} is looked at: {}", path, ns.error().message);  // gone: DEL is on its way
      else if (auto looked = kernel::in_netns(ns->get(), inside); !looked)
        log::warn("sockets of {}: {}", path, looked.error().message);
  };
  auto ended = realize::end_removed_connections(programs_, kernel::linux_sockets(), each);
  if (!ended)
    log::warn("connections to removed endpoints are not ended: {}", ended.error().message);
  else
    aborted_ += *ended;
}

}  // namespace carrick::agent
