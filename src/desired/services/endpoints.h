#pragma once

#include <vector>

#include "desired/services/services.h"

// Which endpoints of a Service port a node uses: CategorizeEndpoints of kube-proxy, SVC-D1.
namespace carrick::desired {

// One endpoint of one Service port, with its conditions resolved (nil ready = true, nil serving = true, nil
// terminating = false).
struct Candidate {
  Backend backend;
  bool ready = false, serving = false, terminating = false;
  std::vector<std::string> for_zones, for_nodes;
};

struct EndpointChoice {
  std::vector<Backend>
      cluster;  // policy Cluster: ready ones after the topology filter, else every serving and terminating one
  std::vector<Backend> local;  // policy Local: of this node only
  EndpointRule cluster_rule = EndpointRule::kReady, local_rule = EndpointRule::kLocal;
  bool elsewhere = false;  // some usable endpoint exists, here or on other nodes
};

// Endpoints of the port in slices of one family; SVC-D21, D22. Equal address:port counts once, the local one before
// others.
std::vector<Candidate> candidates(const k8s::ServicePort& port, bool v4, const SliceList& slices, const NodeView& node);

EndpointChoice choose_endpoints(const std::vector<Candidate>& all, const std::string& node_name,
                                const std::string& zone);

bool usable_endpoint_address(const net::IpAddress& address);

}  // namespace carrick::desired
