#include "dns/stats.h"

#include <fmt/format.h>

#include "base/metrics_page.h"
#include "dns/counters.h"
#include "dns/message/message.h"

namespace carrick::dns {
namespace {

void add_durations(MetricsPage& page, const DnsStats& stats) {
  constexpr std::string_view kName = "coredns_dns_request_duration_seconds";
  page.family(kName, "histogram", "Time from a question to its answer.");
  page.histogram(kName, "", kDurationBuckets, stats.durations, stats.duration_seconds);
}

}  // namespace

void Counters::duration(std::chrono::nanoseconds taken) {
  double seconds = std::chrono::duration<double>(taken).count();
  size_t bucket = 0;
  while (bucket < kDurationBuckets.size() && seconds > kDurationBuckets[bucket]) ++bucket;
  ++durations[bucket];
  duration_ns += static_cast<uint64_t>(taken.count());
}

DnsStats Counters::read() const {
  DnsStats out;
  out.requests = {requests_udp_v4, requests_udp_v6, requests_tcp_v4, requests_tcp_v6};
  for (size_t rcode = 0; rcode < responses.size(); ++rcode)
    if (uint64_t count = responses[rcode]) out.responses[rcode_text(static_cast<uint16_t>(rcode))] = count;
  if (uint64_t count = responses_other) out.responses["other"] = count;
  out.truncated = truncated;
  out.ignored = ignored;
  out.durations.assign(durations.begin(), durations.end());
  out.duration_seconds = static_cast<double>(duration_ns) / 1e9;
  out.tcp_connections = tcp_connections;
  out.tcp_refused = tcp_refused;
  out.autopath = autopath;
  out.cache_hits = cache_hits;
  out.cache_denial_hits = cache_denial_hits;
  out.cache_misses = cache_misses;
  out.cache_entries = cache_entries;
  out.forward_requests = forward_requests;
  out.forward_failures = forward_failures;
  out.forward_health_failures = forward_health_failures;
  out.forward_rejects = forward_rejects;
  out.forward_loops = forward_loops;
  out.tables = tables;
  out.table_names = table_names;
  out.table_serial = table_serial;
  out.synced = synced;
  return out;
}

std::string DnsStats::prometheus() const {
  MetricsPage page;
  page.family("coredns_dns_requests_total", "counter", "Questions received.");
  page.sample("coredns_dns_requests_total", "family=\"1\",proto=\"udp\"", requests.udp_v4);
  page.sample("coredns_dns_requests_total", "family=\"2\",proto=\"udp\"", requests.udp_v6);
  page.sample("coredns_dns_requests_total", "family=\"1\",proto=\"tcp\"", requests.tcp_v4);
  page.sample("coredns_dns_requests_total", "family=\"2\",proto=\"tcp\"", requests.tcp_v6);
  page.family("coredns_dns_responses_total", "counter", "Answers sent.");
  for (const auto& [rcode, count] : responses)
    page.sample("coredns_dns_responses_total", fmt::format("rcode=\"{}\"", rcode), count);
  add_durations(page, *this);
  page.family("coredns_autopath_success_total", "counter", "Walks through a search path that one answer spared.");
  page.sample("coredns_autopath_success_total", "", autopath);
  page.family("coredns_cache_hits_total", "counter", "Questions about outside names answered from the cache.");
  page.sample("coredns_cache_hits_total", "type=\"success\"", cache_hits);
  page.sample("coredns_cache_hits_total", "type=\"denial\"", cache_denial_hits);
  page.counter("coredns_cache_misses_total", "Questions about outside names that had to be asked.", cache_misses);
  page.gauge("coredns_cache_entries", "Answers in the cache.", cache_entries);
  page.counter("coredns_forward_requests_total", "Questions sent to upstreams.", forward_requests);
  page.counter("coredns_forward_failures_total", "Questions to upstreams without a usable answer.", forward_failures);
  page.counter("coredns_forward_healthcheck_failures_total", "Failed health checks of upstreams.",
               forward_health_failures);
  page.counter("coredns_forward_max_concurrent_rejects_total", "Questions refused because too many were under way.",
               forward_rejects);
  page.counter("carrick_dns_forward_loops_total", "Times an upstream led back to this server.", forward_loops);
  page.counter("carrick_dns_truncated_total", "Answers cut to the size the client can take.", truncated);
  page.counter("carrick_dns_ignored_total", "Messages that deserve no answer.", ignored);
  page.gauge("carrick_dns_tcp_connections", "Open TCP connections.", tcp_connections);
  page.counter("carrick_dns_tcp_refused_total", "TCP connections closed at once, over the limit.", tcp_refused);
  page.counter("carrick_dns_tables_total", "Name tables taken over.", tables);
  page.gauge("carrick_dns_names", "Names in the present table.", table_names);
  page.gauge("carrick_dns_synced", "1 when absence of a name is known.", synced ? 1 : 0);
  return page.take();
}

}  // namespace carrick::dns
