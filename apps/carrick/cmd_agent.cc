#include "agent/agent.h"
#include "base/log.h"
#include "commands.h"

namespace carrick::app {
namespace {

struct Flags {
  agent::AgentOptions options;
  std::string routing = "native", lb_mode = "snat", metrics;
  std::vector<std::string> upstream_dns, service_cidrs;
  bool verbose = false;
};

// "203.0.113.53:5353" or "[2001:db8::53]:53"; or without a port where there is a usual one.
Result<net::SocketAddress> parse_endpoint(const char* flag, std::string_view text, uint16_t usual_port) {
  if (auto bare = net::IpAddress::parse(text); bare && usual_port) return net::SocketAddress{*bare, usual_port};
  size_t colon = text.rfind(':');
  if (colon != text.npos && colon > 0) {
    std::string_view host = text.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    auto address = net::IpAddress::parse(host);
    int port = std::atoi(std::string(text.substr(colon + 1)).c_str());
    if (address && port > 0 && port < 65536) return net::SocketAddress{*address, static_cast<uint16_t>(port)};
  }
  return fail(ErrorKind::kInvalid, "{} {}: not {}ADDRESS:PORT", flag, text, usual_port ? "ADDRESS or " : "");
}

Result<void> run(Flags& flags) {
  for (const auto& text : flags.upstream_dns)
    flags.options.upstream_dns.push_back(TRY(parse_endpoint("--upstream-dns", text, 53)));
  if (!flags.metrics.empty()) flags.options.metrics = TRY(parse_endpoint("--metrics-address", flags.metrics, 0));
  for (const auto& text : flags.service_cidrs) flags.options.service_cidrs.push_back(TRY(net::Prefix::parse(text)));
  flags.options.routing = flags.routing == "vxlan" ? desired::Routing::kVxlan : desired::Routing::kNative;
  flags.options.dsr = flags.lb_mode == "dsr";
  if (flags.verbose) log::set_level(log::Level::kDebug);
  return agent::run(flags.options);
}

}  // namespace

void add_agent(CLI::App& app) {
  auto flags = std::make_shared<Flags>();
  auto* command = app.add_subcommand("agent", "Run one node of a cluster: pods, services, policies and names");
  command->add_option("--node", flags->options.node_name, "name of this Node object")->required();
  command->add_option("--kubeconfig", flags->options.kubeconfig, "how to reach the API server")->required();
  command->add_option("--state-dir", flags->options.state_dir, "addresses given out and pods attached")
      ->capture_default_str();
  command->add_option("--bpffs", flags->options.bpffs, "folder in a bpffs for maps and programs")
      ->capture_default_str();
  command->add_option("--cgroup", flags->options.cgroup,
                      "cgroup v2 folder whose sockets reach Services at connect time");
  command
      ->add_option("--cni-socket", flags->options.cni_socket, "where carrick-cni and `carrick status` reach the agent")
      ->capture_default_str();
  command->add_option("--cni-conf-dir", flags->options.cni_conf_dir,
                      "put the CNI configuration there once pods can be served");
  command->add_option("--uplink", flags->options.uplink,
                      "link towards the other nodes (default: towards the API server)");
  command->add_flag("--uplink-queue", flags->options.uplink_queue,
                    "send through the uplink's own queue even where it is a veth whose other end could take packets "
                    "at once; captures on the uplink then see them");
  command->add_option("--routing", flags->routing, "how pods of other nodes are reached")
      ->check(CLI::IsMember({"native", "vxlan"}))
      ->capture_default_str();
  command
      ->add_option(
          "--lb-mode", flags->lb_mode,
          "connections from outside to a pod of another node: that node sees this one's address (snat), or "
          "gets them as they came, through a tunnel, and answers the client itself (dsr); the same on all nodes")
      ->check(CLI::IsMember({"snat", "dsr"}))
      ->capture_default_str();
  command->add_flag(
      "--reset-removed-endpoints", flags->options.reset_removed,
      "reset TCP connections whose endpoint is in no EndpointSlice of the Service any more, at both ends; "
      "not ready and terminating endpoints keep theirs (without it, as with kube-proxy: all do)");
  command->add_option("--upstream-dns", flags->upstream_dns, "resolver for names outside the cluster; may be repeated");
  command->add_flag("!--no-autopath", flags->options.autopath,
                    "answer a pod's first question of a walk through its search path as it is, not with what the walk "
                    "would find");
  command
      ->add_option("--resolv-conf", flags->options.resolv_conf,
                   "of the node, as kubelet's option: pods inherit its search path; empty for none")
      ->capture_default_str();
  command->add_option("--cluster-domain", flags->options.cluster_domain, "DNS zone of the cluster")
      ->capture_default_str();
  command->add_option("--service-cidr", flags->service_cidrs,
                      "range of ClusterIPs, for reverse names and to drop what no Service has; may be repeated");
  command->add_flag("!--no-external-ips", flags->options.external_ips,
                    "leave externalIPs of Services alone: whoever may make a Service can take any address by them");
  command->add_option("--health-port", flags->options.health_port, "/healthz and /livez as kube-proxy's; 0 for nowhere")
      ->capture_default_str();
  command->add_option("--metrics-address", flags->metrics,
                      "ADDRESS:PORT for Prometheus, by HTTP at /metrics (default: on the CNI socket alone)");
  command->add_flag("--small-maps", flags->options.small_maps, "maps for a node of a lab or a laptop");
  command->add_flag("-v,--verbose", flags->verbose, "debug log");
  command->callback([flags] {
    auto done = run(*flags);
    if (done) return;
    log::error("{}", done.error().message);
    exit_code = done.error().kind == ErrorKind::kInvalid ? 2 : done.error().kind == ErrorKind::kUnsupported ? 3 : 1;
  });
}

}  // namespace carrick::app
