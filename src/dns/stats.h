#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace carrick::dns {

// Upper bounds in seconds, those of CoreDNS.
inline constexpr std::array kDurationBuckets = {0.00025, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032,
                                                0.064,   0.128,  0.256, 0.512, 1.024, 2.048, 4.096, 8.192};

// What the server has done since its start. Counters only grow.
struct DnsStats {
  struct Requests {
    uint64_t udp_v4 = 0, udp_v6 = 0, tcp_v4 = 0, tcp_v6 = 0;
  } requests;
  std::map<std::string, uint64_t> responses;  // by rcode word
  uint64_t truncated = 0, ignored = 0;        // ignored: not answered at all (no header, or a response)
  std::vector<uint64_t> durations;            // per bucket, the last one is +Inf; not cumulative
  double duration_seconds = 0;                // their sum
  uint64_t tcp_connections = 0;               // open now
  uint64_t tcp_refused = 0;
  uint64_t cache_hits = 0, cache_denial_hits = 0, cache_misses = 0, cache_entries = 0;
  uint64_t forward_requests = 0, forward_failures = 0, forward_health_failures = 0, forward_rejects = 0,
           forward_loops = 0;
  uint64_t autopath = 0;                                   // walks through a search path that one answer spared
  uint64_t tables = 0, table_names = 0, table_serial = 0;  // NameTables taken, names in the present one, its serial
  bool synced = false;

  uint64_t request_count() const { return requests.udp_v4 + requests.udp_v6 + requests.tcp_v4 + requests.tcp_v6; }
  // Prometheus text format, with the names of CoreDNS where it has one (DNS-O1).
  std::string prometheus() const;
};

}  // namespace carrick::dns
