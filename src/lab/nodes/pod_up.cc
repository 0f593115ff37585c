#include <algorithm>
#include <boost/asio/post.hpp>
#include <cctype>

#include "base/log.h"
#include "base/text.h"
#include "kernel/netns.h"
#include "lab/host/files.h"
#include "lab/nodes/listeners.h"
#include "lab/nodes/node_life.h"
#include "lab/nodes/pod_files.h"
#include "lab/nodes/readiness.h"
#include "lab/nodes/run_process.h"

// NodeLife: a pod's way from bound to ready.
namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr auto kHoldAtMost = std::chrono::milliseconds(2000), kHoldLook = std::chrono::milliseconds(50),
               kQuietFor =
                   std::chrono::milliseconds(300);  // nothing has changed for so long: init containers may begin
constexpr int kParallelStarts = 64;                 // an ADD mostly waits for its agent, which realizes many in one go
constexpr auto kPublishRetry = std::chrono::milliseconds(500);

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
  managed.state = {};
  for (const auto& address : nodes_.at(managed.sandbox.node)->plan.addresses)
    managed.state.host_addresses.push_back(address.str());
  if (auto written = write_pod_files(paths_, config_, managed.sandbox, pod, cluster_dns()); !written)
    log::warn("pod {}: {}", key.str(), written.error().message);
  const std::string uid = managed.sandbox.uid;
  const bool initialized = std::ranges::any_of(pod.status.conditions, [](const k8s::Condition& condition) {
    return condition.type == "Initialized" && condition.status == "True";
  });
  managed.listeners = {};
  managed.published.clear();
  managed.asked.assign(pod.spec.initContainers.size() + pod.spec.containers.size(), {});
  managed.probes = std::make_unique<Probes>(
      io_, Probes::Door{[this, key, uid](size_t index, const k8s::Probe& probe, auto done) {
                          make_probe(key, uid, index, probe, std::move(done));
                        },
                        [this, key, uid](size_t index, ProbeKind kind, bool passes, const std::string& sentence) {
                          probe_judged(key, uid, index, kind, passes, sentence);
                        }});
  managed.containers = std::make_unique<Containers>(
      io_, config_, managed.sandbox, managed.object,
      Containers::Around{&client_,
                         [this, key, uid](Material& material) {
                           if (const Managed* now = find(key, uid)) complete_material(*now, material);
                         },
                         [this, since = std::chrono::steady_clock::now()] { return hold_init(since); },
                         [this, key, uid] { containers_changed(key, uid); }},
      managed.adopted && initialized);
  managed.containers->start();
  containers_changed(key, uid);
}

// What the kubelet adds to the environment: the Services of the pod's namespace, and the API server's.
void NodeLife::complete_material(const Managed& managed, Material& material) const {
  material.node_name = managed.sandbox.node;
  material.host_ips = managed.state.host_addresses;
  material.pod_ips = managed.sandbox.addresses;
  for (const auto& [key, service] : snapshot_->services) {
    const bool api = key.namespace_ == "default" && key.name == "kubernetes";
    const auto& ips = service->spec.clusterIPs;
    if ((!api && key.namespace_ != managed.sandbox.pod.namespace_) || ips.empty() || ips.front() == "None") continue;
    if (service->spec.ports.empty()) continue;
    std::string name;
    for (const char c : key.name)
      name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    const int port = service->spec.ports.front().port;
    const std::string host = ips.front().find(':') == std::string::npos ? ips.front() : "[" + ips.front() + "]";
    material.service_env.emplace_back(name + "_SERVICE_HOST", ips.front());
    material.service_env.emplace_back(name + "_SERVICE_PORT", std::to_string(port));
    material.service_env.emplace_back(name + "_PORT", fmt::format("tcp://{}:{}", host, port));
  }
}

void NodeLife::refresh_listeners(Managed& managed) {
  std::set<Listener> listeners;
  const PodMachine* machine = managed.containers ? &managed.containers->machine() : nullptr;
  if (machine && machine->initialized()) listeners = listeners_of(*managed.object, *snapshot_);
  // What a real process listens on is its own business. Where all containers are processes, so are the ports that only
  // a Service or a probe names: were they taken, the program could not listen there.
  bool plays = false;
  for (size_t i = 0; machine && i < machine->containers().size(); ++i) {
    if (machine->containers()[i].kind == ContainerLife::Kind::kInit) continue;
    if (managed.containers->is_played(i)) {
      plays = true;
      continue;
    }
    for (const k8s::ContainerPort& port : machine->spec(*managed.object, i).ports)
      std::erase_if(listeners, [&](const Listener& listener) { return listener.port == port.containerPort; });
  }
  if (!plays) listeners.clear();
  if (listeners == managed.listeners) return;
  managed.listeners = std::move(listeners);
  send_listeners(managed);
}

void NodeLife::make_probe(const Key& key, const std::string& uid, size_t index, const k8s::Probe& probe,
                          std::function<void(std::string)> done) {
  Managed* managed = find(key, uid);
  if (!managed || !managed->containers || !managed->object) return;
  const k8s::Container& container = managed->containers->machine().spec(*managed->object, index);
  const auto answer = [&](std::string sentence) {
    boost::asio::post(io_, [done, sentence = std::move(sentence)] { done(sentence); });
  };
  if (probe.exec) {
    // A program of an image that is not there cannot be run: it passes.
    if (managed->containers->is_played(index)) return answer("");
    SpawnRequest request = container_request(config_, managed->sandbox, container.name);
    request.argv.emplace_back("--");
    request.argv.insert(request.argv.end(), probe.exec->command.begin(), probe.exec->command.end());
    return run_process(
        io_, std::move(request), "", std::chrono::seconds(std::max(1, probe.timeoutSeconds)),
        [done](Result<ProcessEnd> end) {
          if (!end) return done(end.error().message);
          done(end->exit_code == 0 ? "" : fmt::format("exit code {}: {}", end->exit_code, trim(end->output)));
        });
  }
  auto target = probe_target(probe, container, managed->sandbox.addresses.front());
  if (!target) return answer(target.error().message);
  if (!*target) return answer("");
  run_probe(io_, nodes_.at(managed->sandbox.node)->netns.get(), **target, std::move(done));
}

void NodeLife::probe_judged(const Key& key, const std::string& uid, size_t index, ProbeKind kind, bool passes,
                            const std::string& sentence) {
  Managed* managed = find(key, uid);
  if (!managed || managed->stage != Stage::kRunning || !managed->containers) return;
  const ContainerLife& life = managed->containers->machine().containers()[index];
  if (kind == ProbeKind::kReadiness) {
    managed->asked[index].passes = passes;
    managed->asked[index].failure = passes ? "" : "readiness probe: " + sentence;
  } else if (!passes) {
    managed->probes->end(index);
    return managed->containers->restart(index, fmt::format("{} probe failed: {}", probe_name(kind), sentence));
  } else if (!life.passed_startup) {
    managed->containers->passed_startup(index);
  } else {
    return;
  }
  containers_changed(key, uid);
}

// The state of each, as its machine and its probes have it; probes begin and end with the containers.
void NodeLife::describe_containers(Managed& managed) {
  const PodMachine& machine = managed.containers->machine();
  for (size_t i = 0; i < machine.containers().size(); ++i) {
    const ContainerLife life = machine.containers()[i];
    Managed::Asked& asked = managed.asked[i];
    const bool running = life.state == ContainerLife::State::kRunning;
    const bool begins = running && (!asked.running || asked.since != life.started);
    if (begins || (!running && asked.running)) asked = {};
    asked.running = running;
    asked.since = life.started;
    if (begins && life.kind != ContainerLife::Kind::kInit)
      managed.probes->begin(i, machine.spec(*managed.object, i), managed.containers->is_played(i));
    if (!running) managed.probes->end(i);
  }
  PodState& state = managed.state;
  state.phase = machine.phase();
  state.inits = machine.inits();
  state.initialized = machine.initialized();
  state.containers.clear();
  state.message = managed.listener_errors;
  for (size_t i = 0; i < machine.containers().size(); ++i) {
    const ContainerLife& life = machine.containers()[i];
    const bool running = life.state == ContainerLife::State::kRunning;
    bool ready = running && life.passed_startup;
    if (ready && machine.spec(*managed.object, i).readinessProbe) ready = managed.asked[i].passes;
    if (life.kind == ContainerLife::Kind::kInit) ready = life.final && life.end && life.end->exit_code == 0;
    state.containers.push_back({life, ready});
    if (ready || (life.state == ContainerLife::State::kTerminated && life.final)) continue;
    std::string why = running ? managed.asked[i].failure
                      : life.state == ContainerLife::State::kTerminated
                          ? fmt::format("container {}: ended with exit code {}", life.name, life.end->exit_code)
                      : life.message.empty() ? ""
                                             : fmt::format("container {}: {}", life.name, life.message);
    if (!why.empty()) state.message = why;
  }
}

// An init container that finds nobody yet comes again after ten seconds, as manifests have it. What the responder plays
// is there in a moment, and so are the Services that lead to it; so it is waited for, but not long: until all of those
// are Ready for the API server, and what follows from that (endpoints, rows of the agents) has come to rest.
std::chrono::milliseconds NodeLife::hold_init(std::chrono::steady_clock::time_point since) const {
  const auto now = std::chrono::steady_clock::now();
  if (now - since >= kHoldAtMost) return {};
  const bool quiet = now - std::max(since, last_change_) >= kQuietFor;
  const auto is_there = [this](const auto& entry) {
    const auto& [key, pod] = entry;
    if (pod->stage != Stage::kRunning || !pod->containers) return pod->stage > Stage::kRunning;
    const size_t containers = pod->containers->machine().containers().size();
    for (size_t i = 0; i < containers; ++i)
      if (!pod->containers->is_played(i)) return true;
    const auto known = snapshot_->pods.find(key);
    return known == snapshot_->pods.end() ||
           std::ranges::any_of(known->second->status.conditions, [](const k8s::Condition& condition) {
             return condition.type == "Ready" && condition.status == "True";
           });
  };
  const bool may_start = quiet && queue_.empty() && starting_ == 0 && std::ranges::all_of(pods_, is_there);
  return may_start ? std::chrono::milliseconds(0) : kHoldLook;
}

void NodeLife::containers_changed(const Key& key, const std::string& uid) {
  Managed* managed = find(key, uid);
  if (managed && managed->stage == Stage::kDraining) return go_on_draining(key, uid);
  if (!managed || managed->stage != Stage::kRunning || !managed->object || !managed->containers) return;
  describe_containers(*managed);
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
  for (const char* list : {"initContainerStatuses", "containerStatuses"})
    if (const auto* statuses = patch["status"].as_object().if_contains(list)) meaning += json::serialize(*statuses);
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
