#include "controllers/controllers.h"

#include <algorithm>

#include "base/log.h"
#include "controllers/endpoints/legacy_endpoints.h"
#include "controllers/endpoints/mirroring.h"
#include "controllers/endpoints/slices.h"
#include "controllers/event_log.h"
#include "controllers/lifecycle/event_expiry.h"
#include "controllers/lifecycle/garbage_collector.h"
#include "controllers/lifecycle/namespaces.h"
#include "controllers/lifecycle/orphan_addresses.h"
#include "controllers/lifecycle/system_services.h"
#include "controllers/scheduling/node_ipam.h"
#include "controllers/scheduling/scheduler.h"
#include "controllers/workloads/daemon_set.h"
#include "controllers/workloads/deployment.h"
#include "controllers/workloads/job.h"
#include "controllers/workloads/replica_set.h"
#include "controllers/workloads/stateful_set.h"

namespace carrick::controllers {

namespace {

// Reconciles between two looks at the strand's other work.
constexpr size_t kSlice = 64;
// Every so many steps the last queue in order goes first, so that endless work in front cannot starve it.
constexpr size_t kFairStep = 32;

}  // namespace

struct Controllers::Core : std::enable_shared_from_this<Controllers::Core> {
  Cluster& cluster;
  Options options;
  Mirror mirror;
  EventLog events;
  Desk desk;
  std::vector<std::unique_ptr<Controller>> controllers;  // in order of precedence
  std::map<std::pair<size_t, k8s::NamespacedName>, std::string> failed;
  bool posted = false, started = false;
  std::optional<Time> timer;
  size_t steps = 0;

  Core(Cluster& c, Options o)
      : cluster(c),
        options(std::move(o)),
        events(cluster, options.record_events, options.now),
        desk{cluster, mirror, options, events} {
    add<NamespaceController>();
    add<SystemServices>();
    add<NodeIpam>();
    add<DeploymentController>();
    add<ReplicaSetController>();
    add<StatefulSetController>();
    add<DaemonSetController>();
    add<JobController>();
    add<Scheduler>();
    add<GarbageCollector>();
    add<EventExpiry>();
    add<OrphanAddresses>();
    // Last: by then most of what changes in one go has changed, and each Service is written once.
    add<EndpointSliceController>();
    add<LegacyEndpointsController>();
    add<MirroringController>();
  }

  template <class T>
  void add() {
    controllers.push_back(std::make_unique<T>(desk));
  }

  void observe(const ObjectEvent& event) {
    const Change change = mirror.apply(event);
    for (auto& controller : controllers) controller->observe(change);
    wake();
  }

  void read_everything() {
    // Nodes and owners before what refers to them is not needed: everything is observed before anything is reconciled.
    for (const auto& type : k8s::resource_types()) {
      for (const auto& document : cluster.list(type)) observe({ObjectEvent::Type::kAdded, &type, document, nullptr});
    }
    for (const auto* type : cluster.custom_types())
      for (const auto& document : cluster.list(*type)) observe({ObjectEvent::Type::kAdded, type, document, nullptr});
    for (auto& controller : controllers) controller->start();
  }

  // One reconcile; false when nothing is due.
  bool step() {
    const Time now = options.now();
    for (auto& controller : controllers) controller->queue.move_due(now);
    const bool reverse = ++steps % kFairStep == 0;
    for (size_t i = 0; i < controllers.size(); ++i) {
      const size_t index = reverse ? controllers.size() - 1 - i : i;
      auto& controller = *controllers[index];
      if (const auto key = controller.queue.take()) {
        reconcile(index, controller, *key);
        return true;
      }
    }
    return false;
  }

  void reconcile(size_t index, Controller& controller, const k8s::NamespacedName& key) {
    const auto done = controller.reconcile(key);
    if (done) {
      controller.queue.forget_failures(key);
      failed.erase({index, key});
      return;
    }
    log::debug("{}: {}: {}", controller.name(), key.str(), done.error().message);
    failed[{index, key}] = done.error().message;
    controller.queue.add_after_failure(key, options.now());
  }

  void wake() {
    if (!started || posted || !options.post) return;
    posted = true;
    options.post([weak = weak_from_this()] {
      if (auto core = weak.lock()) core->work();
    });
  }

  void work() {
    posted = false;
    for (size_t i = 0; i < kSlice; ++i) {
      if (!step()) {
        arm();
        return;
      }
    }
    wake();
  }

  std::optional<Time> next_due() const {
    std::optional<Time> next;
    for (const auto& controller : controllers) {
      const auto due = controller->queue.next_due();
      if (due && (!next || *due < *next)) next = due;
    }
    return next;
  }

  void arm() {
    const auto due = next_due();
    if (!due || !options.after || (timer && *timer <= *due)) return;
    timer = due;
    const auto wait =
        std::max(std::chrono::milliseconds(1), std::chrono::ceil<std::chrono::milliseconds>(*due - options.now()));
    options.after(wait, [weak = weak_from_this()] {
      auto core = weak.lock();
      if (!core) return;
      core->timer.reset();
      core->wake();
    });
  }
};

Options lab_defaults() {
  Options options;
  auto prefix = [](const char* text) { return *net::Prefix::parse(text); };
  auto address = [](const char* text) { return *net::IpAddress::parse(text); };
  options.cluster_cidrs = {prefix("10.1.0.0/16"), prefix("2001:db8:1::/48")};
  options.service_cidrs = {prefix("10.96.0.0/16"), prefix("2001:db8:96::/112")};
  options.kubernetes_ips = {address("10.96.0.1"), address("2001:db8:96::1")};
  options.dns_ips = {address("10.96.0.10"), address("2001:db8:96::a")};
  return options;
}

Controllers::Controllers(Cluster& cluster, Options options)
    : core_(std::make_shared<Core>(cluster, std::move(options))) {}
Controllers::~Controllers() = default;

Result<void> Controllers::start() {
  TRY_VOID(check_no_overlap(core_->options));
  core_->read_everything();
  core_->cluster.subscribe([weak = std::weak_ptr(core_)](const ObjectEvent& event) {
    if (auto core = weak.lock()) core->observe(event);
  });
  core_->started = true;
  core_->wake();
  return {};
}

size_t Controllers::run_until_idle(size_t limit) {
  size_t steps = 0;
  while (steps < limit && core_->step()) ++steps;
  return steps;
}

std::optional<std::chrono::system_clock::time_point> Controllers::next_due() const { return core_->next_due(); }

std::vector<Controllers::Failure> Controllers::failures() const {
  std::vector<Failure> failures;
  for (const auto& [where, sentence] : core_->failed) {
    failures.push_back({std::string(core_->controllers[where.first]->name()), where.second, sentence});
  }
  return failures;
}

}  // namespace carrick::controllers
