#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>

#include "base/file.h"
#include "commands.h"
#include "explain/policy.h"
#include "world.h"

// Questions about all flows at once, offline or of a lab: nothing is sent and nothing is changed.
namespace carrick::app {
namespace {

constexpr const char* kName = "policy";

struct Flags {
  WorldSource source;
  std::string before, after, rules, output = "text", family = "ipv4";
  bool fail_on_warning = false;
};

void report(const Error& error) {
  std::fprintf(stderr, "carrick policy: %s\n", error.message.c_str());
  exit_code = error.kind == ErrorKind::kTransient || error.kind == ErrorKind::kInternal ? 1 : 2;
}

void print(const std::string& text) { std::fputs(text.c_str(), stdout); }

void run_matrix(Flags& flags) {
  auto world = load_world(flags.source, kName);
  if (!world) return report(world.error());
  const explain::PolicyReach reach(*world->snapshot, flags.family == "ipv4");
  const auto edges = explain::policy_edges(reach);
  print(flags.output == "json"  ? explain::edges_json(edges)
        : flags.output == "csv" ? explain::edges_csv(edges)
        : flags.output == "dot" ? explain::edges_dot(edges)
                                : explain::edges_text(edges));
}

void run_diff(Flags& flags) {
  std::vector<explain::World> worlds;
  for (const auto& path : {flags.before, flags.after}) {
    WorldSource source = flags.source;
    source.paths = {path};
    auto world = load_world(source, kName);
    if (!world) return report(world.error());
    worlds.push_back(std::move(*world));
  }
  std::vector<explain::PolicyDifference> all;
  for (const bool ipv4 : {true, false}) {
    const explain::PolicyReach before(*worlds[0].snapshot, ipv4), after(*worlds[1].snapshot, ipv4);
    for (auto& one : explain::policy_diff(before, after))
      if (std::ranges::find(all, one) == all.end()) all.push_back(std::move(one));
  }
  print(flags.output == "json" ? explain::diff_json(all) : explain::diff_text(all));
  if (!all.empty()) exit_code = 1;
}

void print_findings(const Flags& flags, const std::vector<explain::PolicyFinding>& findings, size_t checks) {
  print(flags.output == "json"    ? explain::findings_json(findings)
        : flags.output == "sarif" ? explain::findings_sarif(findings)
        : flags.output == "junit" ? explain::findings_junit(findings, checks)
                                  : explain::findings_text(findings));
}

void run_check(Flags& flags) {
  auto text = read_file(flags.rules);
  if (!text) return report({ErrorKind::kInvalid, text.error().message});
  auto world = load_world(flags.source, kName);
  if (!world) return report(world.error());
  size_t count = 0;
  auto findings = explain::policy_check(*world->snapshot, *text, flags.rules, &count);
  if (!findings) return report(findings.error());
  if (flags.output == "text") {
    for (const auto& finding : *findings) std::printf("%s: %s\n", finding.place.c_str(), finding.sentence.c_str());
    std::printf("%zu rules, %zu violations\n", count, findings->size());
  } else {
    print_findings(flags, *findings, count);
  }
  if (!findings->empty()) exit_code = 1;
}

void run_lint(Flags& flags) {
  auto world = load_world(flags.source, kName);
  if (!world) return report(world.error());
  const auto findings = explain::policy_lint(*world->snapshot, world->locate);
  print_findings(flags, findings, explain::lint_rules().size());
  const auto worst = flags.fail_on_warning ? explain::Severity::kWarning : explain::Severity::kError;
  for (const auto& finding : findings)
    if (finding.severity >= worst) exit_code = 1;
}

CLI::App* add(CLI::App& policy, const std::shared_ptr<Flags>& flags, const char* name, const char* what,
              const std::vector<std::string>& outputs, void (*run)(Flags&)) {
  auto* command = policy.add_subcommand(name, what);
  command->add_option("-o,--output", flags->output)->check(CLI::IsMember(outputs))->capture_default_str();
  command->callback([flags, run] { run(*flags); });
  return command;
}

}  // namespace

void add_policy(CLI::App& app) {
  auto* policy = app.add_subcommand("policy", "Who may reach whom, as policies say it: exact, and without packets");
  policy->require_subcommand(1);
  auto flags = std::make_shared<Flags>();
  auto* matrix = add(*policy, flags, "matrix", "Who may reach whom on which ports, alike parties together",
                     {"text", "json", "csv", "dot"}, run_matrix);
  add_world_options(*matrix, flags->source);
  matrix->add_option("--ip-family", flags->family, "addresses that ipBlocks are compared with")
      ->check(CLI::IsMember({"ipv4", "ipv6"}))
      ->capture_default_str();
  auto* diff = add(*policy, flags, "diff", "What may flow in one state and not in the other; exit code 1 when anything",
                   {"text", "json"}, run_diff);
  diff->add_option("BEFORE", flags->before, "manifests: a file or a folder")->required();
  diff->add_option("AFTER", flags->after, "manifests: a file or a folder")->required();
  auto* check = add(*policy, flags, "check", "Whether assertions hold for every flow; exit code 1 when one does not",
                    {"text", "json", "sarif", "junit"}, run_check);
  check->add_option("RULES", flags->rules, "YAML: docs/guide/policy.md")->required();
  add_world_options(*check, flags->source);
  auto* lint = add(*policy, flags, "lint", "Rules that do nothing, half-open ways, missing DNS and the like",
                   {"text", "json", "sarif", "junit"}, run_lint);
  add_world_options(*lint, flags->source);
  lint->add_flag("--fail-on-warning", flags->fail_on_warning, "exit code 1 also for warnings");
}

}  // namespace carrick::app
