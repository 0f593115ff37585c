#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>

#include "base/text.h"
#include "kernel/netns.h"
#include "lab/lab.h"
#include "lab/nodes/sandbox.h"
#include "tests/support/steady_load.h"

// rolling_bench --lab NAME --client NS/POD --deployment NAME --target IP:PORT [--rate 2000] [--rounds 5] [--json FILE]
// Rolling updates of a Deployment while a pod opens connections to its Service. Exit 0 none failed, 1 some did or the
// machine was too slow for the rate, 2 bad call.
namespace carrick::bench {
namespace {

namespace json = boost::json;

struct Flags {
  std::string lab, client, deployment, target, json_file;
  int rate = 2000, rounds = 5;
};

constexpr double kLeastShareOfRate = 0.95;

Result<load::Plan> plan_of(const lab::RunningLab& running, const Flags& flags, Fd& netns) {
  auto parts = split(flags.client, '/');
  size_t colon = flags.target.rfind(':');
  if (parts.size() != 2) return fail(ErrorKind::kInvalid, "--client '{}' is not NAMESPACE/POD", flags.client);
  if (colon == std::string::npos) return fail(ErrorKind::kInvalid, "--target '{}' is not IP:PORT", flags.target);
  auto sandbox = TRY(lab::load_sandbox(running.paths.pod(std::string(parts[0]), std::string(parts[1]))));
  netns = TRY(kernel::open_netns(running.paths.prefix + sandbox.netns));
  const auto& config = running.record.config;
  return load::Plan{.netns = netns.get(),
                    .cgroup = lab::node_cgroup(config.cgroup_mount, config.name, sandbox.node),
                    .target = {TRY(net::IpAddress::parse(flags.target.substr(0, colon))),
                               static_cast<uint16_t>(std::atoi(flags.target.c_str() + colon + 1))},
                    .per_second = flags.rate};
}

Result<bool> run(const Flags& flags) {
  auto running = TRY(lab::find_running_lab(flags.lab));
  auto credentials = TRY(lab::connect(running));
  Fd netns;
  const auto plan = TRY(plan_of(running, flags, netns));
  auto clients = TRY(load::SteadyLoad::start(plan));
  for (int round = 1; round <= flags.rounds; ++round) TRY_VOID(load::roll(credentials, flags.deployment, round));
  auto outcome = TRY(clients.finish());
  double rate = outcome.seconds > 0 ? static_cast<double>(outcome.opened) / outcome.seconds : 0;
  bool fast_enough = rate >= kLeastShareOfRate * flags.rate, reached = fast_enough && outcome.failed == 0;
  std::printf(
      "%d rolling updates of %s in %.1f s: %lu connections, %.0f a second, %lu failed, slowest %.0f ms, %lu endpoints "
      "answered   reach: 0 failed at %d a second   %s\n",
      flags.rounds, flags.deployment.c_str(), outcome.seconds, outcome.opened, rate, outcome.failed, outcome.slowest_ms,
      outcome.endpoints, flags.rate, reached ? "PASS" : "FAIL");
  if (outcome.failed) std::printf("first failure: %s\n", outcome.first_failure);
  if (!fast_enough) std::printf("the machine did not manage the rate\n");
  if (!flags.json_file.empty())
    std::ofstream(flags.json_file) << json::serialize(json::object{{"rounds", flags.rounds},
                                                                   {"seconds", outcome.seconds},
                                                                   {"connections", outcome.opened},
                                                                   {"perSecond", rate},
                                                                   {"failed", outcome.failed},
                                                                   {"slowestMs", outcome.slowest_ms},
                                                                   {"endpoints", outcome.endpoints},
                                                                   {"reached", reached}})
                                   << "\n";
  return reached;
}

bool parse_flags(int argc, char** argv, Flags& flags) {
  std::map<std::string_view, std::string*> texts = {{"--lab", &flags.lab},
                                                    {"--client", &flags.client},
                                                    {"--deployment", &flags.deployment},
                                                    {"--target", &flags.target},
                                                    {"--json", &flags.json_file}};
  std::map<std::string_view, int*> numbers = {{"--rate", &flags.rate}, {"--rounds", &flags.rounds}};
  for (int i = 1; i + 1 < argc; i += 2)
    if (auto text = texts.find(argv[i]); text != texts.end())
      *text->second = argv[i + 1];
    else if (auto number = numbers.find(argv[i]); number != numbers.end())
      *number->second = std::atoi(argv[i + 1]);
    else
      return false;
  return argc % 2 == 1 && flags.rate > 0 && flags.rounds > 0 && !flags.lab.empty() && !flags.deployment.empty();
}

}  // namespace
}  // namespace carrick::bench

int main(int argc, char** argv) {
  carrick::bench::Flags flags;
  if (!carrick::bench::parse_flags(argc, argv, flags)) {
    std::fprintf(stderr,
                 "rolling_bench --lab NAME --client NS/POD --deployment NAME --target IP:PORT [--rate N] [--rounds N] "
                 "[--json FILE]\n");
    return 2;
  }
  auto reached = carrick::bench::run(flags);
  if (!reached) {
    std::fprintf(stderr, "rolling_bench: %s\n", reached.error().message.c_str());
    return 2;
  }
  return *reached ? 0 : 1;
}
