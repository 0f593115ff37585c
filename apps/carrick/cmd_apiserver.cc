#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>

#include "apiserver/apiserver.h"
#include "base/log.h"
#include "commands.h"

namespace carrick::app {
namespace {

struct Flags {
  std::string data, kubeconfig;
  std::vector<std::string> service_cidrs{"10.96.0.0/16", "2001:db8:96::/112"};
  uint16_t port = 6443;
  int pretend_nodes = 0;
};

Result<void> run(const Flags& flags) {
  apiserver::StandaloneOptions options{
      .server = {}, .port = flags.port, .kubeconfig = flags.kubeconfig, .pretend_nodes = flags.pretend_nodes};
  if (!flags.data.empty()) {
    options.server.database = flags.data + "/objects.db";
    options.server.credentials_directory = flags.data;
  }
  for (const std::string& text : flags.service_cidrs)
    options.server.service_cidrs.push_back(TRY(net::Prefix::parse(text)));
  return apiserver::run_standalone(std::move(options));
}

}  // namespace

void add_apiserver(CLI::App& app) {
  CLI::App* command = app.add_subcommand("apiserver", "Serve the Kubernetes API alone, without nodes and controllers");
  command->group("");  // hidden: for tests and conformance suites
  const auto flags = std::make_shared<Flags>();
  command->add_option("--port", flags->port, "TCP port on 127.0.0.1 (0: any free one)");
  command->add_option("--kubeconfig", flags->kubeconfig, "where to write a kubeconfig");
  command->add_option("--data", flags->data,
                      "existing directory for the object database and the credentials (absent: in memory)");
  command
      ->add_option("--pretend-nodes", flags->pretend_nodes,
                   "run the controllers, and this many nodes that call every pod Ready")
      ->check(CLI::Range(0, 1000));
  command->add_option("--service-cidr", flags->service_cidrs, "range of ClusterIPs, one of each family")
      ->expected(1, 2);
  command->callback([flags] {
    const auto served = run(*flags);
    if (served) return;
    std::fprintf(stderr, "carrick apiserver: %s\n", served.error().message.c_str());
    exit_code = served.error().kind == ErrorKind::kInvalid ? 2 : 1;
  });
}

}  // namespace carrick::app
