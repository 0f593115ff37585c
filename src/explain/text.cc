#include "base/text.h"

#include <algorithm>

#include "explain/judge.h"

namespace carrick::explain {
namespace {

constexpr size_t kManyColumns = 40;  // wider tables are given as lists

std::string with_place(const desired::Owner& owner, const Locate& locate) {
  std::string place = locate ? locate(owner) : "";
  return owner.str() + (place.empty() ? "" : " (" + place + ")");
}

void append(std::string& out, const Decision& decision, const Locate& locate, const char* indent) {
  out += fmt::format("{}{:<9} {} {}\n", indent, decision.stage, decision.passed ? "+" : "x", decision.sentence);
  for (const auto& owner : decision.owners)
    out += fmt::format("{}            {} {}\n", indent,
                       decision.passed || owner.kind == "ClusterNetworkPolicy" ? "by" : "isolated by",
                       with_place(owner, locate));
  if (decision.nearest.empty()) return;
  std::string rule = decision.nearest_owner.empty() ? "" : with_place(decision.nearest_owner.front(), locate) + ": ";
  out += fmt::format("{}            nearest rule: {}{}\n", indent, rule, decision.nearest);
}

char symbol(const Cell& cell) {
  if ((cell.possible & (cell.possible - 1)) != 0) return '?';
  return cell.expected == Verdict::kAllow ? '.' : cell.expected == Verdict::kDeny ? 'X' : 'r';
}

// Columns are numbered; their names stand beside the rows where they are the same pods, else below.
class Table {
 public:
  explicit Table(const Matrix& matrix) : matrix_(matrix) {
    for (const auto& cell : matrix.cells) {
      desired::Listener port{cell.port, cell.protocol};
      by_port_[port].push_back(&cell);
    }
    for (size_t i = 0; i < matrix.targets.size(); ++i) width_ = std::max(width_, matrix.targets[i].name.size());
    for (const auto& source : matrix.sources) width_ = std::max(width_, source.pod.str().size());
  }

  std::string run() {
    std::string out;
    size_t counts[3] = {};
    for (const auto& cell : matrix_.cells) ++counts[static_cast<size_t>(cell.expected)];
    for (const auto& [port, cells] : by_port_) out += one_port(port, cells);
    out += fmt::format("{} cells: {} allow (.), {} deny (X), {} refuse (r)", matrix_.cells.size(), counts[0], counts[1],
                       counts[2]);
    auto mixed = std::ranges::count_if(matrix_.cells, [](const Cell& cell) { return symbol(cell) == '?'; });
    if (mixed) out += fmt::format("; {} depend on the endpoint (?)", mixed);
    return out + "\n";
  }

 private:
  std::string one_port(const desired::Listener& port, const std::vector<const Cell*>& cells) {
    std::vector<uint32_t> columns;
    std::map<std::pair<uint32_t, uint32_t>, char> at;
    std::set<uint32_t> rows;
    for (const auto* cell : cells) {
      columns.push_back(cell->to);
      rows.insert(cell->from);
      at[{cell->from, cell->to}] = symbol(*cell);
    }
    std::ranges::sort(columns);
    columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
    std::string out = fmt::format("to port {}\n", port_text(port));
    if (columns.size() > kManyColumns) return out + summary(columns, at);
    for (size_t i = 0; i < columns.size(); ++i)
      out += fmt::format("  {:>2}  {}\n", i + 1, matrix_.targets[columns[i]].name);
    out += fmt::format("{:<{}}", "from", width_ + 2);
    for (size_t i = 0; i < columns.size(); ++i) out += fmt::format("{:>3}", i + 1);
    out += '\n';
    for (uint32_t row : rows) {
      std::string line = fmt::format("{:<{}}", matrix_.sources[row].pod.str(), width_ + 2);
      for (uint32_t column : columns) {
        auto found = at.find({row, column});
        line += fmt::format("{:>3}", found == at.end() ? ' ' : found->second);
      }
      while (line.ends_with(' ')) line.pop_back();
      out += line + '\n';
    }
    return out + '\n';
  }

  std::string summary(const std::vector<uint32_t>& columns, const std::map<std::pair<uint32_t, uint32_t>, char>& at) {
    std::map<uint32_t, std::map<char, size_t>> counts;
    for (const auto& [cell, what] : at) ++counts[cell.second][what];
    TextTable table({"TO", "ALLOW", "DENY", "REFUSE"});
    for (uint32_t column : columns)
      table.add({matrix_.targets[column].name, std::to_string(counts[column]['.']), std::to_string(counts[column]['X']),
                 std::to_string(counts[column]['r'])});
    return table.str() + '\n';
  }

  const Matrix& matrix_;
  std::map<desired::Listener, std::vector<const Cell*>> by_port_;
  size_t width_ = 4;
};

}  // namespace

std::string to_text(const Answer& answer, const Locate& locate) {
  std::string out = fmt::format("{}: {}\n", answer.mixed ? "mixed" : verdict_word(answer.verdict), answer.sentence);
  for (const auto& decision : answer.decisions) append(out, decision, locate, "  ");
  for (const auto& path : answer.paths) {
    const char* indent = "  ";
    if (answer.paths.size() > 1 || !answer.decisions.empty()) {
      out += fmt::format("  {} ({}): {}\n", path.target_name, path.target.str(), verdict_word(path.verdict));
      indent = "    ";
    }
    for (const auto& decision : path.decisions) append(out, decision, locate, indent);
  }
  return out;
}

std::string to_text(const Matrix& matrix) { return Table(matrix).run(); }

}  // namespace carrick::explain
