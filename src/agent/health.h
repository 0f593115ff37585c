#pragma once

#include <map>
#include <optional>

#include "agent/http_port.h"
#include "base/timestamp.h"
#include "desired/services/health_checks.h"

// What the node says of its health, in the words of kube-proxy: to load balancers on the healthCheckNodePort of a
// Service (SVC-D10), to whoever watches the proxy on a port of its own (SVC-D11).
namespace carrick::agent {

inline constexpr uint16_t kProxyModePort = 10249;  // on 127.0.0.1; kube-proxy's own, which tests of clusters ask

struct ProxyHealth {
  bool healthy = true;        // no change of the cluster has waited for longer than it may
  bool node_eligible = true;  // the node is not about to be deleted
  Timestamp last_updated;     // while unhealthy: when all was realized for the last time
  Timestamp now;
};

// False for a node that is being deleted, or that the cluster autoscaler is about to delete.
bool node_eligible(const k8s::Node& node);

// "/healthz": should load balancers send here? "/livez": does the proxy work? 404 for other paths.
HttpAnswer proxy_answer(std::string_view path, const ProxyHealth& health);
// "/proxyMode" and "/healthz".
HttpAnswer proxy_mode_answer(std::string_view path);
HttpAnswer service_answer(const desired::HealthCheckRow& row, bool proxy_healthy);

// The ports of every healthCheckNodePort, open on every address of the node, and a few that are always there. On the
// io_context's thread.
class HealthPorts {
 public:
  explicit HealthPorts(boost::asio::io_context& io) : io_(io) {}

  // One that is always there, from the next set() on. `owner`: who has it, for people.
  void keep(const net::SocketAddress& at, std::string owner, HttpPort::Answer answer);
  // Opens and closes what differs. `healthy` is asked at every question.
  void set(const desired::HealthCheckTable& checks, const std::vector<net::IpAddress>& addresses,
           const std::function<bool()>& healthy);
  // Ports that could not be opened, by owner; set() tries them again.
  const std::map<std::string, std::string>& problems() const { return problems_; }

 private:
  struct Wanted {
    std::string owner;
    HttpPort::Answer answer;
  };
  boost::asio::io_context& io_;
  std::map<net::SocketAddress, Wanted> kept_;
  desired::HealthCheckTable checks_;
  std::map<net::SocketAddress, std::unique_ptr<HttpPort>> ports_;
  std::map<std::string, std::string> problems_;
};

}  // namespace carrick::agent
