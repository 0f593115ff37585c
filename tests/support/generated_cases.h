#pragma once

#include <string>
#include <vector>

// The 230 cases that upstream's policy generator makes (spec/policy.md 5.3), rebuilt as data. Nine pods a, b, c in
// namespaces x, y, z (labels pod=NAME; namespaces ns=NAME), each of them listening on 80 and 81 over TCP, UDP and SCTP,
// port names serve-80-tcp and so on. What is expected is not part of a case: an evaluator says it.
namespace carrick::testing {

struct GeneratedStep {
  struct Policy {
    std::string namespace_, name, spec;  // the spec as YAML in braces; empty: the policy is deleted
  };
  std::vector<Policy> policies;
  // "+namespace y-2 ns=y", "-namespace y-2", "+pod y-2/a pod=a", "-pod x/d", "=namespace y ns=y new-ns=qrs",
  // "=pod y/b pod=b": added, deleted, labels replaced.
  std::vector<std::string> objects;
};
struct GeneratedCase {
  std::string family, name;
  std::vector<GeneratedStep> steps;
};

// `address`: of pod z/c, which the ipBlocks are made around; IPv4 or IPv6.
std::vector<GeneratedCase> generated_cases(const std::string& address);

}  // namespace carrick::testing
