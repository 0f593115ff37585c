#include "desired/desired.h"

#include "desired/pods/local_pods.h"
#include "desired/policy/rules.h"

namespace carrick::desired {
namespace {

Tables compile_node(const k8s::Snapshot& snapshot, const NodeView& node, const IdentityTable& identities,
                    const PolicyTable& model) {
  Tables out;
  const auto subjects = subjects_of_node(snapshot, node, identities);
  out.revision = snapshot.revision;
  out.prune = snapshot.synced;
  out.policy = rows_for(model, &subjects);
  out.pods = compile_pods(snapshot, node, identities, out.policy);
  out.peers = compile_peers(snapshot, node, identities);
  out.routes = compile_routes(snapshot, node);
  out.frontends = compile_services(snapshot, node);
  out.health_checks = compile_health_checks(snapshot, node);
  out.findings = compile_findings(snapshot);
  return out;
}

}  // namespace

Tables compile(const k8s::Snapshot& snapshot, const NodeView& node) {
  const IdentityTable identities = compile_identities(snapshot);
  Tables out = compile_node(snapshot, node, identities, resolve_policies(snapshot, identities).table);
  out.names = compile_names(snapshot, node);
  return out;
}

std::vector<Tables> compile_all(const k8s::Snapshot& snapshot, const std::vector<NodeView>& nodes) {
  const IdentityTable identities = compile_identities(snapshot);
  const PolicyModel model = resolve_policies(snapshot, identities);
  std::vector<Tables> out;
  const NodeView* named = nullptr;  // the node whose names the next ones share
  for (const auto& node : nodes) {
    out.push_back(compile_node(snapshot, node, identities, model.table));
    bool same = named && named->cluster_domain == node.cluster_domain && named->dns_service == node.dns_service &&
                named->service_cidrs == node.service_cidrs;
    if (same) {
      out.back().names = out[out.size() - 2].names;
    } else {
      out.back().names = compile_names(snapshot, node);
      named = &node;
    }
  }
  return out;
}

}  // namespace carrick::desired
