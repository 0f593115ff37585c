#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"
#include "explain/policy.h"

// Findings for people and for CI: SARIF 2.1.0 and JUnit.
namespace carrick::explain {
namespace {

namespace json = boost::json;

std::pair<std::string, int> place_of(const PolicyFinding& finding) {
  const size_t colon = finding.place.rfind(':');
  if (colon == std::string::npos) return {finding.place, 0};
  int line = 0;
  std::from_chars(finding.place.data() + colon + 1, finding.place.data() + finding.place.size(), line);
  return {finding.place.substr(0, colon), line};
}

std::string message_of(const PolicyFinding& finding) {
  return finding.owner.name.empty() ? finding.sentence : finding.owner.str() + ": " + finding.sentence;
}

std::string xml(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string findings_text(const std::vector<PolicyFinding>& findings) {
  std::string out;
  size_t counts[3] = {};
  for (const auto& finding : findings) {
    ++counts[static_cast<size_t>(finding.severity)];
    out += fmt::format("{}{}{}: {} [{}]\n", finding.place, finding.place.empty() ? "" : ": ",
                       severity_word(finding.severity), message_of(finding), finding.rule);
  }
  return out + fmt::format("{} findings: {} errors, {} warnings, {} infos\n", findings.size(), counts[2], counts[1],
                           counts[0]);
}

std::string findings_json(const std::vector<PolicyFinding>& findings) {
  json::array out;
  for (const auto& finding : findings) {
    const auto [file, line] = place_of(finding);
    json::object one{{"rule", finding.rule},
                     {"severity", severity_word(finding.severity)},
                     {"object", finding.owner.name.empty() ? "" : finding.owner.str()},
                     {"message", finding.sentence}};
    if (line) one["file"] = file, one["line"] = line;
    out.push_back(std::move(one));
  }
  return json::serialize(json::object{{"findings", std::move(out)}}) + "\n";
}

std::string findings_sarif(const std::vector<PolicyFinding>& findings) {
  json::array rules, results;
  for (const auto& [id, text] : lint_rules())
    rules.push_back(json::object{{"id", id}, {"shortDescription", json::object{{"text", text}}}});
  for (const auto& finding : findings) {
    json::object result{{"ruleId", finding.rule},
                        {"level", finding.severity == Severity::kInfo ? "note" : severity_word(finding.severity)},
                        {"message", json::object{{"text", message_of(finding)}}}};
    const auto [file, line] = place_of(finding);
    if (line) {
      json::object where{{"artifactLocation", json::object{{"uri", file}}},
                         {"region", json::object{{"startLine", line}}}};
      result["locations"] = json::array{json::object{{"physicalLocation", std::move(where)}}};
    }
    results.push_back(std::move(result));
  }
  json::object driver{{"name", "carrick policy"}, {"rules", std::move(rules)}};
  json::object run{{"tool", json::object{{"driver", std::move(driver)}}}, {"results", std::move(results)}};
  json::array runs;
  runs.push_back(std::move(run));
  return json::serialize(json::object{{"$schema", "https://json.schemastore.org/sarif-2.1.0.json"},
                                      {"version", "2.1.0"},
                                      {"runs", std::move(runs)}}) +
         "\n";
}

std::string findings_junit(const std::vector<PolicyFinding>& findings, size_t checks) {
  std::string out = fmt::format(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"carrick policy\" tests=\"{}\" failures=\"{}\">\n",
      std::max(checks, findings.size()), findings.size());
  for (const auto& finding : findings)
    out += fmt::format("  <testcase classname=\"{}\" name=\"{}\"><failure message=\"{}\">{}</failure></testcase>\n",
                       xml(finding.rule), xml(finding.owner.name.empty() ? finding.place : finding.owner.str()),
                       xml(finding.sentence), xml(finding.place));
  return out + "</testsuite>\n";
}

}  // namespace carrick::explain
