#pragma once

#include <string>
#include <vector>

#include "base/result.h"

// A scenario: objects, steps and what is expected between them, in one text file (tests/scenarios/*.scn). The file is
// read by explain's runner and by the lab's; docs/design/policy.md describes it.
namespace carrick::testing {

struct Expectation {
  std::string from, to;  // as `carrick explain` reads them
  std::string port;      // "80/tcp"
  std::string verdict;   // allow, deny, refuse, mixed
  std::string owner;     // "" or a part of what must be among the deciding owners
  int line = 0;
};

// One of: apply objects (YAML), delete an object, expect probes.
struct Step {
  enum class Kind { kApply, kDelete, kExpect } kind = Kind::kApply;
  std::string yaml;                       // kApply
  std::string object_kind, object;        // kDelete: "NetworkPolicy", "ns/name"
  std::vector<Expectation> expectations;  // kExpect
  int line = 0;
};

struct Scenario {
  std::string file, title;
  std::vector<Step> steps;
};

// kInvalid with "file:line: sentence".
Result<Scenario> parse_scenario(std::string_view text, const std::string& file);
Result<Scenario> load_scenario(const std::string& path);

}  // namespace carrick::testing
