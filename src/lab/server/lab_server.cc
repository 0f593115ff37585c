#include "lab/server/lab_server.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "controllers/controllers.h"
#include "lab/host/files.h"
#include "lab/host/record.h"
#include "lab/server/node_door.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

template <class T, class IsV4>
void keep_families(const LabConfig& config, std::vector<T>& values, IsV4 is_v4) {
  std::erase_if(values, [&](const T& value) { return is_v4(value) ? !config.has_v4() : !config.has_v6(); });
}

controllers::Options controller_options(const LabConfig& config, asio::io_context& context) {
  controllers::Options options = controllers::lab_defaults();
  auto prefix_v4 = [](const net::Prefix& p) { return p.is_v4(); };
  auto address_v4 = [](const net::IpAddress& a) { return a.is_v4(); };
  keep_families(config, options.cluster_cidrs, prefix_v4);
  keep_families(config, options.service_cidrs, prefix_v4);
  keep_families(config, options.kubernetes_ips, address_v4);
  keep_families(config, options.dns_ips, address_v4);
  options.api_servers.clear();
  for (const auto& address : fabric_addresses(config)) options.api_servers.push_back({address, kApiPort});
  options.post = [&context](std::function<void()> work) { asio::post(context, std::move(work)); };
  options.after = [&context](std::chrono::milliseconds delay, std::function<void()> work) {
    auto timer = std::make_shared<asio::steady_timer>(context, delay);
    timer->async_wait([timer, work = std::move(work)](boost::system::error_code error) {
      if (!error) work();
    });
  };
  return options;
}

}  // namespace

Result<void> run_server(const LabConfig& config, const std::vector<int>& listen_fds) {
  LabPaths paths{config.name, ""};
  asio::io_context context(1);
  std::string store = config.data_dir.empty() ? paths.server_dir() : config.data_dir;
  auto controller_settings = controller_options(config, context);
  LabNodeDoor nodes(context, paths);
  apiserver::Options options{.database = store + "/objects.db",
                             .credentials_directory = store,
                             .service_cidrs = controller_settings.service_cidrs,
                             .cluster_name = config.name,
                             .server_addresses = fabric_addresses(config),
                             .nodes = &nodes};
  for (const auto& address : controller_settings.kubernetes_ips) options.server_addresses.push_back(address);
  auto server = TRY(apiserver::ApiServer::create(context, std::move(options)));
  TRY_VOID(server->bootstrap());
  controller_settings.ca_pem = server->certificate_authority();
  controllers::Controllers controllers(server->cluster(), std::move(controller_settings));
  TRY_VOID(controllers.start());
  for (int fd : listen_fds) TRY_VOID(server->listen(Fd(fd)));

  LabRecord record = TRY(read_record(config.name));
  TRY_VOID(apiserver::write_kubeconfig(paths.kubeconfig(),
                                       server->admin_kubeconfig(fmt::format("https://127.0.0.1:{}", record.api_port))));
  net::SocketAddress inner{fabric_addresses(config).front(), kApiPort};
  // The last step: the lab's other processes wait for this file.
  TRY_VOID(apiserver::write_kubeconfig(paths.inner_kubeconfig(), server->admin_kubeconfig("https://" + inner.str())));
  asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
  log::info("serving the API of lab {} on 127.0.0.1:{} and {}", config.name, record.api_port, inner.str());
  context.run();
  return {};
}

}  // namespace carrick::lab
