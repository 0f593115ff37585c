#pragma once

#include <chrono>
#include <compare>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "net/ip.h"

// The responder: one process that owns the listening sockets of all responder pods of a lab. A socket belongs to the
// network namespace it was created in, so a pod costs its sockets, not a process. It outlives lab-nodes, whose restart
// cuts nothing.
namespace carrick::lab {

struct Listener {
  uint16_t port = 0;  // host order
  net::Protocol protocol = net::Protocol::kTcp;
  std::string name() const { return fmt::format("{}/{}", port, net::protocol_name(protocol)); }
  auto operator<=>(const Listener&) const = default;
};

struct PodListeners {
  std::string key;  // unique while the pod lives: its uid
  std::string namespace_, pod, node;
  std::string netns;  // path
  std::set<Listener> listeners;
  net::IpAddress address = {};  // listen here alone: one of several machines in one namespace
};

// Serves until SIGTERM. `control_path`: unix socket, JSON lines, 0600.
Result<void> run_responder(const std::string& control_path);

// The other end of its control socket; blocking, with a 5 s limit. Not thread-safe.
class ResponderClient {
 public:
  static Result<ResponderClient> connect(const std::string& control_path);
  // Makes the pod listen on exactly these ports; the answer is the sentences of those that could not be opened.
  Result<std::vector<std::string>> set(const PodListeners& pod);
  // Closes its listening sockets and connections.
  Result<void> remove(const std::string& key);
  // Time since a client last connected or spoke; very long for a pod that it does not hold.
  Result<std::chrono::milliseconds> idle(const std::string& key);
  const Fd& socket() const { return socket_; }

 private:
  explicit ResponderClient(Fd socket) : socket_(std::move(socket)) {}
  Result<std::string> exchange(const std::string& line);
  Fd socket_;
};

}  // namespace carrick::lab
