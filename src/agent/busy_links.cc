#include "agent/busy_links.h"

#include "base/log.h"

namespace carrick::agent {

BusyLinks::BusyLinks(boost::asio::io_context& io, Doors doors)
    : doors_(std::move(doors)), ticker_(io, kLook, [this](Clock::time_point now) { look(now); }) {}

void BusyLinks::look(Clock::time_point now) {
  auto received = doors_.received();
  if (!received) return;
  const double seconds = std::chrono::duration<double>(now - looked_).count();
  double most = kBusy * seconds;
  uint32_t busiest = 0;
  for (const auto& [name, packets] : *received) {
    const auto old = before_.find(name);
    if (old == before_.end() || packets < old->second) continue;
    const auto sent = static_cast<double>(packets - old->second);
    if (sent < most) continue;
    const uint32_t ifindex = doors_.pod_link(name);
    if (!ifindex || done_.contains(ifindex)) continue;
    most = sent;
    busiest = ifindex;
  }
  before_ = std::move(*received);
  looked_ = now;
  if (!busiest) return;
  done_.insert(busiest);  // numbers of links are not used twice
  if (auto attached = doors_.attach_busy(busiest); !attached) log::warn("{}", attached.error().message);
}

}  // namespace carrick::agent
