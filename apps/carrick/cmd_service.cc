#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/json.hpp>
#include <cstdio>

#include "base/text.h"
#include "commands.h"
#include "explain/service_report.h"
#include "lab/connect.h"
#include "watch/watch.h"
#include "world.h"

namespace carrick::app {
namespace {

namespace json = boost::json;

struct Flags {
  std::string name, node, lab = "carrick", output = "text";
  WorldSource source;
  bool watch = false;
};

void report(const Error& error) {
  std::fprintf(stderr, "carrick service: %s\n", error.message.c_str());
  exit_code = error.kind == ErrorKind::kTransient || error.kind == ErrorKind::kInternal ? 1 : 2;
}

Result<k8s::NamespacedName> parse_name(const std::string& text) {
  auto parts = split(text, '/');
  if (parts.size() == 1) return k8s::NamespacedName{"default", text};
  if (parts.size() == 2 && !parts[0].empty() && !parts[1].empty())
    return k8s::NamespacedName{std::string(parts[0]), std::string(parts[1])};
  return fail(ErrorKind::kInvalid, "\"{}\" is not NAMESPACE/NAME of a Service", text);
}

// What the agents have counted; a node whose agent does not answer is named and left out.
Result<std::vector<explain::EndpointHits>> ask_hits(const Flags& flags, const k8s::NamespacedName& service) {
  std::vector<explain::EndpointHits> out;
  for (const auto& door : lab::agent_doors(TRY(lab::find_running_lab(flags.source.lab)))) {
    if (!flags.node.empty() && door.node != flags.node) continue;
    auto answer = lab::ask_agent(door, json::object{{"verb", "hits"}, {"service", service.str()}});
    if (!answer || !answer->is_array()) {
      std::fprintf(stderr, "carrick service: hits of %s are missing: %s\n", door.node.c_str(),
                   answer ? "not understood" : answer.error().message.c_str());
      continue;
    }
    for (const auto& value : answer->as_array()) {
      const json::object& one = value.as_object();
      out.push_back({std::string(one.at("clause").as_string()),
                     {TRY(net::IpAddress::parse(one.at("address").as_string())), one.at("port").to_number<uint16_t>()},
                     one.at("hits").to_number<uint64_t>()});
    }
  }
  return out;
}

Result<std::string> answer(const explain::World& world, const Flags& flags, bool with_hits) {
  auto name = TRY(parse_name(flags.name));
  auto report = TRY(explain::report_service(world, name, flags.node));
  if (with_hits) explain::add_hits(report, TRY(ask_hits(flags, name)));
  return flags.output == "json" ? explain::to_json(report) + "\n" : explain::to_text(report);
}

// Prints it again whenever what is printed changes, until it is interrupted or the Service goes.
Result<void> follow(const Flags& flags) {
  if (!flags.source.paths.empty()) return fail(ErrorKind::kInvalid, "--watch needs a running lab, not -f");
  lab::RunningLab running = TRY(lab::find_running_lab(flags.source.lab));
  boost::asio::io_context io;
  auto credentials = TRY(lab::connect(running));
  watch::Client client(io, std::move(credentials));
  std::string last;
  Result<void> outcome;
  watch::SnapshotWatcher watcher(io, client, [&](auto snapshot, const auto&) {
    const auto world = explain::make_world(std::move(snapshot));
    auto plain = answer(world, flags, false);  // connections alone are no reason to print it again
    if (plain && *plain == last) return;
    auto text = plain ? answer(world, flags, true) : plain;
    if (!text) {
      outcome = std::unexpected(text.error());
      io.stop();
      return;
    }
    std::printf("%s%s", last.empty() || flags.output == "json" ? "" : "\n---\n", text->c_str());
    std::fflush(stdout);
    last = std::move(*plain);
  });
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&](auto, int) { io.stop(); });
  watcher.start();
  io.run();
  return outcome;
}

Result<void> run(const Flags& flags) {
  if (flags.watch) return follow(flags);
  auto world = TRY(load_world(flags.source, "service"));
  std::fputs(TRY(answer(world, flags, flags.source.paths.empty())).c_str(), stdout);
  return {};
}

}  // namespace

void add_service(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand(
      "service", "One Service: its addresses, each endpoint with its state, which nodes use it, and why others do not");
  command->add_option("service", flags->name, "NAMESPACE/NAME")->required();
  command->add_option("--node", flags->node, "as this node sees it (default: all nodes)");
  add_world_options(*command, flags->source);
  command->add_flag("-w,--watch", flags->watch, "print it again whenever it changes");
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->callback([flags] {
    if (auto done = run(*flags); !done) report(done.error());
  });
}

}  // namespace carrick::app
