#include "tests/support/scenario.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/text.h"
#include "net/ip.h"

namespace carrick::testing {
namespace {

std::vector<std::string> words(std::string_view line) {
  std::istringstream in{std::string(line)};
  std::vector<std::string> out;
  for (std::string word; in >> word && !word.starts_with('#');) out.push_back(word);
  return out;
}

class Parser {
 public:
  Parser(std::string_view text, const std::string& file) : text_(text) { out_.file = file; }

  Result<Scenario> run() {
    for (std::string_view line : split(text_, '\n')) {
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (line.starts_with("## ")) {
        TRY_VOID(heading(line.substr(3)));
      } else if (line.starts_with("# ") && out_.title.empty() && out_.steps.empty()) {
        out_.title = std::string(trim(line.substr(2)));
      } else if (in_ == Section::kYaml) {
        out_.steps.back().yaml += std::string(line) + "\n";
      } else if (in_ == Section::kExpect) {
        TRY_VOID(expectation(line));
      } else if (!trim(line).empty() && !line.starts_with("#")) {
        return bad("text outside of ## apply and ## expect");
      }
    }
    return std::move(out_);
  }

 private:
  enum class Section { kNone, kYaml, kExpect };

  std::unexpected<Error> bad(std::string_view why) const {
    return fail(ErrorKind::kInvalid, "{}:{}: {}", out_.file, number_, why);
  }

  Result<void> heading(std::string_view line) {
    std::string_view marked;
    if (size_t open = line.find('('); open != std::string_view::npos) {
      marked = line.substr(open);
      line = line.substr(0, open);
    }
    auto parts = words(line);
    if (parts.empty()) return bad("an empty heading; write ## apply, ## delete KIND NS/NAME or ## expect");
    in_ = Section::kNone;
    const std::string& verb = parts[0];
    if (!marked.empty() && verb != "expect") return bad("only ## expect has a mark for judges");
    if (verb == "nodes" || verb == "routing" || verb == "lb-mode" || verb == "route") return header(parts);
    Step step;
    step.line = number_;
    if (verb == "apply") {
      in_ = Section::kYaml;
      step.yaml_line = number_ + 1;
    } else if (verb == "expect") {
      in_ = Section::kExpect;
      step.kind = Step::Kind::kExpect;
      if (parts.size() > 2 || (parts.size() == 2 && parts[1] != "ipv4" && parts[1] != "ipv6"))
        return bad("write ## expect, ## expect ipv4 or ## expect ipv6");
      if (parts.size() == 2) step.family = parts[1];
      if (!marked.empty()) step.mark = TRY(mark(marked));
    } else if (verb == "delete") {
      if (parts.size() != 3) return bad("write ## delete KIND NS/NAME");
      step.kind = Step::Kind::kDelete;
      step.object_kind = parts[1];
      step.object = parts[2];
    } else {
      return bad("a heading is ## nodes, ## routing, ## lb-mode, ## route, ## apply, ## delete or ## expect");
    }
    out_.steps.push_back(std::move(step));
    return {};
  }

  Result<void> header(const std::vector<std::string>& parts) {
    if (!out_.steps.empty()) return bad("what the cluster is like comes before its objects");
    if (parts[0] == "nodes") {
      bool good = parts.size() == 2;
      if (good) {
        auto [end, error] = std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), out_.nodes);
        good = error == std::errc() && *end == '\0' && out_.nodes >= 1 && out_.nodes <= 20;
      }
      return good ? Result<void>() : bad("write ## nodes N, 1 to 20");
    }
    if (parts[0] == "routing") {
      if (parts.size() != 2 || (parts[1] != "native" && parts[1] != "vxlan"))
        return bad("write ## routing native or ## routing vxlan");
      out_.routing = parts[1];
      return {};
    }
    if (parts[0] == "lb-mode") {
      if (parts.size() != 2 || (parts[1] != "snat" && parts[1] != "dsr"))
        return bad("write ## lb-mode snat or ## lb-mode dsr");
      out_.lb_mode = parts[1];
      return {};
    }
    if (parts.size() != 3 || !net::IpAddress::parse(parts[1])) return bad("write ## route ADDRESS NODE");
    out_.routes[parts[1]] = parts[2];
    return {};
  }

  // "(explain only: why)", "(not lab: why)", "(not packets, lab: why)"
  Result<Mark> mark(std::string_view text) {
    constexpr const char* kForm = "a mark is (JUDGE only: why) or (not JUDGE: why), JUDGE one of explain, packets, lab";
    size_t colon = text.find(':'), close = text.rfind(')');
    if (colon == std::string_view::npos || close == std::string_view::npos || close < colon) return bad(kForm);
    Mark out;
    out.why = trim(text.substr(colon + 1, close - colon - 1));
    if (out.why.empty()) return bad("a mark says why");
    std::string spoken(text.substr(1, colon - 1));
    std::ranges::replace(spoken, ',', ' ');
    auto parts = words(spoken);
    bool only = parts.size() > 1 && parts.back() == "only", without = parts.size() > 1 && parts.front() == "not";
    if (only == without) return bad(kForm);
    if (only)
      parts.pop_back();
    else
      parts.erase(parts.begin());
    if (only) out.explain = out.packets = out.lab = false;
    for (const auto& part : parts) {
      if (part != "explain" && part != "packets" && part != "lab") return bad(kForm);
      (part == "explain" ? out.explain : part == "packets" ? out.packets : out.lab) = only;
    }
    return out;
  }

  Result<void> expectation(std::string_view line) {
    auto parts = words(line);
    if (parts.empty()) return {};
    static const std::string kForm =
        "an expectation is FROM TO PORT allow|deny|refuse|mixed [reaching WHO,...] [as CLIENT] [by OWNER]";
    if (parts.size() < 4) return bad(kForm);
    Expectation out{parts[0], parts[1], parts[2], parts[3], {}, {}, {}, number_};
    if (out.verdict != "allow" && out.verdict != "deny" && out.verdict != "refuse" && out.verdict != "mixed")
      return bad(kForm);
    for (size_t i = 4; i < parts.size(); i += 2) {
      if (i + 1 == parts.size()) return bad(kForm);
      if (parts[i] == "reaching") {
        for (std::string_view who : split(parts[i + 1], ',')) out.reaching.emplace_back(who);
        std::ranges::sort(out.reaching);
      } else if (parts[i] == "as") {
        out.seen_as = parts[i + 1];
      } else if (parts[i] == "by") {
        out.owner = join({parts.begin() + static_cast<ptrdiff_t>(i) + 1, parts.end()}, " ");
        break;
      } else {
        return bad(kForm);
      }
    }
    if (out.verdict != "allow" && out.verdict != "mixed" && (!out.reaching.empty() || !out.seen_as.empty()))
      return bad("nobody is reached where nothing is allowed");
    out_.steps.back().expectations.push_back(std::move(out));
    return {};
  }

  std::string_view text_;
  Scenario out_;
  Section in_ = Section::kNone;
  int number_ = 0;
};

}  // namespace

std::string_view judge_word(Judge judge) {
  return judge == Judge::kExplain ? "explain" : judge == Judge::kPackets ? "packets" : "lab";
}

Result<Scenario> parse_scenario(std::string_view text, const std::string& file) { return Parser(text, file).run(); }

std::string scenario_in_guide(std::string_view guide) {
  std::string out;
  enum { kText, kOther, kOurs } in = kText;
  for (std::string_view line : split(guide, '\n')) {
    std::string now;
    if (in != kText && line == "```") {
      in = kText;
    } else if (in == kText && line.starts_with("```")) {
      in = line == "```yaml" || line.starts_with("```expect") ? kOurs : kOther;
      if (in == kOurs) now = line == "```yaml" ? "## apply" : fmt::format("## {}", line.substr(3));
    } else if (in == kOurs) {
      now = line;
    }
    out += now + "\n";
  }
  return out;
}

Result<Scenario> load_scenario(const std::string& path) {
  std::ifstream in(path);
  if (!in) return fail(ErrorKind::kNotFound, "{}: cannot be read", path);
  std::stringstream text;
  text << in.rdbuf();
  return parse_scenario(path.ends_with(".md") ? scenario_in_guide(text.str()) : text.str(), path);
}

std::vector<std::string> scenario_files() {
  std::vector<std::string> out;
  const char* elsewhere = std::getenv("CARRICK_SCENARIOS");
  const std::string folder = elsewhere ? elsewhere : std::string(CARRICK_SOURCE_DIR) + "/tests/scenarios";
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".scn") out.push_back(entry.path());
  if (!elsewhere)
    for (const char* guide : {"services", "policy"})
      out.push_back(fmt::format("{}/docs/guide/{}.md", CARRICK_SOURCE_DIR, guide));
  std::ranges::sort(out);
  return out;
}

std::string test_name(const std::string& path) {
  std::string out = std::filesystem::path(path).stem().string();
  for (char& c : out)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return out;
}

}  // namespace carrick::testing
