#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/fd.h"
#include "tests/judges/node_plane.h"

// The socket hooks of one node: a process in a cgroup of its own connects, and where the hooks pointed its socket is
// read from the node's map.
namespace carrick::testing {

struct Aim {
  bool refused = false;
  net::SocketAddress target;  // what packets will be sent to
};

class SocketDoor {
 public:
  // Starts the process in the calling thread's network namespace. kUnsupported without cgroup v2.
  static Result<std::unique_ptr<SocketDoor>> open(NodePlane& plane, const std::string& name);
  ~SocketDoor();  // ends the process and removes the cgroup folder
  // `in_pod`: from another network namespace than the node's.
  Result<Aim> connect(const net::SocketAddress& target, net::Protocol protocol, bool in_pod = false);

 private:
  SocketDoor(NodePlane& plane, std::string cgroup) : plane_(plane), cgroup_(std::move(cgroup)) {}
  NodePlane& plane_;
  std::string cgroup_;
  pid_t process_ = -1;
  Fd line_;
};

}  // namespace carrick::testing
