#include "agent/metrics.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "base/text.h"

namespace carrick::agent {
namespace {

// Every family is announced once, before its samples, and every line is one that Prometheus reads.
TEST(Metrics, ThePageIsWellFormed) {
  realize::Status realized{.revision = 7};
  realized.tables = {{"pods", 3, 1}, {"peers", 9, 0}};
  realize::RouteStatus routes;
  std::map<std::string, std::string> problems;
  NodeLinks links;
  cni::Stats stats;
  stats.verbs["ADD"].done = 2;
  for (auto taken :
       {std::chrono::microseconds(300), std::chrono::microseconds(700), std::chrono::microseconds(60'000'000)})
    stats.verbs["ADD"].durations.add(taken);
  std::vector<uint64_t> counters(HOOK_COUNT * WIRE_DROP_SLOTS);
  counters[HOOK_FROM_POD * WIRE_DROP_SLOTS + DROP_SPOOFED] = 2;
  counters[HOOK_TO_POD * WIRE_DROP_SLOTS + DROP_SPOOFED] = 3;
  counters[HOOK_FROM_POD * WIRE_DROP_SLOTS + DROP_NONE] = 11;
  std::string page = metrics_page({.node = "node1",
                                   .version = "1",
                                   .known_revision = 8,
                                   .not_ready_because = "",
                                   .unrealized_seconds = 0.25,
                                   .realized = realized,
                                   .routes = routes,
                                   .health_problems = problems,
                                   .links = links,
                                   .watch = {},
                                   .dns = {},
                                   .cni = stats,
                                   .counters = counters,
                                   .drop_events = 4,
                                   .flows = {.entries = 12, .capacity = 100, .sweeps = 2},
                                   .aborted_connections = 5,
                                   .privileges = {}});
  const std::regex sample(R"(([a-z_]+)(\{([a-z_]+="[^"\\]*",?)+\})? [0-9.e+-]+)");
  std::set<std::string> families, samples;
  std::string family;
  for (std::string_view line : split(page, '\n')) {
    if (line.empty()) continue;
    std::string text(line);
    if (text.starts_with("# TYPE ")) {
      family = text.substr(7, text.find(' ', 7) - 7);
      EXPECT_TRUE(families.insert(family).second) << family << " twice";
    }
    if (text[0] == '#') continue;
    std::smatch parts;
    ASSERT_TRUE(std::regex_match(text, parts, sample)) << text;
    EXPECT_TRUE(parts[1].str().starts_with(family)) << text << " under " << family;
    EXPECT_TRUE(samples.insert(text).second) << text << " twice";
  }
  for (const char* line :
       {R"(carrick_build_info{version="1",node="node1"} 1)", "carrick_ready 1", "carrick_unrealized_seconds 0.25",
        R"(carrick_table_failing_rows{table="pods"} 1)", R"(carrick_drops_total{reason="spoofed"} 5)",
        "carrick_accepted_connections_total 11", "carrick_drop_events_total 4", "carrick_flow_entries 12",
        "carrick_flow_capacity 100", "carrick_flow_sweeps_total 2", "carrick_aborted_connections_total 5",
        R"(carrick_cni_request_seconds_bucket{verb="ADD",le="0.0005"} 1)",
        R"(carrick_cni_request_seconds_bucket{verb="ADD",le="10"} 2)",
        R"(carrick_cni_request_seconds_bucket{verb="ADD",le="+Inf"} 3)",
        R"(carrick_cni_request_seconds_count{verb="ADD"} 3)"})
    EXPECT_TRUE(samples.contains(line)) << line;
}

}  // namespace
}  // namespace carrick::agent
