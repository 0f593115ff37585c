#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apiserver/node_door.h"
#include "base/fd.h"
#include "base/result.h"
#include "controllers/cluster.h"
#include "net/ip.h"

namespace boost::asio {
class io_context;
}

namespace carrick::apiserver {

// Writes a kubeconfig with everything embedded, mode 0600.
struct Kubeconfig {
  std::string server;        // "https://127.0.0.1:6443"
  std::string cluster_name;  // also the name of the context
  std::string certificate_authority_pem, client_certificate_pem, client_key_pem;
  std::string namespace_ = "default";
  std::string str() const;
};
Result<void> write_kubeconfig(const std::string& path, const Kubeconfig& kubeconfig);

struct Options {
  std::string database;  // SQLite file: on a tmpfs for a lab in memory (so that it survives kill -9), else under
                         // --data; empty = nowhere
  std::string credentials_directory;  // CA, client certificate and token, files 0600; empty = new ones at each start
  std::vector<net::Prefix> service_cidrs;  // one of each family of the cluster, the primary family first
  std::string cluster_name = "carrick";
  std::vector<net::IpAddress>
      server_addresses;  // beyond 127.0.0.1: what else clients dial (node side, ClusterIP of kubernetes)
  std::vector<std::string> server_names;  // beyond localhost and kubernetes.default...
  NodeDoor* nodes = nullptr;              // where pods run; outlives the server. Null: exec and logs are answered 501
};

// The lab's API server: the store, the API over HTTPS, and the controllers' door to the same store. Everything runs on
// one thread, that of `context`; no call blocks on anything but SQLite.
class ApiServer {
 public:
  // Opens the database and the credentials. kTransient: the database cannot be used (full disk, locked by another
  // server).
  static Result<std::unique_ptr<ApiServer>> create(boost::asio::io_context& context, Options options);
  ~ApiServer();  // closes every connection; the context may go on
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  // 127.0.0.1:port, 0 = any free one; gives the port. kInvalid: taken.
  Result<uint16_t> listen_on_loopback(uint16_t port);
  // A bound and listening TCP socket, of whatever network namespace it was made in.
  Result<void> listen(Fd socket);

  controllers::Cluster& cluster();
  // Creates the namespaces default, kube-system, kube-public and kube-node-lease, where they are absent.
  Result<void> bootstrap();
  // /readyz answers by this from now on; without it the server is ready at once.
  void set_readiness(std::function<bool()> ready);

  const std::string& certificate_authority() const;  // PEM: what kube-root-ca.crt holds
  // For clients that dial `server`, with the administrator's rights.
  Kubeconfig admin_kubeconfig(const std::string& server) const;
  // Rights of `user` (all of them), in the name of another: agents, controllers.
  Result<Kubeconfig> client_kubeconfig(const std::string& server, const std::string& user,
                                       const std::vector<std::string>& groups) const;
  uint64_t resource_version() const;
  size_t connections() const;

 private:
  struct Parts;
  explicit ApiServer(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

struct StandaloneOptions {
  Options server;
  uint16_t port = 6443;
  std::string kubeconfig;  // written here once the server can be reached
  int pretend_nodes = 0;   // above 0: controllers run, and this many nodes call every pod Ready without running it
};
// Serves until SIGINT or SIGTERM: the API without a network, for kubectl tests and upstream suites.
Result<void> run_standalone(StandaloneOptions options);

}  // namespace carrick::apiserver
