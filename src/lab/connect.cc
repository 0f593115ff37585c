#include "lab/connect.h"

#include "cni/server.h"
#include "watch/watch.h"

namespace carrick::lab {

Result<watch::Credentials> connect(const RunningLab& lab) { return watch::load_kubeconfig(lab.paths.kubeconfig()); }

Result<k8s::Snapshot> fetch_snapshot(const std::string& lab_name) {
  RunningLab lab = TRY(find_running_lab(lab_name));
  return watch::fetch_snapshot(TRY(connect(lab)));
}

std::vector<AgentDoor> agent_doors(const RunningLab& lab) {
  std::vector<AgentDoor> doors;
  for (const NodePlan& node : plan_nodes(lab.record.config))
    doors.push_back({node.name, lab.paths.node_cni_socket(node.name)});
  return doors;
}

Result<k8s::json::value> ask_agent(const AgentDoor& door, const k8s::json::object& request, int timeout_ms) {
  auto answer = cni::ask(door.socket, request, timeout_ms);
  if (!answer) return with_context(answer.error(), "agent of {}", door.node);
  return answer;
}

}  // namespace carrick::lab
