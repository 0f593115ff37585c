#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>

#include "dns/stats.h"

namespace carrick::dns {

// Written by the server's thread, read by any. Relaxed: each is true by itself, no two need agree.
struct Counters {
  using Count = std::atomic<uint64_t>;
  Count requests_udp_v4{0}, requests_udp_v6{0}, requests_tcp_v4{0}, requests_tcp_v6{0};
  std::array<Count, 24> responses{};  // by rcode
  Count responses_other{0}, truncated{0}, ignored{0};
  std::array<Count, kDurationBuckets.size() + 1> durations{};
  Count duration_ns{0};
  Count tcp_connections{0}, tcp_refused{0};
  Count cache_hits{0}, cache_denial_hits{0}, cache_misses{0}, cache_entries{0};
  Count forward_requests{0}, forward_failures{0}, forward_health_failures{0}, forward_rejects{0}, forward_loops{0};
  Count autopath{0};
  Count tables{0}, table_names{0}, table_serial{0};
  std::atomic<bool> synced{false};

  void response(uint16_t rcode) { ++(rcode < responses.size() ? responses[rcode] : responses_other); }
  void duration(std::chrono::nanoseconds taken);
  DnsStats read() const;
};

}  // namespace carrick::dns
