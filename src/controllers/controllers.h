#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "controllers/cluster.h"
#include "net/ip.h"

// Controllers of the standalone cluster: from what users wrote to pods, bindings, slices and Endpoints.
namespace carrick::controllers {

struct Options {
  // Where work runs: the store's strand. Without `post` nothing runs by itself and run_until_idle() is the engine.
  std::function<void(std::function<void()>)> post;
  // Runs the function once on the same strand after that time; needed for back-off, minReadySeconds and deadlines.
  std::function<void(std::chrono::milliseconds, std::function<void()>)> after;
  std::function<std::chrono::system_clock::time_point()> now = [] { return std::chrono::system_clock::now(); };

  // Node IPAM: the node whose name ends in number i gets the i-th block of each (one CIDR a family).
  std::vector<net::Prefix> cluster_cidrs, service_cidrs;
  int node_mask_v4 = 24, node_mask_v6 = 64;

  // default/kubernetes (SVC-A2); empty = not made. The API server as pods reach it.
  std::vector<net::IpAddress> kubernetes_ips;
  std::vector<net::SocketAddress> api_servers;
  // kube-system/kube-dns; empty = not made.
  std::vector<net::IpAddress> dns_ips;
  // kube-root-ca.crt of every namespace; empty = neither it nor the ServiceAccount `default` is made.
  std::string ca_pem;
  bool record_events = true;  // Events for `kubectl describe`
};

// The address plan of the lab and of all tests, both families.
Options lab_defaults();

class Controllers {
 public:
  struct Failure {
    std::string controller;
    k8s::NamespacedName key;
    std::string sentence;
  };

  Controllers(Cluster& cluster, Options options);
  ~Controllers();
  Controllers(const Controllers&) = delete;

  // Reads everything there is, subscribes and begins. kInvalid: the CIDRs of the options overlap (IPAM-5).
  Result<void> start();
  // Works until nothing is left that is due now; returns the number of reconciles. `limit` ends a defect's endless
  // loop.
  size_t run_until_idle(size_t limit = 10'000'000);
  // When something waits for its time (back-off, minReadySeconds): the earliest.
  std::optional<std::chrono::system_clock::time_point> next_due() const;
  // Keys whose last reconcile failed.
  std::vector<Failure> failures() const;

 private:
  struct Core;
  std::shared_ptr<Core> core_;
};

}  // namespace carrick::controllers
