#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.h"
#include "desired/object_facts.h"
#include "kernel/netns.h"
#include "lab/host/files.h"
#include "lab/nodes/listeners.h"
#include "lab/nodes/node_life.h"
#include "lab/nodes/pod_files.h"
#include "lab/nodes/readiness.h"

// NodeLife: a pod's way from bound to ready.
namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr int kParallelStarts = 64;  // an ADD mostly waits for its agent, which realizes many in one go
constexpr auto kPublishRetry = std::chrono::milliseconds(500);
constexpr auto kUntilReadyPeriod = std::chrono::milliseconds(200);

}  // namespace

void NodeLife::start_queued() {
  while (starting_ < kParallelStarts && !queue_.empty()) {
    Key key = queue_.front();
    queue_.pop_front();
    auto it = pods_.find(key);
    if (it != pods_.end() && it->second->stage == Stage::kQueued) start_pod(key);
  }
}

CniAttachment NodeLife::attachment_of(Managed& managed) {
  CniAttachment attachment{.sandbox = &managed.sandbox, .node_netns = nodes_.at(managed.sandbox.node)->netns.get()};
  if (managed.object) {
    attachment.port_mappings = port_mappings_of(*managed.object);
    for (const auto& [key, value] : managed.object->metadata.annotations) attachment.annotations[key] = value;
  }
  return attachment;
}

void NodeLife::start_pod(const Key& key) {
  Managed& managed = *pods_.at(key);
  managed.stage = Stage::kStarting;
  ++starting_;
  std::string uid = managed.sandbox.uid;
  auto answer = [this, key, uid](Result<std::vector<std::string>> addresses) {
    sandbox_added(key, uid, std::move(addresses));
  };
  if (auto made = make_sandbox(managed); !made) {
    boost::asio::post(io_, [answer, error = made.error()] { answer(std::unexpected(error)); });
    return;
  }
  if (managed.sandbox.host_network) {
    boost::asio::post(io_, [answer] { answer(std::vector<std::string>()); });
    return;
  }
  cni_.add(attachment_of(managed), answer);
}

Result<void> NodeLife::make_sandbox(Managed& managed) {
  const k8s::Pod& pod = *managed.object;
  Sandbox& s = managed.sandbox;
  std::string folder = paths_.pod(s.pod.namespace_, s.pod.name);
  TRY_VOID(make_directories(folder, 0755));
  s.node = pod.spec.nodeName;
  s.host_network = pod.spec.hostNetwork;
  s.container_id = container_id_of(s.uid);
  s.hostname = s.host_network ? s.node : !pod.spec.hostname.empty() ? pod.spec.hostname : s.pod.name;
  s.netns = s.host_network ? paths_.node_netns(s.node) : folder + "/netns";
  s.started_at = timestamp_now();
  s.containers.clear();
  for (const auto* list : {&pod.spec.containers, &pod.spec.initContainers})
    for (const k8s::Container& container : *list) s.containers.push_back(container.name);
  s.plumbed = false;
  TRY_VOID(save_sandbox(paths_, s));
  if (s.host_network) return {};
  auto made = kernel::create_netns(s.netns);
  if (!made && made.error().kind == ErrorKind::kAlreadyExists) {  // of a start that was interrupted
    TRY_VOID(kernel::delete_netns(s.netns));
    made = kernel::create_netns(s.netns);
  }
  if (!made) return std::unexpected(made.error());
  return {};
}

void NodeLife::sandbox_added(const Key& key, const std::string& uid, Result<std::vector<std::string>> addresses) {
  --starting_;
  Managed* managed = find(key, uid);
  if (!managed) return start_queued();
  managed->stage = Stage::kRunning;
  if (!addresses) {
    ++managed->failures;
    managed->state.message = addresses.error().message;
    log::warn("pod {}: {}", key.str(), addresses.error().message);
    publish(key);
    stop_pod(key);  // as containerd: an ADD that failed is followed by DEL; reconcile() begins anew
    return start_queued();
  }
  Sandbox& s = managed->sandbox;
  s.addresses = std::move(*addresses);
  if (s.host_network)
    for (const auto& address : nodes_.at(s.node)->plan.addresses) s.addresses.push_back(address.str());
  // The cluster's primary family first (NET-9).
  bool v4_first = config_.has_v4();
  std::ranges::sort(s.addresses, {},
                    [&](const std::string& a) { return (a.find(':') == std::string::npos) != v4_first; });
  s.plumbed = true;
  if (auto saved = save_sandbox(paths_, s); !saved) log::warn("pod {}: {}", key.str(), saved.error().message);
  managed->object = nullptr;
  reconcile(key);  // goes on with run_pod, or takes it down when it was deleted meanwhile
  start_queued();
}

void NodeLife::run_pod(const Key& key) {
  Managed& managed = *pods_.at(key);
  const k8s::Pod& pod = *managed.object;
  managed.failures = 0;
  managed.state = {.phase = "Running"};
  for (const auto& address : nodes_.at(managed.sandbox.node)->plan.addresses)
    managed.state.host_addresses.push_back(address.str());
  for (const k8s::Container& container : pod.spec.containers)
    managed.state.containers.push_back({.name = container.name});
  if (auto written = write_pod_files(paths_, config_, managed.sandbox, pod, cluster_dns()); !written)
    log::warn("pod {}: {}", key.str(), written.error().message);
  managed.containers =
      std::make_unique<Containers>(io_, config_, managed.sandbox, managed.object,
                                   [this, key, uid = managed.sandbox.uid] { containers_changed(key, uid); });
  managed.containers->start();
  managed.listeners = {};
  managed.published.clear();
  refresh_listeners(managed);
  start_readiness(key);
}

void NodeLife::refresh_listeners(Managed& managed) {
  auto listeners = listeners_of(*managed.object, *snapshot_);
  // What a real process listens on is its own business. Where all containers are processes, so are the ports that only
  // a Service or a probe names: were they taken, the program could not listen there.
  const auto& containers = managed.object->spec.containers;
  auto is_process = [&](size_t i) {
    return runs_as_process(containers[i]) && !(managed.containers && managed.containers->falls_back_to_responder(i));
  };
  size_t processes = 0;
  for (size_t i = 0; i < containers.size(); ++i) {
    if (!is_process(i)) continue;
    ++processes;
    for (const k8s::ContainerPort& port : containers[i].ports)
      std::erase_if(listeners, [&](const Listener& listener) { return listener.port == port.containerPort; });
  }
  if (processes > 0 && processes == desired::running_containers(*managed.object).size()) listeners.clear();
  if (listeners == managed.listeners) return;
  managed.listeners = std::move(listeners);
  send_listeners(managed);
}

void NodeLife::start_readiness(const Key& key) {
  Managed& managed = *pods_.at(key);
  std::string uid = managed.sandbox.uid;
  managed.readiness.clear();
  managed.readiness.resize(managed.object->spec.containers.size());
  for (size_t i = 0; i < managed.readiness.size(); ++i) {
    managed.readiness[i].timer = std::make_unique<boost::asio::steady_timer>(io_);
    managed.state.containers[i].ready = true;
    if (!managed.object->spec.containers[i].readinessProbe) continue;
    managed.state.containers[i].ready = false;
    probe_container(key, uid, i);
  }
  if (!managed.listener_errors.empty()) managed.state.message = managed.listener_errors;
  if (Managed* still = find(key, uid)) {
    if (still->containers) still->containers->describe(still->state.containers);
    publish(key);
  }
}

void NodeLife::probe_container(const Key& key, const std::string& uid, size_t index) {
  Managed* managed = find(key, uid);
  if (!managed || managed->stage != Stage::kRunning || !managed->object || index >= managed->readiness.size()) return;
  const k8s::Container& container = managed->object->spec.containers[index];
  const k8s::Probe& probe = *container.readinessProbe;
  int failure_threshold = probe.failureThreshold > 0 ? probe.failureThreshold : 3;
  auto period = std::chrono::milliseconds(1000 * (probe.periodSeconds > 0 ? probe.periodSeconds : 10));

  auto judged = [this, key, uid, index, failure_threshold, period](const std::string& failure) {
    Managed* pod = find(key, uid);
    if (!pod || pod->stage != Stage::kRunning || index >= pod->readiness.size()) return;
    Readiness& readiness = pod->readiness[index];
    ContainerState& state = pod->state.containers[index];
    bool was_ready = state.ready;
    readiness.successes = failure.empty() ? readiness.successes + 1 : 0;
    readiness.failures = failure.empty() ? 0 : readiness.failures + 1;
    if (failure.empty()) state.ready = readiness.ever_ready = true;
    if (readiness.failures >= failure_threshold) state.ready = false;
    std::string message = failure.empty() ? pod->listener_errors : "readiness probe: " + failure;
    bool changed = state.ready != was_ready || (!state.ready && message != pod->state.message);
    pod->state.message = state.ready ? pod->listener_errors : message;
    if (changed) publish(key);
    readiness.timer->expires_after(readiness.ever_ready ? period : kUntilReadyPeriod);
    readiness.timer->async_wait([this, key, uid, index](boost::system::error_code error) {
      if (!error) probe_container(key, uid, index);
    });
  };
  auto target = probe_target(probe, container, managed->sandbox.addresses.front());
  if (!target) return judged(target.error().message);
  // A program inside the image cannot be run: an exec probe of a responder pod passes.
  if (!*target) return judged("");
  run_probe(io_, nodes_.at(managed->sandbox.node)->netns.get(), **target, judged);
}

void NodeLife::containers_changed(const Key& key, const std::string& uid) {
  Managed* managed = find(key, uid);
  if (managed && managed->stage == Stage::kDraining) return go_on_draining(key, uid);
  if (!managed || managed->stage != Stage::kRunning || !managed->object) return;
  auto& states = managed->state.containers;
  for (size_t i = 0; i < states.size(); ++i)
    if (!managed->object->spec.containers[i].readinessProbe) states[i].ready = true;
  managed->containers->describe(states);
  bool all_ended = std::ranges::all_of(states, [](const ContainerState& s) { return s.exit_code.has_value(); });
  bool failed = std::ranges::any_of(states, [](const ContainerState& s) { return s.exit_code.value_or(0) != 0; });
  if (all_ended) managed->state.phase = failed ? "Failed" : "Succeeded";
  managed->state.message.clear();
  for (const ContainerState& state : states)
    if (!state.running && !state.exit_code)
      managed->state.message = fmt::format("container {}: {}", state.name, state.message);
  refresh_listeners(*managed);
  publish(key);
}

// At most one request of a pod is under way; what changed meanwhile goes with the next.
void NodeLife::publish(const Key& key) {
  Managed& managed = *pods_.at(key);
  if (managed.publishing || !managed.object) return;
  if (managed.state.host_addresses.empty() && nodes_.contains(managed.object->spec.nodeName))
    for (const auto& address : nodes_.at(managed.object->spec.nodeName)->plan.addresses)
      managed.state.host_addresses.push_back(address.str());
  json::object patch = pod_status_patch(*managed.object, managed.sandbox.plumbed ? &managed.sandbox : nullptr,
                                        managed.state, timestamp_now());
  std::string body = json::serialize(patch);
  // Times of conditions alone are no news.
  std::string meaning = fmt::format("{}|{}|{}|{}", managed.state.phase, managed.state.message, managed.sandbox.plumbed,
                                    fmt::join(managed.sandbox.addresses, ","));
  for (const ContainerState& c : managed.state.containers)
    meaning += fmt::format("|{}{}{}{}", c.ready, c.running, c.restarts, c.exit_code.value_or(-1));
  for (const k8s::Condition& condition : managed.object->status.conditions)
    if (!managed.object->spec.readinessGates.empty()) meaning += condition.type + condition.status;
  if (meaning == managed.published) return;
  managed.publishing = true;
  std::string uid = managed.sandbox.uid;
  watch::HttpRequest request{.method = "PATCH",
                             .target = fmt::format("/api/v1/namespaces/{}/pods/{}/status", key.namespace_, key.name),
                             .body = std::move(body),
                             .content_type = "application/merge-patch+json"};
  client_.request(std::move(request), [this, key, uid, meaning](Result<watch::HttpResponse> answer) {
    Managed* pod = find(key, uid);
    if (!pod) return;
    pod->publishing = false;
    if (answer) {
      pod->published = meaning;
      if (pod->stage == Stage::kRunning) publish(key);
      return;
    }
    if (answer.error().kind == ErrorKind::kNotFound) return;
    log::warn("status of pod {}: {}", key.str(), answer.error().message);
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, kPublishRetry);
    timer->async_wait([this, key, uid, timer](boost::system::error_code error) {
      if (!error && find(key, uid)) publish(key);
    });
  });
}

}  // namespace carrick::lab
