#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <numeric>
#include <random>
#include <thread>

#include "desired/desired.h"
#include "k8s/codec.h"
#include "kernel/programs.h"
#include "realize/realize.h"
#include "watch/assembly.h"

// services_bench [--json FILE] [--storm SECONDS] [--only sync|sparse|large]: what Services cost one agent, without the
// API server: the JSON of lists and watch events goes through watch, desired and realize into real BPF maps, as in an
// agent. Targets: bench/README.md.
namespace carrick::bench {
namespace {

using Clock = std::chrono::steady_clock;
namespace json = boost::json;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double heap_mb() { return static_cast<double>(mallinfo2().uordblks + mallinfo2().hblkhd) / 1e6; }

constexpr int kNamespaces = 100, kNodes = 100;

struct Size {
  int services, endpoints;  // endpoints in all
};

std::string address_of_endpoint(int number) {
  return net::IpAddress::v4(0x0a800000u + static_cast<uint32_t>(number)).str();
}
std::string name_of_service(int i) { return fmt::format("service-{}", i); }
std::string namespace_of(int i) { return fmt::format("team-{}", i % kNamespaces); }

json::object service(int i) {
  k8s::Service out;
  out.metadata.namespace_ = namespace_of(i);
  out.metadata.name = name_of_service(i);
  out.metadata.uid = fmt::format("5b1c9e0a-0000-4000-8000-{:012x}", i);
  out.metadata.resourceVersion = std::to_string(i + 1);
  out.metadata.creationTimestamp = "2026-01-01T00:00:00Z";
  out.metadata.labels = {{"app.kubernetes.io/name", name_of_service(i)}, {"app.kubernetes.io/part-of", "bench"}};
  out.spec.type = "ClusterIP";
  out.spec.clusterIP = net::IpAddress::v4(0x0a600000u + static_cast<uint32_t>(i) + 100).str();
  out.spec.clusterIPs = {out.spec.clusterIP};
  out.spec.ipFamilies = {"IPv4"};
  out.spec.ipFamilyPolicy = "SingleStack";
  out.spec.internalTrafficPolicy = "Cluster";
  out.spec.sessionAffinity = "None";
  out.spec.selector = {{"app.kubernetes.io/name", name_of_service(i)}};
  out.spec.ports = {{.name = "http", .protocol = "TCP", .port = 80, .targetPort = 8080}};
  return k8s::encode(out);
}

json::object slice(int i, int first_endpoint, int count, int version) {
  k8s::EndpointSlice out;
  out.metadata.namespace_ = namespace_of(i);
  out.metadata.name = name_of_service(i) + "-x7k2p";
  out.metadata.generateName = name_of_service(i) + "-";
  out.metadata.uid = fmt::format("77aa9e0a-0000-4000-8000-{:012x}", i);
  out.metadata.resourceVersion = std::to_string(version);
  out.metadata.creationTimestamp = "2026-01-01T00:00:00Z";
  out.metadata.labels = {{k8s::kServiceNameLabel, name_of_service(i)},
                         {"app.kubernetes.io/name", name_of_service(i)},
                         {"app.kubernetes.io/part-of", "bench"},
                         {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}};
  out.metadata.ownerReferences = {
      {"v1", "Service", name_of_service(i), fmt::format("5b1c9e0a-0000-4000-8000-{:012x}", i), true, true}};
  out.addressType = "IPv4";
  out.ports = {{.name = "http", .protocol = "TCP", .port = 8080}};
  for (int n = 0; n < count; ++n) {
    const int number = first_endpoint + n;
    k8s::Endpoint endpoint;
    endpoint.addresses = {address_of_endpoint(number)};
    endpoint.conditions = {true, true, false};
    endpoint.nodeName = fmt::format("node-{}", number % kNodes);
    endpoint.zone = fmt::format("zone-{}", number % 3);
    endpoint.targetRef =
        k8s::ObjectReference{"Pod", out.metadata.namespace_, fmt::format("{}-6c9d8-{:05x}", name_of_service(i), number),
                             fmt::format("90ff9e0a-0000-4000-8000-{:012x}", number), ""};
    out.endpoints.push_back(std::move(endpoint));
  }
  return k8s::encode(out);
}

template <class T>
void give(watch::Assembly& into, const std::function<json::object(int)>& make, int count) {
  constexpr int kPage = 500;
  int at = 0;
  do {
    json::array items;
    for (int end = std::min(count, at + kPage); at < end; ++at) items.push_back(make(at));
    const std::string body = json::serialize(
        json::object{{"metadata", json::object{{"resourceVersion", "1"}}}, {"items", std::move(items)}});
    if (!into.take_page<T>(body, at <= kPage)) std::abort();
  } while (at < count);
  into.finish_list<T>("1");
}

// One agent's way from watch to maps, without its connections.
class Agent {
 public:
  explicit Agent(kernel::Programs& programs) : realizer_(realize::Realizer::create(programs).value()) {
    view_.node_name = "node-0";
    view_.addresses = {net::IpAddress::v4(0xc000020bu)};
  }

  void list(Size size) {
    const auto first_of = [&](int i) { return static_cast<int>(int64_t{size.endpoints} * i / size.services); };
    give<k8s::Namespace>(
        assembly,
        [](int i) {
          k8s::Namespace out;
          out.metadata.name = namespace_of(i);
          return k8s::encode(out);
        },
        kNamespaces);
    give<k8s::Node>(
        assembly,
        [](int i) {
          k8s::Node out;
          out.metadata.name = fmt::format("node-{}", i);
          out.spec.podCIDRs = {fmt::format("10.{}.0.0/16", 100 + i)};
          out.status.addresses = {{"InternalIP", fmt::format("192.0.2.{}", 11 + i)}};
          return k8s::encode(out);
        },
        kNodes);
    give<k8s::Pod>(assembly, [](int) { return json::object(); }, 0);
    give<k8s::NetworkPolicy>(assembly, [](int) { return json::object(); }, 0);
    give<k8s::Service>(assembly, &service, size.services);
    give<k8s::EndpointSlice>(
        assembly, [&](int i) { return slice(i, first_of(i), first_of(i + 1) - first_of(i), i + 1); }, size.services);
  }

  // As agent/wiring.cc does it. Milliseconds of compiling and of writing.
  std::pair<double, double> apply() {
    k8s::ChangeSet changes;
    const auto start = Clock::now();
    snapshot = assembly.publish(changes);
    tables = &compiler_.apply(snapshot, changes, view_);
    if (!names_ || tables->names != *names_) names_ = std::make_shared<const desired::NameTable>(tables->names);
    const double compiled = ms_since(start);
    auto status = realizer_->apply(*tables, node_);
    if (!status || !status->settled) {
      std::fprintf(stderr, "not realized: %s\n",
                   status ? status->failures.front().error.message.c_str() : status.error().message.c_str());
      std::exit(1);
    }
    return {compiled, ms_since(start) - compiled};
  }

  bool right() const { return *tables == desired::compile(snapshot, view_); }

  watch::Assembly assembly{watch::Detail::kTables};
  k8s::Snapshot snapshot;
  const desired::Tables* tables = nullptr;

 private:
  desired::NodeView view_;
  desired::Compiler compiler_;
  std::unique_ptr<realize::Realizer> realizer_;
  std::shared_ptr<const desired::NameTable> names_;
  const realize::NodeConfig node_{.uplink_ifindex = 2, .addresses = {net::IpAddress::v4(0xc000020bu)}};
};

struct Report {
  json::object values;
  bool good = true;
  void line(const std::string& what, double value, const char* unit, double reach) {
    const bool pass = value <= reach;
    good &= pass;
    std::printf("%-64s %10.2f %-3s  <= %-8g %s\n", what.c_str(), value, unit, reach, pass ? "PASS" : "FAIL");
    std::fflush(stdout);
    values[what] = json::object{{"value", value}, {"unit", unit}, {"reach", reach}, {"pass", pass}};
  }
};

Result<std::unique_ptr<kernel::Programs>> fresh_maps() { return kernel::load_programs({}); }

Result<void> full_sync(Report& report, Size size, double reach) {
  std::vector<double> times;
  std::pair<double, double> parts;
  for (int round = 0; round < 3; ++round) {
    auto programs = TRY(fresh_maps());
    Agent agent(*programs);
    agent.list(size);
    parts = agent.apply();
    times.push_back(parts.first + parts.second);
  }
  std::ranges::sort(times);
  std::printf("  (compile %.0f ms, write %.0f ms in the last of 3 rounds)\n", parts.first, parts.second);
  report.line(fmt::format("full sync, {} Services, {} endpoints", size.services, size.endpoints), times[1], "ms",
              reach);
  return {};
}

// One endpoint of one slice gets another address: MODIFIED, as the API server sends it.
std::string change(Size size, std::mt19937& random, int& next_address, int& version) {
  const int i = static_cast<int>(random() % static_cast<uint32_t>(size.services));
  const auto first = static_cast<int>(int64_t{size.endpoints} * i / size.services);
  const auto count = static_cast<int>(int64_t{size.endpoints} * (i + 1) / size.services) - first;
  json::object object = slice(i, first, count, ++version);
  if (count > 0)
    object["endpoints"].as_array()[random() % static_cast<uint32_t>(count)].as_object()["addresses"] =
        json::array{address_of_endpoint(1'000'000 + next_address++ % 3'000'000)};
  return json::serialize(json::object{{"type", "MODIFIED"}, {"object", std::move(object)}});
}

void single_changes(Report& report, Agent& agent, Size size) {
  std::mt19937 random(1);
  int next = 0, version = 1'000'000;
  std::vector<double> times;
  for (int n = 0; n < 2000; ++n) {
    const std::string line = change(size, random, next, version);
    const auto start = Clock::now();
    if (!agent.assembly.take_event<k8s::EndpointSlice>(line)) std::abort();
    agent.apply();
    times.push_back(ms_since(start));
  }
  std::ranges::sort(times);
  std::printf("  (one endpoint change: median %.3f ms, largest %.3f ms)\n", times[times.size() / 2], times.back());
  report.line(fmt::format("one endpoint change at {} Services x {} endpoints, p99", size.services, size.endpoints),
              times[times.size() * 99 / 100], "ms", 10);
}

// 5,000 changes a second, looked at every 25 ms as the watcher does in a storm.
void storm(Report& report, Agent& agent, Size size, int seconds) {
  constexpr int kPerSecond = 5000;
  constexpr auto kQuiet = std::chrono::milliseconds(25);
  std::mt19937 random(2);
  int next = 500'000, version = 2'000'000, done = 0;
  std::vector<std::string> lines;
  for (int n = 0; n < 20000; ++n) lines.push_back(change(size, random, next, version));
  double behind = 0;
  const double cpu = cpu_seconds();
  const auto start = Clock::now();
  while (done < seconds * kPerSecond) {
    const int due = std::min(seconds * kPerSecond, static_cast<int>(ms_since(start) * kPerSecond / 1000));
    behind = std::max(behind, static_cast<double>(due - done) * 1000 / kPerSecond);
    for (; done < due; ++done)
      if (!agent.assembly.take_event<k8s::EndpointSlice>(lines[static_cast<size_t>(done) % lines.size()])) std::abort();
    if (agent.assembly.changed()) agent.apply();
    std::this_thread::sleep_for(kQuiet);
  }
  const double wall = ms_since(start) / 1000;
  report.line(fmt::format("{} changes a second for {} s: CPU", kPerSecond, seconds), (cpu_seconds() - cpu) / wall,
              "cpu", 1);
  report.line("  the longest that a change waited to be looked at", behind, "ms", 250);
  report.line("  state wrong at the end", agent.right() ? 0 : 1, "", 0);
}

Result<void> large(Report& report, int storm_seconds) {
  const Size size{50'000, 250'000};
  auto programs = TRY(fresh_maps());
  malloc_trim(0);
  const double before = heap_mb();
  Agent agent(*programs);
  agent.list(size);
  const double objects = heap_mb() - before;
  auto [compile, write] = agent.apply();
  std::printf("  (first sync: compile %.0f ms, write %.0f ms; objects alone %.0f MB)\n", compile, write, objects);
  report.line(fmt::format("heap at {} Services x {} endpoints", size.services, size.endpoints), heap_mb() - before,
              "MB", 400);
  single_changes(report, agent, size);
  if (storm_seconds > 0) storm(report, agent, size, storm_seconds);
  return {};
}

Result<bool> run(const std::string& only, int storm_seconds, const std::string& json_path) {
  Report report;
  if (only.empty() || only == "sync") TRY_VOID(full_sync(report, {10'000, 100'000}, 300));
  if (only.empty() || only == "sparse") TRY_VOID(full_sync(report, {44'125, 44'152}, 1500));
  if (only.empty() || only == "large") TRY_VOID(large(report, storm_seconds));
  if (!json_path.empty()) std::ofstream(json_path) << report.values << '\n';
  return report.good;
}

}  // namespace
}  // namespace carrick::bench

int main(int argc, char** argv) {
  std::string only, json_path;
  int storm_seconds = 60;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string flag = argv[i];
    if (flag == "--only")
      only = argv[i + 1];
    else if (flag == "--json")
      json_path = argv[i + 1];
    else if (flag == "--storm")
      storm_seconds = std::atoi(argv[i + 1]);
    else
      return std::fprintf(stderr, "services_bench: unknown flag %s\n", argv[i]), 2;
  }
  auto good = carrick::bench::run(only, storm_seconds, json_path);
  if (!good) return std::fprintf(stderr, "services_bench: %s\n", good.error().message.c_str()), 1;
  return *good ? 0 : 1;
}
