#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

// A scenario: objects, steps and what is expected between them, in one text file (tests/scenarios/*.scn). Three judges
// read the same file: explain, packets through the programs, real connections in a lab (docs/design/scenarios.md).
namespace carrick::testing {

enum class Judge { kExplain, kPackets, kLab };
std::string_view judge_word(Judge judge);  // explain, packets, lab

// Which judges are asked: "(explain only: why)", "(not lab: why)"; without a mark all of them.
struct Mark {
  bool explain = true, packets = true, lab = true;
  std::string why;
  bool asks(Judge judge) const { return judge == Judge::kExplain ? explain : judge == Judge::kPackets ? packets : lab; }
};

struct Expectation {
  std::string from, to;               // as `carrick explain` reads them, or node/NAME
  std::string port;                   // "80/tcp"
  std::string verdict;                // allow, deny, refuse, mixed
  std::string owner;                  // "" or a part of what must be among the deciding owners
  std::vector<std::string> reaching;  // all the pods (or addresses) that answer, sorted; empty: not asked
  std::string seen_as;                // "" or the client that the answering pod sees: client, node/NAME, an address
  int line = 0;
};

// One of: apply objects (YAML), delete an object, expect probes.
struct Step {
  enum class Kind { kApply, kDelete, kExpect } kind = Kind::kApply;
  std::string yaml;                       // kApply
  int yaml_line = 0;                      // of its first line
  std::string object_kind, object;        // kDelete: "NetworkPolicy", "ns/name"
  std::vector<Expectation> expectations;  // kExpect
  std::string family;                     // kExpect: "", "ipv4", "ipv6"
  Mark mark;                              // kExpect
  int line = 0;
};

struct Scenario {
  std::string file, title;
  int nodes = 2;
  std::string routing = "native", lb_mode = "snat";
  std::map<std::string, std::string> routes;  // an address that the world outside sends to this node
  std::vector<Step> steps;
};

// kInvalid with "file:line: sentence".
Result<Scenario> parse_scenario(std::string_view text, const std::string& file);
Result<Scenario> load_scenario(const std::string& path);
// A page of docs/guide as a scenario, on the same lines: its blocks ```yaml are applied, its blocks ```expect are
// expected.
std::string scenario_in_guide(std::string_view guide);

// *.scn of tests/scenarios, or of the folder that CARRICK_SCENARIOS names, sorted; and what a test of one is called:
// the stem, with '_' for what a test name cannot have.
std::vector<std::string> scenario_files();
std::string test_name(const std::string& path);

}  // namespace carrick::testing
