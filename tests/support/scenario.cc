#include "tests/support/scenario.h"

#include <fstream>
#include <sstream>

#include "base/text.h"

namespace carrick::testing {
namespace {

std::vector<std::string> words(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::vector<std::string> out;
  for (std::string word; in >> word && !word.starts_with('#');) out.push_back(word);
  return out;
}

bool is_verdict(const std::string& word) {
  return word == "allow" || word == "deny" || word == "refuse" || word == "mixed";
}

}  // namespace

Result<Scenario> parse_scenario(std::string_view text, const std::string& file) {
  Scenario out{file, {}, {}};
  int number = 0;
  bool in_yaml = false, in_expect = false;
  for (std::string_view line : split(text, '\n')) {
    ++number;
    auto bad = [&](std::string_view why) { return fail(ErrorKind::kInvalid, "{}:{}: {}", file, number, why); };
    bool heading = line.starts_with("## ");
    if (line.starts_with("# ") && out.steps.empty()) {
      out.title = std::string(trim(line.substr(2)));
      continue;
    }
    if (heading) {
      auto parts = words(line.substr(3));
      if (parts.empty()) return bad("an empty heading; write ## apply, ## delete KIND NS/NAME or ## expect");
      in_yaml = parts[0] == "apply";
      in_expect = parts[0] == "expect";
      Step step;
      step.line = number;
      if (in_expect) step.kind = Step::Kind::kExpect;
      if (parts[0] == "delete") {
        if (parts.size() != 3) return bad("write ## delete KIND NS/NAME");
        step.kind = Step::Kind::kDelete;
        step.object_kind = parts[1];
        step.object = parts[2];
      } else if (!in_yaml && !in_expect) {
        return bad("a heading is ## apply, ## delete or ## expect");
      }
      out.steps.push_back(std::move(step));
      continue;
    }
    if (in_yaml) {
      out.steps.back().yaml += std::string(line) + "\n";
    } else if (in_expect) {
      auto parts = words(line);
      if (parts.empty()) continue;
      if (parts.size() < 4 || !is_verdict(parts[3]))
        return bad("an expectation is FROM TO PORT allow|deny|refuse|mixed [by OWNER]");
      Expectation expected{parts[0], parts[1], parts[2], parts[3], {}, number};
      if (parts.size() > 5 && parts[4] == "by") expected.owner = join({parts.begin() + 5, parts.end()}, " ");
      out.steps.back().expectations.push_back(std::move(expected));
    } else if (!trim(line).empty() && !line.starts_with("#")) {
      return bad("text outside of ## apply and ## expect");
    }
  }
  return out;
}

Result<Scenario> load_scenario(const std::string& path) {
  std::ifstream in(path);
  if (!in) return fail(ErrorKind::kNotFound, "{}: cannot be read", path);
  std::stringstream text;
  text << in.rdbuf();
  return parse_scenario(text.str(), path);
}

}  // namespace carrick::testing
