#include "lab/nodes/run_nodes.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

#include "dns/dns.h"
#include "dns/static_resolver.h"
#include "kernel/netns.h"
#include "lab/nodes/node_life.h"

namespace carrick::lab {

Result<void> run_nodes(const LabConfig& config) {
  boost::asio::io_context io(1);
  auto credentials = TRY(watch::load_kubeconfig(LabPaths{config.name, ""}.inner_kubeconfig()));
  // The resolver of the world outside: test names, some of them slow or silent.
  dns::StaticOptions outside;
  for (const auto& address : resolver_addresses(config)) outside.listen.push_back({address, 53});
  outside.names = dns::outside_names(web_addresses(config));
  dns::StaticResolver resolver(std::move(outside));
  {
    Fd netns = TRY(kernel::open_netns(LabPaths{config.name, ""}.outside_netns()));
    auto inside = TRY(kernel::NetnsScope::enter(netns.get()));
    TRY_VOID(resolver.start());
  }
  NodeLife life(io, config, std::move(credentials));
  TRY_VOID(life.start());
  PodStreams streams(io, config, [&life](const apiserver::NodeCall& call) { return life.find_container(call); });
  for (const NodePlan& node : plan_nodes(config)) TRY_VOID(streams.listen(node.name));
  boost::asio::signal_set signals(io, SIGINT, SIGTERM);
  signals.async_wait([&io](const boost::system::error_code&, int) { io.stop(); });
  io.run();
  return {};
}

}  // namespace carrick::lab
