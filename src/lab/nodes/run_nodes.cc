#include "lab/nodes/run_nodes.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "lab/nodes/node_life.h"

namespace carrick::lab {

Result<void> run_nodes(const LabConfig& config) {
  boost::asio::io_context io(1);
  auto credentials = TRY(watch::load_kubeconfig(LabPaths{config.name, ""}.inner_kubeconfig()));
  NodeLife life(io, config, std::move(credentials));
  TRY_VOID(life.start());
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  io.run();
  return {};
}

}  // namespace carrick::lab
