#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "commands.h"
#include "explain/explain.h"
#include "world.h"

namespace carrick::app {
namespace {

constexpr size_t kShownPairs = 8;  // of two workloads with many pods each

struct Flags {
  std::string from, to, port, via = "pod", output = "text", family = "dual";
  WorldSource source;
  bool all = false;
};

void report(const Error& error) {
  std::fprintf(stderr, "carrick explain: %s\n", error.message.c_str());
  exit_code = error.kind == ErrorKind::kUnsupported                                       ? 3
              : error.kind == ErrorKind::kTransient || error.kind == ErrorKind::kInternal ? 1
                                                                                          : 2;
}

explain::Family family_of(const Flags& flags) {
  return flags.family == "ipv4"   ? explain::Family::kV4
         : flags.family == "ipv6" ? explain::Family::kV6
                                  : explain::Family::kAny;
}

void print_matrix(const explain::World& world, const Flags& flags) {
  explain::MatrixOptions options;
  options.via = flags.via == "service" ? explain::Via::kService
                : flags.via == "dns"   ? explain::Via::kDns
                                       : explain::Via::kPod;
  options.family = family_of(flags);
  explain::Matrix matrix = explain::matrix(world, options);
  if (flags.output == "json")
    explain::write_json(matrix, world.locate,
                        [](std::string_view piece) { std::fwrite(piece.data(), 1, piece.size(), stdout); });
  else
    std::fputs(explain::to_text(matrix).c_str(), stdout);
}

// Ports asked for: the one given, else all that the target offers.
Result<std::vector<desired::Listener>> ports_for(const explain::World& world, const Flags& flags,
                                                 const explain::Party& to) {
  if (!flags.port.empty()) return std::vector<desired::Listener>{TRY(explain::parse_port(flags.port))};
  auto ports = explain::ports_of(world, to);
  if (ports.empty())
    return fail(ErrorKind::kInvalid, "{} offers no port that is known here; name one with --port", to.str());
  return ports;
}

Result<void> answer(const explain::World& world, const Flags& flags) {
  auto sources = TRY(explain::parse_party(world, flags.from, true));
  auto targets = TRY(explain::parse_party(world, flags.to, false));
  std::vector<explain::Question> questions;
  for (const auto& to : targets)
    for (const auto& port : TRY(ports_for(world, flags, to)))
      for (const auto& from : sources)
        if (!(from.kind == explain::Party::Kind::kPod && to.kind == from.kind && to.object == from.object) ||
            sources.size() * targets.size() == 1)
          questions.push_back({from, to, port.port, port.protocol, family_of(flags)});
  std::string json_answers;
  size_t shown = 0, alike = 0;
  std::set<std::tuple<explain::Verdict, uint16_t, net::Protocol>> told;
  for (const auto& question : questions) {
    explain::Answer result = explain::explain(world, question);
    if (result.verdict != explain::Verdict::kAllow) exit_code = 1;
    if (flags.output == "json") {
      json_answers += (json_answers.empty() ? "" : ",\n") + explain::to_json(result, world.locate);
      continue;
    }
    bool news = told.insert({result.verdict, question.port, question.protocol}).second;
    if (!news && shown >= kShownPairs) {
      ++alike;
      continue;
    }
    std::printf("%s%s", shown++ ? "\n" : "", explain::to_text(result, world.locate).c_str());
  }
  if (flags.output == "json") std::printf(questions.size() == 1 ? "%s\n" : "[%s]\n", json_answers.c_str());
  if (alike) std::printf("\n(%zu more answers like these; -o json has all)\n", alike);
  return {};
}

// `-f PATH... FROM TO` is read as paths only: names that are no files are the question.
void take_back(Flags& flags) {
  std::error_code ignored;
  while ((flags.from.empty() || flags.to.empty()) && flags.source.paths.size() > 1 &&
         !std::filesystem::exists(flags.source.paths.back(), ignored)) {
    if (!flags.to.empty())
      flags.from = flags.source.paths.back();
    else
      flags.to = flags.source.paths.back();
    flags.source.paths.pop_back();
  }
}

void run(Flags flags) {
  if (!flags.all) take_back(flags);
  if (!flags.all && (flags.from.empty() || flags.to.empty()))
    return report({ErrorKind::kInvalid, "say FROM and TO, or --all for the truth table"});
  flags.source.ipv4 = flags.family != "ipv6";
  flags.source.ipv6 = flags.family != "ipv4";
  auto world = load_world(flags.source, "explain");
  if (!world) return report(world.error());
  if (flags.all) return print_matrix(*world, flags);
  if (auto done = answer(*world, flags); !done) report(done.error());
}

}  // namespace

void add_explain(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("explain", "Say whether FROM reaches TO, and which object decides it");
  command->add_option("FROM", flags->from, "ns/pod, ns/deploy/NAME (sts, ds, rs, job), ns/svc/NAME, an IP, or outside");
  command->add_option("TO", flags->to, "the same, or a DNS name");
  command->add_option("--port", flags->port, "80, 80/tcp or 53/udp (default: every port that TO offers)");
  add_world_options(*command, flags->source);
  command->add_flag("--all", flags->all, "the truth table: every pod to every listening port of every other pod");
  command->add_option("--via", flags->via, "what --all connects to")
      ->check(CLI::IsMember({"pod", "service", "dns"}))
      ->capture_default_str();
  command->add_option("--ip-family", flags->family, "addresses to connect to; dual: IPv4 where both ends have it")
      ->check(CLI::IsMember({"dual", "ipv4", "ipv6"}))
      ->capture_default_str();
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->callback([flags] { run(*flags); });
}

}  // namespace carrick::app
