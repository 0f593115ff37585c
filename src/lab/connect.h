#pragma once

#include <string>
#include <vector>

#include "k8s/snapshot.h"
#include "lab/host/record.h"
#include "watch/client.h"

// A running lab, for commands that look into it from the machine.
namespace carrick::lab {

Result<watch::Credentials> connect(const RunningLab& lab);
// Everything that the network looks at, now.
Result<k8s::Snapshot> fetch_snapshot(const std::string& lab_name);

// Where the agent of a node answers requests such as {"verb": "status"}, and the `result` of one.
struct AgentDoor {
  std::string node, socket;
};
std::vector<AgentDoor> agent_doors(const RunningLab& lab);
Result<k8s::json::value> ask_agent(const AgentDoor& door, const k8s::json::object& request, int timeout_ms = 5000);
inline Result<k8s::json::value> ask_agent(const AgentDoor& door, const std::string& verb, int timeout_ms = 5000) {
  return ask_agent(door, k8s::json::object{{"verb", verb}}, timeout_ms);
}

}  // namespace carrick::lab
