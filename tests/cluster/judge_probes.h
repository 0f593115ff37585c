#pragma once

#include "tests/cluster/judge_lab.h"

namespace carrick::cluster_tests {

// Probes all expectations of a step at once: names by the clients' own resolvers, then real connections.
// Errors: an expectation that the lab does not understand, or a lab that cannot be probed.
struct Probed {
  testing::Asked asked;
  testing::Seen seen;
};
Result<std::vector<Probed>> probe_step(JudgeLab& lab, const explain::World& world, const testing::Scenario& scenario,
                                       const testing::Step& step);

}  // namespace carrick::cluster_tests
