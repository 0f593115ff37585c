// api_bench --port N --authority FILE --token-file FILE [--pods N] [--clients N] [--watchers N] [--rate N] [--seconds
// N] What clients of an API server get: writes a second, a list, and how late a hundred watchers hear of changes. The
// same program is for Carrick's server and for any other.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "https_client.h"

namespace carrick::bench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kPods = "/api/v1/namespaces/bench/pods";
constexpr const char* kMaps = "/api/v1/namespaces/bench/configmaps";

struct Flags {
  Endpoint endpoint;
  int pods = 10000, clients = 8, watchers = 100, rate = 1000, seconds = 5;
};

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void need(const HttpsClient::Answer& answer, const char* what) {
  if (answer.code >= 200 && answer.code < 300) return;
  std::fprintf(stderr, "api_bench: %s was answered %d: %s\n", what, answer.code, answer.body.substr(0, 300).c_str());
  std::exit(3);
}

std::string pod(int number) {
  return fmt::format(
      R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"p{0}","labels":{{"app":"bench","number":"{0}"}}}},)"
      R"("spec":{{"nodeName":"none","containers":[{{"name":"c","image":"registry.example/app:1","ports":[{{"containerPort":80}}],)"
      R"("env":[{{"name":"A","value":"b"}}],"resources":{{"requests":{{"cpu":"100m","memory":"64Mi"}}}}}}]}}}})",
      number);
}

// Each client creates its pods and patches each of them once.
void measure_writes(const Flags& flags) {
  std::vector<std::thread> clients;
  const Clock::time_point start = Clock::now();
  for (int client = 0; client < flags.clients; ++client)
    clients.emplace_back([&flags, client] {
      HttpsClient http(flags.endpoint);
      for (int i = client; i < flags.pods; i += flags.clients) {
        need(http.send("POST", kPods, pod(i)), "the creation of a pod");
        need(http.send("PATCH", fmt::format("{}/p{}", kPods, i), R"({"metadata":{"labels":{"patched":"yes"}}})",
                       "application/merge-patch+json"),
             "the patch of a pod");
      }
    });
  for (std::thread& client : clients) client.join();
  fmt::print("{:<44} {:>10.0f} /s\n", fmt::format("writes, {} pods, {} clients", flags.pods, flags.clients),
             2.0 * flags.pods / since(start));
}

void measure_list(const Flags& flags) {
  HttpsClient http(flags.endpoint);
  std::vector<double> times;
  size_t bytes = 0;
  for (int i = 0; i < 5; ++i) {
    const Clock::time_point start = Clock::now();
    const auto answer = http.send("GET", kPods);
    need(answer, "a list");
    times.push_back(since(start));
    bytes = answer.body.size();
  }
  std::ranges::sort(times);
  fmt::print("{:<44} {:>10.1f} ms ({} MiB)\n", fmt::format("list of {} pods, JSON, median of 5", flags.pods),
             times[2] * 1000, bytes >> 20);
}

// Changes at a fixed rate; each watcher looks how late it hears of them.
void measure_watch(const Flags& flags) {
  HttpsClient writer(flags.endpoint);
  const int changes = flags.rate * flags.seconds;
  std::vector<Clock::time_point> sent(static_cast<size_t>(changes));
  std::mutex mutex;
  std::vector<double> lags;
  std::atomic<int> ready = 0;
  std::vector<std::thread> watchers;
  need(writer.send("POST", kMaps, R"({"metadata":{"name":"beat"},"data":{"n":"-1"}})"), "the creation of a config map");
  for (int i = 0; i < flags.watchers; ++i)
    watchers.emplace_back([&] {
      HttpsClient http(flags.endpoint);
      http.open(std::string(kMaps) + "?watch=1&fieldSelector=metadata.name%3Dbeat&timeoutSeconds=600");
      std::vector<double> mine;
      std::string line;
      while (http.line(line)) {
        const size_t at = line.find(R"("n":")");
        const int number = at == std::string::npos ? -1 : std::atoi(line.c_str() + at + 5);
        if (number < 0) {
          ++ready;
          continue;
        }
        mine.push_back(since(sent[static_cast<size_t>(number)]));
        if (number == changes - 1) break;
      }
      const std::lock_guard lock(mutex);
      lags.insert(lags.end(), mine.begin(), mine.end());
    });
  while (ready < flags.watchers) std::this_thread::yield();
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < changes; ++i) {
    std::this_thread::sleep_until(start + std::chrono::nanoseconds(1'000'000'000LL / flags.rate * i));
    sent[static_cast<size_t>(i)] = Clock::now();
    need(writer.send("PATCH", std::string(kMaps) + "/beat", fmt::format(R"({{"data":{{"n":"{}"}}}})", i),
                     "application/merge-patch+json"),
         "a change");
  }
  const double took = since(start);
  for (std::thread& watcher : watchers) watcher.join();
  std::ranges::sort(lags);
  fmt::print("{:<44} {:>10.1f} ms p99, {:.1f} ms p50, {:.0f} changes/s, {} events heard\n",
             fmt::format("fan-out to {} watchers, {} changes/s asked", flags.watchers, flags.rate),
             lags[lags.size() * 99 / 100] * 1000, lags[lags.size() / 2] * 1000, changes / took, lags.size());
}

Flags read_flags(int argc, char** argv) {
  Flags flags;
  const std::map<std::string, int*> numbers{{"--port", &flags.endpoint.port}, {"--pods", &flags.pods},
                                            {"--clients", &flags.clients},    {"--watchers", &flags.watchers},
                                            {"--rate", &flags.rate},          {"--seconds", &flags.seconds}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (const auto number = numbers.find(name); number != numbers.end())
      *number->second = std::atoi(argv[i + 1]);
    else if (name == "--authority")
      flags.endpoint.authority_file = argv[i + 1];
    else if (name == "--token-file") {
      std::ifstream in(argv[i + 1]);
      flags.endpoint.token = std::string(std::istreambuf_iterator<char>(in), {});
      while (!flags.endpoint.token.empty() && flags.endpoint.token.back() == '\n') flags.endpoint.token.pop_back();
    } else {
      std::fprintf(stderr, "api_bench: unknown flag %s\n", argv[i]);
      std::exit(2);
    }
  }
  if (flags.endpoint.port == 0 || flags.endpoint.token.empty() || flags.pods < 1 || flags.rate < 1) {
    std::fprintf(stderr, "api_bench: --port, --authority and --token-file say where the server is\n");
    std::exit(2);
  }
  return flags;
}

}  // namespace

int run(int argc, char** argv) {
  const Flags flags = read_flags(argc, argv);
  HttpsClient http(flags.endpoint);
  need(http.send("POST", "/api/v1/namespaces", R"({"metadata":{"name":"bench"}})"), "the creation of a namespace");
  // A real API server lets no pod in without it.
  (void)http.send("POST", "/api/v1/namespaces/bench/serviceaccounts", R"({"metadata":{"name":"default"}})");
  measure_writes(flags);
  measure_list(flags);
  measure_watch(flags);
  return 0;
}

}  // namespace carrick::bench

int main(int argc, char** argv) { return carrick::bench::run(argc, argv); }
