// An agent without a data plane: every pod is realized at once. What plugin conformance needs, and no more.
//   cni_test_agent SOCKET STATE_DIR CONF_DIR CIDR...      prints "ready" when it listens; ends with SIGTERM
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>

#include "cni/conflist.h"
#include "cni/server.h"

using namespace carrick;

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  boost::asio::io_context io{1};
  cni::Hooks hooks;
  hooks.add = [](const std::string&, const desired::LocalPod&, const std::function<void(Result<void>)>& done) {
    done({});
  };
  auto server = cni::Server::open(io, {.socket = argv[1], .state_dir = argv[2]}, std::move(hooks));
  std::vector<net::Prefix> cidrs;
  for (int i = 4; i < argc; ++i) {
    auto cidr = net::Prefix::parse(argv[i]);
    if (!cidr) return 2;
    cidrs.push_back(*cidr);
  }
  auto ready = server ? (*server)->set_pod_cidrs(cidrs) : Result<void>(std::unexpected(server.error()));
  if (ready) ready = cni::install_conflist(argv[3], {.socket = argv[1]});
  if (!ready) {
    std::fprintf(stderr, "%s\n", ready.error().message.c_str());
    return 1;
  }
  std::puts("ready");
  std::fflush(stdout);
  boost::asio::signal_set stop(io, SIGTERM, SIGINT);
  stop.async_wait([&](const boost::system::error_code&, int) { io.stop(); });
  io.run();
}
