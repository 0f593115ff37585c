#pragma once

#include <boost/json/fwd.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cni/stats.h"
#include "desired/node_view.h"
#include "kernel/netlink.h"

namespace boost::asio {
class io_context;
}

// The agent's side of the CNI: a Unix socket that carrick-cni (and `carrick status`) speak to, one JSON line each way:
//   {"verb": "ADD", "deadlineMs": 9990, "env": {"CNI_CONTAINERID": ...}, "config": {...}} -> {"result": {...}} or
//   {"error": {...}}
//   {"verb": "status"}                                                                    -> {"result": ...}
// or HTTP: GET /metrics
// Everything runs on the io_context that it is given, which one thread must run; only the removal of links, which waits
// for the kernel, has a thread of its own.
namespace carrick::cni {

// The node's part in an ADD and a DEL. All are called on the io_context's thread. `id` names the attachment: the
// container id (with "/ifname" behind it for a second interface), the key of NodeView::pods.
struct Hooks {
  // The host end exists and neither end is up: attach the programs. An error fails the ADD.
  std::function<Result<void>(uint32_t ifindex)> attach;
  // The pod is wired. Call `done` once, at any time, from this thread, when its rows are realized, or with why they
  // never will be; a later call than the deadline does nothing.
  std::function<void(const std::string& id, const desired::LocalPod& pod, std::function<void(Result<void>)> done)> add;
  // The pod goes: its links are removed and its addresses released right after. Also called for an ADD that failed
  // after `add`.
  std::function<void(const std::string& id)> remove;
  std::function<Result<void>(const std::string& id)> check;  // realized? (CHECK); may be empty
  std::function<Result<void>()> status;                      // can pods be served? (STATUS); may be empty
};

struct ServerOptions {
  std::string socket = "/run/carrick/cni.sock";  // its directory is made 0700 when absent; the socket is 0600
  std::string state_dir = "/run/carrick/cni";
  uint32_t mtu = 1500;                 // of pods whose network configuration names none
  kernel::Network* network = nullptr;  // null = the kernel
  std::string boot_id;                 // empty = this boot
};

class Server {
 public:
  // Recovers the attachments of an earlier run, undoes half-made ones, works off queued releases, then listens.
  // kAlreadyExists when another agent answers at the socket.
  static Result<std::unique_ptr<Server>> open(boost::asio::io_context& io, ServerOptions options, Hooks hooks);
  ~Server();  // closes the socket; pods stay

  // Pods of an earlier run that are still wired: the agent attaches its programs to them again (replace) and tells no
  // `add`.
  std::vector<std::pair<std::string, desired::LocalPod>> pods() const;
  // Paths of the network namespaces of all pods that are wired.
  std::vector<std::string> namespaces() const;
  // Until this is called, ADD answers 11 and STATUS 50 (IPAM-1). Primary family first.
  Result<void> set_pod_cidrs(std::vector<net::Prefix> cidrs);
  void set_mtu(uint32_t mtu);

  // One more verb on the same socket. An error's sentence goes to the caller.
  void register_verb(std::string name,
                     std::function<Result<boost::json::value>(const boost::json::object& request)> answer);
  // The same socket answers `GET PATH` of HTTP, for whoever has curl and no plugin.
  void register_page(std::string path, std::string content_type, std::function<std::string()> body);

  const Stats& stats() const;

 private:
  struct Impl;
  explicit Server(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// One request to a server's socket, blocking; the `result` member of the answer. For `carrick status` and the lab.
Result<boost::json::value> ask(const std::string& socket, const boost::json::object& request, int timeout_ms = 10'000);

}  // namespace carrick::cni
