#include <linux/capability.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <csignal>

#include "agent/agent.h"
#include "agent/busy_links.h"
#include "agent/complaints.h"
#include "agent/drop_log.h"
#include "agent/drop_reader.h"
#include "agent/flow_sweeper.h"
#include "agent/health.h"
#include "agent/metrics.h"
#include "agent/node_links.h"
#include "agent/service_hits.h"
#include "agent/socket_closer.h"
#include "agent/status.h"
#include "base/file.h"
#include "base/log.h"
#include "base/metrics_page.h"
#include "cni/conflist.h"
#include "cni/server.h"
#include "dns/dns.h"
#include "dns/resolv_conf.h"
#include "kernel/link_counters.h"
#include "watch/watch.h"

#ifndef CARRICK_VERSION
#define CARRICK_VERSION "0.1.0"
#endif

namespace carrick::agent {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// A change that waits longer makes the node unhealthy: twice kube-proxy's sync period, as there.
constexpr auto kLateAfter = std::chrono::seconds(60);

// What the agent may do once its programs are there (docs/adr/0012).
constexpr std::initializer_list<int> kKeptCapabilities = {CAP_NET_ADMIN, CAP_SYS_ADMIN, CAP_NET_BIND_SERVICE};

double seconds_since(Clock::time_point then) { return std::chrono::duration<double>(Clock::now() - then).count(); }

Timestamp wall_clock() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(now);
  return {seconds.count(),
          static_cast<int32_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now - seconds).count())};
}

// Every arrow of one node:
//   watch -> desired -> realize -> the kernel's maps        (snapshots)
//   cni   -> desired -> realize -> the waiting ADD          (pods of this node)
//   desired.names -> dns
//   desired.health_checks, the state of all of this -> health ports, status, metrics
//   the kernel's drop events -> drops, with names from the tables
class Node {
 public:
  static Result<std::unique_ptr<Node>> create(asio::io_context& io, const AgentOptions& options) {
    auto credentials = TRY(watch::load_kubeconfig(options.kubeconfig));
    auto links = TRY(prepare_links(options, credentials, kernel::linux_network()));
    kernel::ProgramOptions program_options{.pin_directory = options.bpffs};
    if (options.small_maps) program_options.sizes = kernel::MapSizes::lab();
    auto programs = TRY(kernel::load_programs(program_options));
    auto realizer = TRY(realize::Realizer::create(*programs));
    TRY_VOID(programs->attach(links.uplink_ifindex, kernel::Attachment::kUplink));
    if (links.overlay_ifindex) TRY_VOID(programs->attach(links.overlay_ifindex, kernel::Attachment::kOverlay));
    if (!options.cgroup.empty()) TRY_VOID(programs->attach_cgroup(options.cgroup));
    auto routes = std::make_unique<realize::RouteTarget>(TRY(kernel::open_netlink()));
    TRY_VOID(kernel::keep_capabilities(kKeptCapabilities));  // before there are threads
    std::unique_ptr<Node> node(new Node(io, options, std::move(credentials), std::move(links), std::move(programs),
                                        std::move(realizer), std::move(routes)));
    TRY_VOID(node->open_doors());
    return node;
  }

 private:
  Node(asio::io_context& io, const AgentOptions& options, watch::Credentials credentials, NodeLinks links,
       std::unique_ptr<kernel::Programs> programs, std::unique_ptr<realize::Realizer> realizer,
       std::unique_ptr<realize::RouteTarget> routes)
      : io_(io),
        options_(options),
        links_(std::move(links)),
        programs_(std::move(programs)),
        realizer_(std::move(realizer)),
        routes_(std::move(routes)),
        retry_timer_(io),
        health_ports_(io),
        client_(io, std::move(credentials), 2),
        watcher_(
            io, client_, [this](auto snapshot, const auto& changes) { on_snapshot(std::move(snapshot), changes); },
            watch::Detail::kTables),
        complainer_(
            options.node_name,
            [this](auto request, auto done) { client_.request(std::move(request), std::move(done)); }, wall_clock) {
    view_.node_name = options.node_name;
    view_.routing = options.routing;
    view_.dsr = options.dsr;
    view_.cluster_domain = options.cluster_domain;
    view_.service_cidrs = options.service_cidrs;
    view_.external_ips = options.external_ips;
    view_.reset_removed = options.reset_removed;
    view_.dns_addresses = links_.dns_addresses;
  }

  Result<void> open_doors() {
    cni::Hooks hooks;
    hooks.attach = [this](uint32_t ifindex) { return programs_->attach(ifindex, kernel::Attachment::kPod); };
    hooks.add = [this](const std::string& id, const desired::LocalPod& pod, auto done) {
      view_.pods[id] = pod;
      waiting_[id] = std::move(done);
      recompute_soon();
    };
    hooks.remove = [this](const std::string& id) {
      waiting_.erase(id);
      if (view_.pods.erase(id)) recompute_soon();
    };
    hooks.check = [this](const std::string& id) { return pod_realized(id); };
    hooks.status = [this]() -> Result<void> {
      if (std::string why = not_ready_because(); !why.empty()) return fail(ErrorKind::kTransient, "{}", why);
      return {};
    };
    cni_ = TRY(cni::Server::open(
        io_, {.socket = options_.cni_socket, .state_dir = options_.state_dir + "/cni", .mtu = links_.pod_mtu},
        std::move(hooks)));
    if (!options_.cgroup.empty())
      socket_closer_ = std::make_unique<SocketCloser>(io_, *programs_, options_.reset_removed,
                                                      [this] { return cni_->namespaces(); });
    cni_->register_verb("status",
                        [this](const boost::json::object&) -> Result<boost::json::value> { return status(); });
    cni_->register_verb(
        "drops", [this](const boost::json::object& request) -> Result<boost::json::value> { return drops(request); });
    cni_->register_verb("hits", [this](const boost::json::object& request) { return hits(request); });
    cni_->register_verb("metrics", [this](const boost::json::object&) -> Result<boost::json::value> {
      return boost::json::value(metrics_page(status_inputs()));
    });
    cni_->register_page("/metrics", MetricsPage::kContentType, [this] { return metrics_page(status_inputs()); });
    cni_->register_verb("seen", [this](const boost::json::object&) -> Result<boost::json::value> { return seen(); });
    for (auto& [id, pod] : cni_->pods()) {
      TRY_VOID(programs_->attach(pod.ifindex, kernel::Attachment::kPod));
      if (programs_->is_busy(pod.ifindex)) TRY_VOID(programs_->attach_busy(pod.ifindex));
      view_.pods[id] = pod;
    }
    start_dns();
    if (options_.health_port) keep_proxy_ports();
    if (options_.metrics)
      health_ports_.keep(*options_.metrics, "metrics", [this](std::string_view path) {
        if (path != "/metrics") return HttpAnswer{404, "404 page not found\n", "text/plain; charset=utf-8", {}};
        return HttpAnswer{200, metrics_page(status_inputs()), MetricsPage::kContentType, {}};
      });
    serve_health({});
    flow_sweeper_ = std::make_unique<FlowSweeper>(io_, *programs_, programs_->map("flows")->shape().max_entries);
    busy_links_ = std::make_unique<BusyLinks>(
        io_, BusyLinks::Doors{&kernel::received_packets, [this](const std::string& name) { return pod_link(name); },
                              [this](uint32_t ifindex) { return programs_->attach_busy(ifindex); }});
    drop_reader_ = std::make_unique<DropReader>(io_, *programs_, [this](const drop_event& event) {
      drop_log_.add(event, [this](const auto& at, auto protocol) { return name_for_drop(at, protocol); });
    });
    watcher_.start();
    return {};
  }

  void keep_proxy_ports() {
    for (const auto& own : links_.dns_addresses)
      health_ports_.keep({net::IpAddress::parse(own.is_v4() ? "0.0.0.0" : "::").value(), options_.health_port},
                         "health of the node",
                         [this](std::string_view path) { return proxy_answer(path, proxy_health()); });
    health_ports_.keep({net::IpAddress::parse("127.0.0.1").value(), kProxyModePort}, "proxy mode", proxy_mode_answer);
  }

  ProxyHealth proxy_health() const {
    return {.healthy = settled_ || Clock::now() - snapshot_since_ < kLateAfter,
            .node_eligible = node_eligible_,
            .last_updated = last_settled_,
            .now = wall_clock()};
  }

  void serve_health(const desired::HealthCheckTable& checks) {
    health_ports_.set(checks, view_.addresses, [this] { return proxy_health().healthy; });
    if (!health_ports_.problems().empty()) retry_at(Clock::now() + std::chrono::seconds(10));
  }

  // A DNS server that cannot start leaves names dead but packets alive; it is said in the status and tried again.
  void start_dns() {
    dns::DnsOptions dns_options{
        .upstreams = options_.upstream_dns, .zone = options_.cluster_domain, .server_id = options_.node_name};
    dns_options.autopath = options_.autopath;
    if (!options_.resolv_conf.empty())
      if (auto text = read_file(options_.resolv_conf))
        dns_options.node_searches = dns::parse_resolv_conf(*text).searches;
    for (const auto& address : links_.dns_addresses) dns_options.listen.push_back({address, 53});
    auto server = std::make_unique<dns::DnsServer>(dns_options);
    if (auto started = server->start(); !started) {
      dns_problem_ = "DNS: " + started.error().message;
      log::error("{}", dns_problem_);
      retry_at(Clock::now() + std::chrono::seconds(1));
      return;
    }
    dns_problem_.clear();
    dns_ = std::move(server);
    names_published_ = 0;
  }

  void on_snapshot(std::shared_ptr<const k8s::Snapshot> snapshot, const k8s::ChangeSet& changes) {
    if (!snapshot_) snapshot_since_ = Clock::now();
    if (settled_) snapshot_since_ = Clock::now();
    settled_ = false;
    snapshot_ = std::move(snapshot);
    changes_.merge(changes);
    look_at_own_node();
    recompute_soon();
  }

  void look_at_own_node() {
    auto found = snapshot_->nodes.find({"", options_.node_name});
    if (found == snapshot_->nodes.end()) return;
    const k8s::Node& node = *found->second;
    node_eligible_ = node_eligible(node);
    std::vector<net::IpAddress> addresses;
    for (const auto& entry : node.status.addresses)
      if (auto address = net::IpAddress::parse(entry.address); entry.type == "InternalIP" && address)
        addresses.push_back(*address);
    view_.addresses = std::move(addresses);
    std::vector<net::Prefix> cidrs;
    for (const auto& text : node.spec.podCIDRs)
      if (auto cidr = net::Prefix::parse(text)) cidrs.push_back(*cidr);
    if (cidrs.empty() || cidrs == pod_cidrs_) return;
    if (auto set = cni_->set_pod_cidrs(cidrs); !set) {
      log::error("pod CIDRs: {}", set.error().message);
      return;
    }
    pod_cidrs_ = std::move(cidrs);
  }

  void recompute_soon() {
    if (recompute_posted_ || !snapshot_) return;
    recompute_posted_ = true;
    asio::post(io_, [this] {
      recompute_posted_ = false;
      recompute();
    });
  }

  void recompute() {
    const desired::Tables& tables = compiler_.apply(*snapshot_, std::exchange(changes_, {}), view_);
    realize::NodeConfig config{.uplink_ifindex = links_.uplink_ifindex,
                               .overlay_ifindex = links_.overlay_ifindex,
                               .native_routing = view_.routing == desired::Routing::kNative,
                               .dsr = view_.dsr,
                               .uplink_peer = links_.uplink_peer,
                               .reset_removed = options_.reset_removed,
                               .netns_cookie = links_.netns_cookie,
                               .addresses = view_.addresses};
    tables_ = &tables;
    auto applied = realizer_->apply(tables, config);
    if (!applied) {
      log::error("realize: {}", applied.error().message);
      retry_at(Clock::now() + std::chrono::seconds(1));
    }
    realize_routes();
    publish_names();
    serve_health(tables.health_checks);
    after_apply();
  }

  void realize_routes() {
    if (routes_done_ && tables_->routes == routes_realized_) return;
    const uint32_t overlay = view_.routing == desired::Routing::kVxlan ? links_.overlay_ifindex : 0;
    auto applied = routes_->apply(tables_->routes, {overlay, view_.addresses}, tables_->prune);
    routes_done_ = applied && applied->failures.empty();
    if (applied)
      route_status_ = *applied;
    else
      route_status_.failures = {applied.error().message};
    routes_realized_ = tables_->routes;
    if (!routes_done_) retry_at(Clock::now() + std::chrono::seconds(1));
  }

  void publish_names() {
    if (!dns_ || (names_published_ && tables_->names == *last_names_)) return;
    last_names_ = std::make_shared<const desired::NameTable>(tables_->names);
    dns_->inbox().put(last_names_);
    ++names_published_;
  }

  void after_apply() {
    const auto& status = realizer_->status();
    if (socket_closer_) socket_closer_->realized(status.retired_backends);
    if (status.next_retry) retry_at(*status.next_retry);
    if (!settled_ && status.revision == snapshot_->revision) {
      settled_ = true;
      last_settled_ = wall_clock();
      last_apply_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - snapshot_since_).count();
    }
    answer_waiting();
    complainer_.set(complaints_of(tables_->findings, status, options_.node_name), Clock::now());
    if (complainer_.waits()) retry_at(Clock::now() + Complainer::kPause);
    if (!conflist_installed_ && !options_.cni_conf_dir.empty() && not_ready_because().empty()) {
      auto installed = cni::install_conflist(options_.cni_conf_dir, {.socket = options_.cni_socket});
      conflist_installed_ = installed.has_value();
      if (!installed) log::error("{}", installed.error().message);
    }
  }

  // The soonest wish counts; everything that is due is tried at once.
  void retry_at(Clock::time_point when) {
    if (retry_pending_ && retry_timer_.expiry() <= when) return;
    retry_pending_ = true;
    retry_timer_.expires_at(when);
    retry_timer_.async_wait([this](auto error) {
      if (error) return;
      retry_pending_ = false;
      if (!dns_) start_dns();
      if (auto retried = realizer_->retry(Clock::now()); !retried) log::error("realize: {}", retried.error().message);
      if (snapshot_) recompute();
    });
  }

  // Success when every row of this pod is in the kernel and it is not closed for lack of its object.
  Result<void> pod_realized(const std::string& id) const {
    auto pod = view_.pods.find(id);
    if (pod == view_.pods.end()) return fail(ErrorKind::kNotFound, "attachment {} is not known", id);
    const std::string name = pod->second.pod.str();
    if (!tables_) return fail(ErrorKind::kTransient, "pod {}: the API server has not been heard yet", name);
    auto row = tables_->pods.find(pod->second.ifindex);
    if (row == tables_->pods.end()) return fail(ErrorKind::kTransient, "pod {}: not compiled yet", name);
    if (row->second.blocked)
      return fail(ErrorKind::kTransient, "pod {}: the API server does not know it yet, so its policies are unknown",
                  name);
    for (const auto& failure : realizer_->status().failures)
      if (failure.owner == row->second.owner.str())
        return fail(ErrorKind::kTransient, "pod {}: {}", name, failure.error.message);
    return {};
  }

  uint32_t pod_link(const std::string& name) const {
    for (const auto& [id, pod] : view_.pods)
      if (pod.host_link == name) return pod.ifindex;
    return 0;
  }

  void answer_waiting() {
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      if (!pod_realized(it->first)) {
        ++it;
        continue;
      }
      auto done = std::move(it->second);
      it = waiting_.erase(it);
      done({});
    }
  }

  std::string not_ready_because() const {
    if (!snapshot_) return "the API server has not been heard yet";
    if (view_.addresses.empty()) return fmt::format("node {} has no InternalIP", options_.node_name);
    if (pod_cidrs_.empty()) return fmt::format("node {} has no podCIDRs", options_.node_name);
    if (!dns_) return dns_problem_;
    if (!realizer_->status().revision) return "the first tables are not realized yet";
    return "";
  }

  boost::json::value status() const { return status_document(status_inputs()); }

  StatusInputs status_inputs() const {
    auto counters = programs_->counters();
    return {.node = options_.node_name,
            .version = CARRICK_VERSION,
            .known_revision = snapshot_ ? snapshot_->revision : 0,
            .not_ready_because = not_ready_because(),
            .local_pods = view_.pods.size(),
            .waiting_adds = waiting_.size(),
            .last_apply_ms = last_apply_ms_,
            .unrealized_seconds = settled_ ? 0 : seconds_since(snapshot_since_),
            .realized = realizer_->status(),
            .routes = route_status_,
            .health_problems = health_ports_.problems(),
            .findings = tables_ ? tables_->findings : desired::FindingTable(),
            .links = links_,
            .watch = watcher_.stats(),
            .dns = dns_ ? dns_->stats() : dns::DnsStats{},
            .cni = cni_->stats(),
            .counters = counters ? std::move(*counters) : std::vector<uint64_t>{},
            .drop_events = drop_log_.events(),
            .flows = flow_sweeper_->stats(),
            .aborted_connections = socket_closer_ ? socket_closer_->aborted_connections() : 0,
            .privileges = kernel::own_privileges()};
  }

  // {"after": CHANGE} -> DropLog::since
  boost::json::value drops(const boost::json::object& request) const {
    const auto* after = request.if_contains("after");
    auto out = drop_log_.since(after && after->is_number() ? after->to_number<uint64_t>() : 0, events_to_wall_clock());
    out["node"] = options_.node_name;
    return out;
  }

  // {"service": "NAMESPACE/NAME"} -> service_hits
  Result<boost::json::value> hits(const boost::json::object& request) const {
    const auto* service = request.if_contains("service");
    if (!service || !service->is_string()) return fail(ErrorKind::kInvalid, "hits: \"service\" is missing");
    if (!tables_) return boost::json::value(boost::json::array{});
    return TRY(service_hits(*programs_->map("hits"), *tables_, std::string(service->as_string())));
  }

  std::string name_for_drop(const net::SocketAddress& at, net::Protocol protocol) const {
    return tables_ ? name_of(*tables_, at, protocol) : "";
  }

  // Which objects this node has seen, and whether all that follows from them is in the kernel: for those who have
  // changed something and wait until it counts.
  boost::json::object seen() const {
    return {{"digest", snapshot_ ? fmt::format("{:016x}", k8s::digest(*snapshot_)) : ""},
            {"realized", snapshot_ && !recompute_posted_ && realizer_->status().revision == snapshot_->revision &&
                             realizer_->status().failures.empty() && routes_done_},
            {"pods", view_.pods.size()}};
  }

  asio::io_context& io_;
  AgentOptions options_;
  NodeLinks links_;
  DropLog drop_log_;
  std::unique_ptr<kernel::Programs> programs_;
  std::unique_ptr<realize::Realizer> realizer_;
  std::unique_ptr<realize::RouteTarget> routes_;
  asio::steady_timer retry_timer_;
  HealthPorts health_ports_;
  std::unique_ptr<dns::DnsServer> dns_;
  std::string dns_problem_;
  std::unique_ptr<cni::Server> cni_;
  watch::Client client_;
  watch::SnapshotWatcher watcher_;
  Complainer complainer_;
  std::unique_ptr<DropReader> drop_reader_;
  std::unique_ptr<FlowSweeper> flow_sweeper_;
  std::unique_ptr<SocketCloser> socket_closer_;
  std::unique_ptr<BusyLinks> busy_links_;

  desired::NodeView view_;
  desired::Compiler compiler_;
  const desired::Tables* tables_ = nullptr;  // owned by compiler_
  std::shared_ptr<const k8s::Snapshot> snapshot_;
  k8s::ChangeSet changes_;
  std::map<std::string, std::function<void(Result<void>)>> waiting_;  // ADDs that wait for their rows
  std::vector<net::Prefix> pod_cidrs_;
  desired::RouteTable routes_realized_;
  realize::RouteStatus route_status_;
  std::shared_ptr<const desired::NameTable> last_names_;
  uint64_t names_published_ = 0;
  Clock::time_point snapshot_since_;
  Timestamp last_settled_ = wall_clock();
  bool node_eligible_ = true;
  double last_apply_ms_ = 0;
  bool settled_ = true, routes_done_ = false, recompute_posted_ = false, retry_pending_ = false,
       conflist_installed_ = false;
};

}  // namespace

Result<void> run(const AgentOptions& options) {
  asio::io_context io(1);
  auto node = TRY(Node::create(io, options));
  asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](auto error, int) {
    if (!error) io.stop();
  });
  log::info("agent of {} is up", options.node_name);
  io.run();
  return {};
}

}  // namespace carrick::agent
