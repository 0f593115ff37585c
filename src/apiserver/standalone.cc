#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "controllers/controllers.h"
#include "controllers/pretend_kubelet.h"

namespace carrick::apiserver {
namespace {

namespace json = k8s::json;

// Controllers and kubelets that only say that pods run: enough for everything kubectl shows.
class PretendCluster {
 public:
  PretendCluster(boost::asio::io_context& context, ApiServer& server, const Options& options)
      : context_(context),
        cluster_(server.cluster()),
        kubelet_(cluster_),
        controllers_(cluster_, controller_options(server, options)) {}

  Result<void> start(int nodes) {
    for (int i = 1; i <= nodes; ++i) TRY_VOID(add_node(i));
    TRY_VOID(controllers_.start());
    cluster_.subscribe([this](const controllers::ObjectEvent&) {
      if (std::exchange(posted_, true)) return;
      boost::asio::post(context_, [this] {
        posted_ = false;
        kubelet_.run();
      });
    });
    kubelet_.look_again();
    kubelet_.run();
    return {};
  }

 private:
  controllers::Options controller_options(ApiServer& server, const Options& options) {
    controllers::Options out = controllers::lab_defaults();
    out.service_cidrs = options.service_cidrs;
    out.kubernetes_ips.clear();
    for (const net::Prefix& cidr : options.service_cidrs) out.kubernetes_ips.push_back(cidr.address().plus(1));
    out.dns_ips.clear();
    out.ca_pem = server.certificate_authority();
    out.post = [this](std::function<void()> work) { boost::asio::post(context_, std::move(work)); };
    out.after = [this](std::chrono::milliseconds delay, std::function<void()> work) {
      auto timer = std::make_shared<boost::asio::steady_timer>(context_, delay);
      timer->async_wait([timer, work = std::move(work)](const boost::system::error_code& error) {
        if (!error) work();
      });
    };
    return out;
  }

  Result<void> add_node(int number) {
    const k8s::ResourceType& nodes = *k8s::find_by_kind("v1", "Node");
    const std::string name = fmt::format("node-{}", number), address = fmt::format("192.0.2.{}", 10 + number);
    if (cluster_.get(nodes, {"", name})) return {};
    json::array addresses, conditions;
    addresses.push_back(json::object{{"type", "InternalIP"}, {"address", address}});
    addresses.push_back(json::object{{"type", "Hostname"}, {"address", name}});
    conditions.push_back(json::object{{"type", "Ready"},
                                      {"status", "True"},
                                      {"reason", "KubeletReady"},
                                      {"message", "pretended"},
                                      {"lastTransitionTime", "2026-01-01T00:00:00Z"}});
    json::object status{{"addresses", std::move(addresses)},
                        {"conditions", std::move(conditions)},
                        {"nodeInfo", json::object{{"kubeletVersion", "v1.33.0+carrick"}}}};
    json::object metadata{{"name", name},
                          {"labels", json::object{{"kubernetes.io/hostname", name},
                                                  {"kubernetes.io/os", "linux"},
                                                  {"kubernetes.io/arch", "amd64"}}}};
    TRY_VOID(cluster_.create(nodes, json::object{{"metadata", std::move(metadata)}, {"status", std::move(status)}}));
    return {};
  }

  boost::asio::io_context& context_;
  controllers::Cluster& cluster_;
  controllers::PretendKubelet kubelet_;
  controllers::Controllers controllers_;
  bool posted_ = false;
};

}  // namespace

Result<void> run_standalone(StandaloneOptions options) {
  boost::asio::io_context context(1);
  const auto server = TRY(ApiServer::create(context, options.server));
  const uint16_t port = TRY(server->listen_on_loopback(options.port));
  TRY_VOID(server->bootstrap());
  PretendCluster cluster(context, *server, options.server);
  if (options.pretend_nodes > 0) TRY_VOID(cluster.start(options.pretend_nodes));
  const std::string address = fmt::format("https://127.0.0.1:{}", port);
  if (!options.kubeconfig.empty()) TRY_VOID(write_kubeconfig(options.kubeconfig, server->admin_kubeconfig(address)));
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
  log::info("serving the Kubernetes API on {}", address);
  context.run();
  return {};
}

}  // namespace carrick::apiserver
