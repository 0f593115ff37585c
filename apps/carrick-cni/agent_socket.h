#pragma once

#include <cstdint>
#include <expected>
#include <string>

// The way to the node's agent: one request line, one answer line, never longer than a deadline.
namespace carrick::cni {

int64_t now_ms();  // monotonic

struct AgentFailure {
  bool reached = false;  // the request went out: the agent may have begun
  std::string reason;
};

// The answer without its newline. `retry` = try to connect until the deadline, for an agent that is just starting.
std::expected<std::string, AgentFailure> ask_agent(const std::string& socket_path, std::string request,
                                                   int64_t deadline, bool retry);

// Leaves a request for the agent's next start in the folder `cni-spool` beside its socket. Empty = the folder beside
// the socket is not there either: no agent has ever run, so there is nothing to release. Returns the file written.
std::string spool_request(const std::string& socket_path, const std::string& key, const std::string& request);

}  // namespace carrick::cni
