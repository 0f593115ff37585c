#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "base/text.h"
#include "commands.h"
#include "explain/service_report.h"
#include "lab/connect.h"
#include "watch/watch.h"
#include "world.h"

namespace carrick::app {
namespace {

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

Result<std::string> answer(const explain::World& world, const Flags& flags) {
  auto name = TRY(parse_name(flags.name));
  auto report = TRY(explain::report_service(world, name, flags.node));
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
    auto text = answer(explain::make_world(std::move(snapshot)), flags);
    if (!text) {
      outcome = std::unexpected(text.error());
      io.stop();
      return;
    }
    if (*text == last) return;
    std::printf("%s%s", last.empty() || flags.output == "json" ? "" : "\n---\n", text->c_str());
    std::fflush(stdout);
    last = std::move(*text);
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
  std::fputs(TRY(answer(world, flags)).c_str(), stdout);
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
