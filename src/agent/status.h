#pragma once

#include <boost/json/object.hpp>
#include <map>

#include "agent/flow_sweeper.h"
#include "agent/node_links.h"
#include "cni/stats.h"
#include "dns/stats.h"
#include "kernel/privileges.h"
#include "kernel/programs.h"
#include "realize/realize.h"
#include "realize/routes.h"
#include "watch/watch.h"

// What the agent says of itself: the "status" verb of its socket, read by `carrick status` and by `lab up`.
namespace carrick::agent {

struct StatusInputs {
  std::string node;
  std::string version;
  uint64_t known_revision = 0;    // of the newest snapshot; 0 = none yet
  std::string not_ready_because;  // empty = pods can be served
  size_t local_pods = 0, waiting_adds = 0;
  double last_apply_ms = 0;       // newest snapshot to realized
  double unrealized_seconds = 0;  // how long the newest snapshot waits by now; 0 = it is realized
  const realize::Status& realized;
  const realize::RouteStatus& routes;
  const std::map<std::string, std::string>& health_problems;  // ports that could not be opened, by owner
  desired::FindingTable findings;                             // fields of Services that lead nowhere
  const NodeLinks& links;
  watch::WatcherStats watch;
  dns::DnsStats dns;
  const cni::Stats& cni;
  std::vector<uint64_t> counters;  // kernel::Programs::counters()
  uint64_t drop_events = 0;        // read from the ring
  FlowStats flows;
  uint64_t aborted_connections = 0;  // sockets whose endpoint was removed, since the agent's start
  kernel::Privileges privileges;
};

// {"node","revision","realized","ready","tables":[{"name","rows","failing"}],"failures":[{"table","owner","error"}],"drops":{reason:n},...}
boost::json::object status_document(const StatusInputs& in);

}  // namespace carrick::agent
