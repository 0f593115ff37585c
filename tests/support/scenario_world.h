#pragma once

#include <set>

#include "explain/explain.h"
#include "k8s/objects.h"
#include "tests/support/scenario.h"

// The objects of a scenario as its steps go by, and what is the same for all judges: who an expectation means, and
// whether what a judge saw is what was expected.
namespace carrick::testing {

// One expectation, with its words understood in the world of one judge.
struct Asked {
  explain::Question question;
  net::IpAddress source;  // of a client that is no pod of its own network: a node, or the outside
  std::string node;       // the client is a process of this node
};

// Does the step speak of addresses that its world gives?
bool needs_world(const Step& step);

// What a judge saw of one expectation over all its tries.
struct Seen {
  std::set<std::string> verdicts;  // allow, deny, refuse; anything else is wrong in itself
  std::set<std::string> reached;   // pods ("ns/name") and addresses
  std::set<std::string> clients;   // addresses that who was reached saw
  std::set<std::string> reasons;   // words of drop events, where a judge has them
  std::string story;               // for people, when it is not what was expected
};

class ScenarioWorld {
 public:
  explicit ScenarioWorld(const Scenario& scenario) : scenario_(scenario) {}

  // A document of a known name is merged into it (RFC 7386). Returns the step's own documents. $(NS/POD) and
  // $(NS/POD ipv6) stand for the address that a pod of `world` has.
  Result<std::vector<k8s::ManifestObject>> apply(const Step& step, const explain::World& world);
  Result<k8s::ManifestObject> remove(const Step& step);  // kNotFound
  const std::vector<k8s::ManifestObject>& objects() const { return objects_; }
  // What a cluster would make of them.
  Result<explain::World> plan() const;

  const Scenario& scenario() const { return scenario_; }

 private:
  const Scenario& scenario_;
  std::vector<k8s::ManifestObject> objects_;
};

// `world`: the plan's, or that of a lab. Errors begin with "file:line: ".
Result<Asked> understand(const explain::World& world, const Scenario& scenario, const Step& step,
                         const Expectation& expectation);

// 203.0.113.0/24 and its IPv6 twin: the world outside of every scenario.
bool is_outside(const net::IpAddress& address);

// "ns/name" of the pod behind an address (of a node: of the host network pod that listens there), else the address.
std::string who_has(const explain::World& world, const net::IpAddress& address, const desired::Listener& port);

// Empty when they agree, else one sentence that begins with "file:line: ".
std::string disagreement(const explain::World& world, const Scenario& scenario, const Step& step,
                         const Expectation& expectation, const Asked& asked, const Seen& seen);

// Verdicts of several tries differ, or all that is reached must be seen.
bool wants_many_tries(const Expectation& expectation);

// Counts what a judge was not asked because of marks, and prints it when the tests have run.
void count_expectations(Judge judge, size_t asked, size_t marked);

}  // namespace carrick::testing
