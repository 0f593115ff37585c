#include "agent/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/metrics_page.h"

namespace carrick::agent {
namespace {

void add_state(MetricsPage& page, const StatusInputs& in) {
  page.family("carrick_build_info", "gauge", "1; version and node are in the labels.");
  page.sample("carrick_build_info", fmt::format(R"(version="{}",node="{}")", in.version, in.node), 1);
  page.gauge("carrick_ready", "1 when pods can be served.", in.not_ready_because.empty() ? 1 : 0);
  page.gauge("carrick_pods", "Pods plumbed on this node.", in.local_pods);
  page.gauge("carrick_waiting_adds", "CNI ADDs that wait for their rows.", in.waiting_adds);
  page.gauge("carrick_snapshot_revision", "Newest state of the cluster that is known.", in.known_revision);
  page.gauge("carrick_realized_revision", "Newest state of which every row is in the kernel.", in.realized.revision);
  page.gauge("carrick_unrealized_seconds", "How long the newest state has waited until now; 0 when it is realized.",
             in.unrealized_seconds);
  page.gauge("carrick_last_apply_seconds", "From the newest state known to realized, the last time.",
             in.last_apply_ms / 1000);
}

void add_tables(MetricsPage& page, const StatusInputs& in) {
  page.family("carrick_table_rows", "gauge", "Rows in the kernel.");
  for (const auto& table : in.realized.tables)
    page.sample("carrick_table_rows", fmt::format(R"(table="{}")", table.name), table.rows);
  page.sample("carrick_table_rows", R"(table="routes")", in.routes.rows);
  page.family("carrick_table_failing_rows", "gauge", "Rows that are not as they should be.");
  for (const auto& table : in.realized.tables)
    page.sample("carrick_table_failing_rows", fmt::format(R"(table="{}")", table.name), table.failing);
  page.sample("carrick_table_failing_rows", R"(table="routes")", in.routes.failures.size());
}

void add_packets(MetricsPage& page, const StatusInputs& in) {
  std::vector<uint64_t> by_reason(DROP_COUNT);
  for (size_t i = 0; i < in.counters.size(); ++i)
    if (i % WIRE_DROP_SLOTS < by_reason.size()) by_reason[i % WIRE_DROP_SLOTS] += in.counters[i];
  page.counter("carrick_accepted_connections_total", "Connections let through.", by_reason[DROP_NONE]);
  page.family("carrick_drops_total", "counter", "Packets ended, by reason (docs/guide/drop-reasons.md).");
  for (size_t reason = 1; reason < by_reason.size(); ++reason)
    page.sample("carrick_drops_total", fmt::format(R"(reason="{}")", kernel::drop_word(static_cast<uint8_t>(reason))),
                by_reason[reason]);
  page.gauge("carrick_flow_entries", "Entries of the flow table, two a connection, as of the last sweep.",
             in.flows.entries);
  page.gauge("carrick_flow_capacity", "Entries that the flow table can hold.", in.flows.capacity);
  page.counter("carrick_flow_sweeps_total", "Times that ended connections were taken out of the table.",
               in.flows.sweeps);
  page.counter("carrick_aborted_connections_total",
               "Sockets led by connect() that were aborted because their endpoint was removed.",
               in.aborted_connections);
  page.counter("carrick_drop_events_total", "Of those, packets of which the agent has read the event.", in.drop_events);
}

void add_cni(MetricsPage& page, const cni::Stats& stats) {
  page.family("carrick_cni_requests_total", "counter", "Requests of the CNI plugin.");
  for (const auto& [verb, counts] : stats.verbs) {
    page.sample("carrick_cni_requests_total", fmt::format(R"(verb="{}",result="done")", verb), counts.done);
    page.sample("carrick_cni_requests_total", fmt::format(R"(verb="{}",result="failed")", verb), counts.failed);
  }
  page.family("carrick_cni_request_seconds", "histogram", "Time from a request to its answer.");
  for (const auto& [verb, counts] : stats.verbs)
    page.histogram("carrick_cni_request_seconds", fmt::format(R"(verb="{}")", verb), cni::Durations::kBounds,
                   counts.durations.counts, counts.durations.sum);
  page.family("carrick_pod_plumbing_seconds", "histogram", "The part of ADD that makes links, addresses and routes.");
  page.histogram("carrick_pod_plumbing_seconds", "", cni::Durations::kBounds, stats.plumbing.counts,
                 stats.plumbing.sum);
}

// With the names that every Prometheus client gives them.
void add_process(MetricsPage& page) {
  auto statm = read_file("/proc/self/statm");  // total and resident, in pages
  const char* resident = statm ? std::strchr(statm->c_str(), ' ') : nullptr;
  if (resident)
    page.gauge("process_resident_memory_bytes", "Resident memory.",
               std::strtoull(resident, nullptr, 10) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)));
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  page.counter("process_cpu_seconds_total", "CPU time, of user and system.",
               seconds(usage.ru_utime) + seconds(usage.ru_stime));
}

}  // namespace

std::string metrics_page(const StatusInputs& in) {
  MetricsPage page;
  add_state(page, in);
  add_tables(page, in);
  add_packets(page, in);
  page.counter("carrick_watch_lists_total", "Lists asked of the API server.", in.watch.lists);
  page.counter("carrick_watch_events_total", "Watch events received.", in.watch.events);
  page.counter("carrick_watch_restarts_total", "Watches resumed or begun anew.", in.watch.restarts);
  page.counter("carrick_watch_decode_failures_total", "Objects that were not understood.", in.watch.decode_failures);
  add_cni(page, in.cni);
  add_process(page);
  return page.take() + in.dns.prometheus();
}

}  // namespace carrick::agent
