#pragma once

#include <memory>
#include <vector>

#include "desired/names/names.h"
#include "desired/node_view.h"
#include "desired/pods/pods.h"
#include "desired/policy/policy.h"
#include "desired/routes/routes.h"
#include "desired/services/findings.h"
#include "desired/services/health_checks.h"
#include "desired/services/services.h"
#include "k8s/snapshot.h"

// PURE: Snapshot + NodeView -> every table of one node.
namespace carrick::desired {

struct Tables {
  uint64_t revision = 0;  // of the snapshot it was computed from
  bool prune = false;     // every needed watch is in sync: rows that are not here may be removed
  PodTable pods;
  PeerTable peers;
  RouteTable routes;
  FrontendTable frontends;
  HealthCheckTable health_checks;
  FindingTable findings;  // no row: what of Services leads nowhere
  PolicyTable policy;
  NameTable names;
  bool operator==(const Tables&) const = default;
};

// The definition of every table.
Tables compile(const k8s::Snapshot& snapshot, const NodeView& node);

// The same for many nodes of one cluster, with what they have in common computed once.
std::vector<Tables> compile_all(const k8s::Snapshot& snapshot, const std::vector<NodeView>& nodes);

// The same result with work in proportion to the change. A property test holds: apply(...) == compile(...) after any
// sequence. Its caches are shortcuts only: nothing in them outlives the objects they were computed from. Not
// thread-safe.
class Compiler {
 public:
  Compiler();
  ~Compiler();
  Compiler(Compiler&&) noexcept;
  Compiler& operator=(Compiler&&) noexcept;
  // `changes`: everything that differs between the snapshot of the previous call and this one; more does no harm.
  const Tables& apply(const k8s::Snapshot& snapshot, const k8s::ChangeSet& changes, const NodeView& node);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace carrick::desired
