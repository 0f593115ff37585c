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

// Where the agent of a node answers `{"verb":"status"}` and its like, and the answer to one: {"result":...} or {"error":...}.
struct AgentDoor {
  std::string node, socket;
};
std::vector<AgentDoor> agent_doors(const RunningLab& lab);
Result<std::string> ask_agent(const AgentDoor& door, const std::string& question);

}  // namespace carrick::lab
