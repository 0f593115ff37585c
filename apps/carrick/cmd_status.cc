#include <boost/json.hpp>
#include <cstdio>
#include <set>

#include "answers.h"
#include "base/text.h"
#include "commands.h"
#include "lab/connect.h"

namespace carrick::app {
namespace {

namespace json = boost::json;

struct Flags {
  std::string lab = "carrick", output = "text";
};

// One entry a node: the agent's own document, or {"node","error"}.
Result<json::array> gather(const std::string& lab_name) {
  lab::RunningLab running = TRY(lab::find_running_lab(lab_name));
  json::array nodes;
  for (const auto& door : lab::agent_doors(running)) {
    auto answer = lab::ask_agent(door, "status");
    if (answer && answer->is_object())
      nodes.push_back(*answer);
    else
      nodes.push_back({{"node", door.node}, {"error", answer ? "its answer is not a status" : answer.error().message}});
  }
  return nodes;
}

bool healthy(const json::object& node) {
  auto* failures = node.if_contains("failures");
  return !node.contains("error") && number(node, "realized") >= number(node, "revision") && failures &&
         failures->as_array().empty() && node.at("ready").as_bool();
}

std::string drops_line(const json::object& node) {
  std::vector<std::string> parts;
  if (auto* drops = node.if_contains("drops"); drops && drops->is_object())
    for (const auto& [word, count] : drops->as_object())
      if (word != "accepted") parts.push_back(fmt::format("{} {}", std::string_view(word), count.to_number<int64_t>()));
  return parts.empty() ? "-" : join(parts, ", ");
}

std::string flows_of(const json::object& node) {
  const json::object& flows = node.at("flows").as_object();
  return fmt::format("{} of {}", number(flows, "entries"), number(flows, "capacity"));
}

void print_text(const json::array& nodes) {
  TextTable summary(
      {"NODE", "READY", "PODS", "REVISION", "REALIZED", "LAST APPLY", "FAILING ROWS", "FLOWS", "DROPPED PACKETS"});
  for (const auto& value : nodes) {
    const json::object& node = value.as_object();
    if (node.contains("error")) {
      summary.add({text(node, "node"), "No", "-", "-", "-", "-", "-", "-", "-"});
      continue;
    }
    summary.add({text(node, "node"), node.at("ready").as_bool() ? "Yes" : "No", std::to_string(number(node, "pods")),
                 std::to_string(number(node, "revision")), std::to_string(number(node, "realized")),
                 fmt::format("{:.1f} ms", node.at("lastApplyMs").to_number<double>()),
                 std::to_string(node.at("failures").as_array().size()), flows_of(node), drops_line(node)});
  }
  std::fputs(summary.str().c_str(), stdout);
  std::map<std::string, std::vector<std::string>> rows;  // table -> one cell a node
  std::vector<std::string> header{"TABLE"};
  for (const auto& value : nodes) {
    const json::object& node = value.as_object();
    header.push_back(text(node, "node"));
    if (node.contains("error")) continue;
    for (const auto& table : node.at("tables").as_array()) {
      auto& cells = rows[text(table.as_object(), "name")];
      cells.resize(header.size() - 2, "-");
      int64_t failing = number(table.as_object(), "failing");
      cells.push_back(std::to_string(number(table.as_object(), "rows")) +
                      (failing ? fmt::format(" ({} failing)", failing) : ""));
    }
  }
  TextTable tables(header);
  for (auto& [name, cells] : rows) {
    cells.insert(cells.begin(), name);
    tables.add(cells);
  }
  std::printf("\n%s", tables.str().c_str());
  for (const auto& value : nodes) {
    const json::object& node = value.as_object();
    if (node.contains("error")) {
      std::printf("\n%s: %s\n", text(node, "node").c_str(), text(node, "error").c_str());
      continue;
    }
    if (std::string why = text(node, "notReadyBecause"); !why.empty())
      std::printf("\n%s: %s\n", text(node, "node").c_str(), why.c_str());
    for (const auto& failure : node.at("failures").as_array())
      std::printf("%s: %s: %s: %s\n", text(node, "node").c_str(), text(failure.as_object(), "table").c_str(),
                  text(failure.as_object(), "owner").c_str(), text(failure.as_object(), "error").c_str());
  }
}

// Every node finds the same: once is enough.
void print_findings(const json::array& nodes) {
  std::set<std::string> said;
  for (const auto& node : nodes)
    if (const auto* findings = node.as_object().if_contains("findings"))
      for (const auto& finding : findings->as_array()) {
        std::string line = text(finding.as_object(), "owner") + ": " + text(finding.as_object(), "sentence");
        if (said.insert(line).second) std::printf("%s%s\n", said.size() == 1 ? "\n" : "", line.c_str());
      }
}

// Of every node, as its /metrics has it.
Result<void> print_metrics(const std::string& lab_name) {
  lab::RunningLab running = TRY(lab::find_running_lab(lab_name));
  for (const auto& door : lab::agent_doors(running)) {
    json::value page = TRY(lab::ask_agent(door, "metrics"));
    if (!page.is_string()) return fail(ErrorKind::kInternal, "agent of {}: its answer is no text", door.node);
    std::printf("# node %s\n%s", door.node.c_str(), page.as_string().c_str());
  }
  return {};
}

void status(const Flags& flags) {
  if (flags.output == "metrics") {
    if (auto done = print_metrics(flags.lab); !done) {
      std::fprintf(stderr, "carrick status: %s\n", done.error().message.c_str());
      exit_code = done.error().kind == ErrorKind::kNotFound ? 2 : 1;
    }
    return;
  }
  auto nodes = gather(flags.lab);
  if (!nodes) {
    std::fprintf(stderr, "carrick status: %s\n", nodes.error().message.c_str());
    exit_code = 2;
    return;
  }
  bool all = std::ranges::all_of(*nodes, [](const auto& node) { return healthy(node.as_object()); });
  if (flags.output == "json")
    std::printf("%s\n", json::serialize(json::object{{"lab", flags.lab}, {"healthy", all}, {"nodes", *nodes}}).c_str());
  else {
    print_text(*nodes);
    print_findings(*nodes);
  }
  exit_code = all ? 0 : 1;
}

}  // namespace

void add_status(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("status", "What is realized on every node of a lab: tables, lag, failures, drops");
  command->add_option("--lab", flags->lab, "name of the lab")->capture_default_str();
  command->add_option("-o,--output", flags->output, "metrics: what each agent has at /metrics")
      ->check(CLI::IsMember({"text", "json", "metrics"}))
      ->capture_default_str();
  command->footer("`carrick drops` shows the dropped packets themselves.");
  command->callback([flags] { status(*flags); });
}

}  // namespace carrick::app
