#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <chrono>
#include <cstdio>
#include <set>

#include "base/text.h"
#include "commands.h"
#include "lab/lab.h"

namespace carrick::app {
namespace {

constexpr size_t kWidestTable = 60;  // pods; the truth table of more is for programs
constexpr size_t kShownDisagreements = 30;

struct Flags {
  std::string lab = "carrick", from, to, via = "pod", family = "dual", output = "text";
  bool all = false;
  int timeout_ms = 300;
};

using PodFilter = std::function<bool(const k8s::Pod&)>;

// "app=web,tier!=x"-like equalities, "shop/*" or "shop" (a namespace), or whatever explain takes for pods.
Result<PodFilter> parse_selection(const explain::World& world, const std::string& text) {
  if (text.empty()) return PodFilter();
  if (text.find('=') != std::string::npos) {
    k8s::StringMap labels;
    for (std::string_view pair : split(text, ',')) {
      size_t equals = pair.find('=');
      if (equals == std::string_view::npos)
        return fail(ErrorKind::kInvalid, "\"{}\": not label=value[,label=value]", text);
      labels[std::string(trim(pair.substr(0, equals)))] = trim(pair.substr(equals + 1));
    }
    return PodFilter([labels](const k8s::Pod& pod) { return k8s::matches(labels, pod.metadata.labels); });
  }
  std::string namespace_ = text.ends_with("/*") ? text.substr(0, text.size() - 2) : text;
  if (world.snapshot->namespaces.contains({"", namespace_}))
    return PodFilter([namespace_](const k8s::Pod& pod) { return pod.metadata.namespace_ == namespace_; });
  std::set<k8s::NamespacedName> pods;
  for (const auto& party : TRY(explain::parse_party(world, text, true)))
    if (party.kind == explain::Party::Kind::kPod) pods.insert(party.object);
  if (pods.empty()) return fail(ErrorKind::kInvalid, "\"{}\" selects no pod", text);
  return PodFilter([pods](const k8s::Pod& pod) { return pods.contains(pod.metadata.key()); });
}

void print_text(const lab::ProbeReport& report) {
  if (report.matrix.sources.size() <= kWidestTable) std::printf("%s\n", explain::to_text(report.matrix).c_str());
  for (const std::string& sentence : lab::describe_disagreements(report, kShownDisagreements))
    std::printf("DISAGREE %s\n", sentence.c_str());
  size_t allowed = 0, denied = 0, refused = 0;
  for (const auto& outcome : report.outcomes) {
    allowed += outcome.verdict == lab::Verdict::kAllow;
    denied += outcome.verdict == lab::Verdict::kDeny;
    refused += outcome.verdict == lab::Verdict::kRefuse;
  }
  std::printf(
      "%zu probes in %.2f s (%.0f a second): %zu allowed, %zu denied, %zu refused; %zu disagreements with explain\n",
      report.outcomes.size(), report.seconds,
      static_cast<double>(report.outcomes.size()) / std::max(report.seconds, 1e-6), allowed, denied, refused,
      report.disagree.size());
}

// Why there is no cell at all. By default Kubernetes gives a Service one family only, also in a cluster of two.
std::string why_nothing(const explain::World& world, const explain::MatrixOptions& options) {
  if (options.via == explain::Via::kPod || options.family == explain::Family::kAny)
    return "there is nothing to probe: no pod was selected that listens anywhere and has an address of that family";
  const bool v4 = options.family == explain::Family::kV4;
  size_t other_family = 0;
  for (const auto& [key, service] : world.snapshot->services) {
    bool has_other = false;
    for (const auto& text : service->spec.clusterIPs)
      if (auto address = net::IpAddress::parse(text)) has_other = has_other || address->is_v4() != v4;
    other_family += has_other && !service->spec.selector.empty();
  }
  return fmt::format(
      "there is nothing to probe: no Service of the selected pods has an {} address; {} have one of the other family "
      "(spec.ipFamilyPolicy: PreferDualStack gives a Service both)",
      v4 ? "IPv4" : "IPv6", other_family);
}

Result<void> run(const Flags& flags) {
  if (!flags.all && flags.from.empty() && flags.to.empty())
    return fail(ErrorKind::kInvalid, "say --all, or which pods with --from and --to");
  auto running = TRY(lab::find_running_lab(flags.lab));
  auto snapshot = TRY(lab::fetch_snapshot(flags.lab));
  explain::WorldOptions world_options{
      .routing = running.record.config.vxlan ? desired::Routing::kVxlan : desired::Routing::kNative,
      .dsr = running.record.config.dsr};
  auto world = explain::make_world(std::make_shared<const k8s::Snapshot>(std::move(snapshot)), world_options);
  lab::ProbeOptions options{.timeout = std::chrono::milliseconds(flags.timeout_ms)};
  options.matrix.via = flags.via == "service" ? explain::Via::kService
                       : flags.via == "dns"   ? explain::Via::kDns
                                              : explain::Via::kPod;
  options.matrix.family = flags.family == "ipv4"   ? explain::Family::kV4
                          : flags.family == "ipv6" ? explain::Family::kV6
                                                   : explain::Family::kAny;
  options.matrix.sctp = false;  // this prober speaks TCP and UDP
  options.matrix.from = TRY(parse_selection(world, flags.from));
  options.matrix.to = TRY(parse_selection(world, flags.to));
  auto report = TRY(lab::probe(running, world, options));
  if (flags.output == "json")
    lab::write_json(report, [](std::string_view piece) { std::fwrite(piece.data(), 1, piece.size(), stdout); });
  else
    print_text(report);
  if (!report.disagree.empty()) exit_code = 1;
  // No probe proves nothing: it is not to be taken for agreement.
  if (report.outcomes.empty()) return fail(ErrorKind::kInvalid, "{}", why_nothing(world, options.matrix));
  return {};
}

}  // namespace

void add_probe(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command =
      app.add_subcommand("probe", "Make real connections in a lab and compare every one with what explain says");
  command->add_option("--lab", flags->lab, "name of the lab")->capture_default_str();
  command->add_option("--from", flags->from, "sources: NAMESPACE, NAMESPACE/POD, NAMESPACE/deploy/NAME or label=value");
  command->add_option("--to", flags->to, "destinations, in the same words");
  command->add_flag("--all", flags->all, "every pod to every listening port of every other pod");
  command->add_option("--via", flags->via, "connect to pod addresses, to Services, or to names")
      ->check(CLI::IsMember({"pod", "service", "dns"}))
      ->capture_default_str();
  command->add_option("--ip-family", flags->family, "dual: IPv4 where both ends have it")
      ->check(CLI::IsMember({"dual", "ipv4", "ipv6"}))
      ->capture_default_str();
  command->add_option("--timeout-ms", flags->timeout_ms, "silence for so long is a deny")
      ->check(CLI::Range(20, 60000))
      ->capture_default_str();
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember({"text", "json"}))->capture_default_str();
  command->callback([flags] {
    auto done = run(*flags);
    if (done) return;
    std::fprintf(stderr, "carrick probe: %s\n", done.error().message.c_str());
    exit_code = done.error().kind == ErrorKind::kUnsupported                                              ? 3
                : done.error().kind == ErrorKind::kTransient || done.error().kind == ErrorKind::kInternal ? 1
                                                                                                          : 2;
  });
}

}  // namespace carrick::app
