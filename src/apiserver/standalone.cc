#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "apiserver/apiserver.h"
#include "base/log.h"

namespace carrick::apiserver {

Result<void> run_standalone(StandaloneOptions options) {
  boost::asio::io_context context(1);
  const auto server = TRY(ApiServer::create(context, std::move(options.server)));
  const uint16_t port = TRY(server->listen_on_loopback(options.port));
  TRY_VOID(server->bootstrap());
  const std::string address = fmt::format("https://127.0.0.1:{}", port);
  if (!options.kubeconfig.empty()) TRY_VOID(write_kubeconfig(options.kubeconfig, server->admin_kubeconfig(address)));
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&context](const boost::system::error_code&, int) { context.stop(); });
  log::info("serving the Kubernetes API on {}", address);
  context.run();
  return {};
}

}  // namespace carrick::apiserver
