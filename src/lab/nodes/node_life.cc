#include "lab/nodes/node_life.h"

#include <algorithm>
#include <boost/asio/post.hpp>

#include "base/log.h"
#include "kernel/netns.h"
#include "lab/host/files.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr int kApiConnections = 8;
constexpr auto kNodeNotReadyPeriod = std::chrono::milliseconds(50);
constexpr auto kNodeReadyPeriod = std::chrono::seconds(10);  // CNI-R2: the kubelet asks every 5 s
constexpr auto kApiRetry = std::chrono::milliseconds(300);
constexpr auto kResponderPeriod = std::chrono::milliseconds(300);

}  // namespace

NodeLife::NodeLife(boost::asio::io_context& io, LabConfig config, watch::Credentials credentials)
    : io_(io),
      config_(std::move(config)),
      paths_{config_.name, ""},
      client_(io, std::move(credentials), kApiConnections),
      watcher_(
          io, client_,
          [this](auto snapshot, const k8s::ChangeSet& changes) { on_snapshot(std::move(snapshot), changes); },
          watch::Detail::kWholePods),
      cni_(io, paths_),
      responder_timer_(io) {}

NodeLife::~NodeLife() = default;

Result<void> NodeLife::start() {
  for (NodePlan& plan : plan_nodes(config_)) {
    auto node = std::make_unique<Node>();
    node->netns = TRY(kernel::open_netns(paths_.node_netns(plan.name)));
    node->plan = std::move(plan);
    node->timer = std::make_unique<boost::asio::steady_timer>(io_);
    register_node(*node);
    nodes_.emplace(node->plan.name, std::move(node));
  }
  // What an earlier lab-nodes had made. Plumbed pods go on as they are; half-made ones are taken down and begin anew.
  for (Sandbox& sandbox : load_sandboxes(paths_)) {
    auto managed = std::make_unique<Managed>();
    Key key = sandbox.pod;
    managed->stage = Stage::kRunning;
    managed->adopted = true;
    managed->sandbox = std::move(sandbox);
    pods_.emplace(key, std::move(managed));
  }
  check_responder();
  watcher_.start();
  return {};
}

void NodeLife::register_node(Node& node) {
  watch::HttpRequest request{
      .method = "POST", .target = "/api/v1/nodes", .body = json::serialize(node_document(node.plan, timestamp_now()))};
  client_.request(std::move(request), [this, &node](Result<watch::HttpResponse> answer) {
    if (answer || answer.error().kind == ErrorKind::kAlreadyExists) {
      node.registered = true;
      return check_node(node);
    }
    log::warn("node {}: {}", node.plan.name, answer.error().message);
    node.timer->expires_after(kApiRetry);
    node.timer->async_wait([this, &node](boost::system::error_code error) {
      if (!error) register_node(node);
    });
  });
}

// Ready while the plugin says that it would serve an ADD.
void NodeLife::check_node(Node& node) {
  cni_.status(node.plan.name, node.netns.get(), [this, &node](Result<void> served) {
    node.not_ready_because = served ? "" : served.error().message;
    auto again = [this, &node] {
      node.timer->expires_after(node.not_ready_because.empty() ? std::chrono::milliseconds(kNodeReadyPeriod)
                                                               : kNodeNotReadyPeriod);
      node.timer->async_wait([this, &node](boost::system::error_code error) {
        if (!error) check_node(node);
      });
    };
    if (node.published == node.not_ready_because) return again();
    std::string sentence = node.not_ready_because;
    watch::HttpRequest request{.method = "PATCH",
                               .target = "/api/v1/nodes/" + node.plan.name + "/status",
                               .body = json::serialize(node_status_patch(node.plan, sentence, timestamp_now())),
                               .content_type = "application/merge-patch+json"};
    client_.request(std::move(request), [&node, sentence, again](Result<watch::HttpResponse> answer) {
      if (answer)
        node.published = sentence;
      else
        log::warn("node {}: {}", node.plan.name, answer.error().message);
      again();
    });
  });
}

void NodeLife::on_snapshot(std::shared_ptr<const k8s::Snapshot> snapshot, const k8s::ChangeSet& changes) {
  snapshot_ = std::move(snapshot);
  last_change_ = std::chrono::steady_clock::now();
  std::set<Key> keys = changes.pods;
  if (changes.everything) {
    for (const auto& [key, pod] : snapshot_->pods) keys.insert(key);
    for (const auto& [key, managed] : pods_) keys.insert(key);
  }
  for (const Key& key : keys) reconcile(key);
  std::set<std::string> namespaces;
  for (const Key& key : changes.services) namespaces.insert(key.namespace_);
  for (auto& [key, managed] : pods_)
    if (managed->stage == Stage::kRunning && managed->object &&
        (changes.everything || namespaces.contains(key.namespace_)))
      refresh_listeners(*managed);
  start_queued();
}

std::shared_ptr<const k8s::Pod> NodeLife::wanted(const Key& key) const {
  if (!snapshot_) return nullptr;
  auto it = snapshot_->pods.find(key);
  return it != snapshot_->pods.end() && nodes_.contains(it->second->spec.nodeName) ? it->second : nullptr;
}

std::vector<net::IpAddress> NodeLife::cluster_dns() const {
  std::vector<net::IpAddress> out;
  auto it = snapshot_->services.find({"kube-system", "kube-dns"});
  if (it == snapshot_->services.end()) return out;
  for (const std::string& text : it->second->spec.clusterIPs)
    if (auto address = net::IpAddress::parse(text)) out.push_back(*address);
  return out;
}

NodeLife::Managed* NodeLife::find(const Key& key, const std::string& uid) {
  auto it = pods_.find(key);
  return it != pods_.end() && it->second->sandbox.uid == uid ? it->second.get() : nullptr;
}

Result<RunningContainer> NodeLife::find_container(const apiserver::NodeCall& call) {
  Managed* managed = find({call.namespace_, call.pod}, call.uid);
  const bool ended = managed && managed->object && has_ended(*managed->object) &&
                     (managed->stage == Stage::kEnded || managed->stage == Stage::kStopping);
  if (ended && call.kind == apiserver::NodeCall::Kind::kLog)
    return RunningContainer{.sandbox = managed->sandbox, .pod = managed->object, .is_running = [] { return false; }};
  if (!managed || !managed->sandbox.plumbed || !managed->object || managed->sandbox.node != call.node)
    return fail(ErrorKind::kInvalid, "container \"{}\" in pod \"{}\" is waiting to start: ContainerCreating",
                call.container, call.pod);
  RunningContainer out{.sandbox = managed->sandbox, .pod = managed->object};
  if (call.container.empty()) return out;
  if (!managed->containers)
    return fail(ErrorKind::kInvalid, "container \"{}\" in pod \"{}\" is waiting to start: ContainerCreating",
                call.container, call.pod);
  const auto& lives = managed->containers->machine().containers();
  const auto found = std::ranges::find(lives, call.container, &ContainerLife::name);
  if (found == lives.end()) return fail(ErrorKind::kNotFound, "container not found (\"{}\")", call.container);
  const auto index = static_cast<size_t>(found - lives.begin());
  const bool running = found->state == ContainerLife::State::kRunning;
  const bool streams = call.kind == apiserver::NodeCall::Kind::kExec || call.kind == apiserver::NodeCall::Kind::kAttach;
  if (streams && !running) return fail(ErrorKind::kNotFound, "container not found (\"{}\")", call.container);
  if (!found->ran)
    return fail(ErrorKind::kInvalid, "container \"{}\" in pod \"{}\" is waiting to start: {}", call.container, call.pod,
                found->reason);
  out.is_running = [this, key = managed->sandbox.pod, uid = managed->sandbox.uid, index] {
    const Managed* now = find(key, uid);
    if (!now || !now->containers) return false;
    return now->containers->machine().containers()[index].state == ContainerLife::State::kRunning;
  };
  return out;
}

// What is to be done next about one pod. Called after each change of its object and after each step of ours.
void NodeLife::reconcile(const Key& key) {
  auto pod = wanted(key);
  auto it = pods_.find(key);
  bool ended = pod && has_ended(*pod);
  bool leaves = !pod || pod->metadata.deletionTimestamp || ended;
  if (it == pods_.end()) {
    if (pod && pod->metadata.deletionTimestamp) return delete_object(*pod);
    if (leaves) return;
    auto managed = std::make_unique<Managed>();
    managed->sandbox.pod = key;
    managed->sandbox.uid = pod->metadata.uid;
    managed->object = pod;
    pods_.emplace(key, std::move(managed));
    queue_.push_back(key);
    return;
  }
  Managed& managed = *it->second;
  bool same = pod && pod->metadata.uid == managed.sandbox.uid;
  switch (managed.stage) {
    case Stage::kQueued:
      if (leaves || !same) return forget_pod(key);
      managed.object = pod;
      return;
    case Stage::kStarting:
      return;  // looked at again when ADD has answered
    case Stage::kStopping:
      return;
    case Stage::kEnded:
      if (!ended || !same || pod->metadata.deletionTimestamp) forget_pod(key);
      return;
    case Stage::kDraining:
      if (!same || pod->metadata.deletionGracePeriodSeconds.value_or(0) == 0) stop_pod(key);
      return;
    case Stage::kRunning:
      break;
  }
  if (same && !ended && managed.sandbox.plumbed && pod->metadata.deletionTimestamp &&
      pod->metadata.deletionGracePeriodSeconds.value_or(0) > 0) {
    managed.object = pod;
    return drain_pod(key);
  }
  if (ended && same) managed.object = pod;
  if (leaves || !same || !managed.sandbox.plumbed) return stop_pod(key);
  const bool begins = !managed.object;
  managed.object = pod;
  if (begins) return run_pod(key);
  publish(key);
}

void NodeLife::check_responder() {
  char byte;
  bool gone = responder_ && ::recv(responder_->socket().get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
  if (gone) responder_.reset();
  if (!responder_) {
    if (auto connected = ResponderClient::connect(paths_.responder_socket())) {
      responder_.emplace(std::move(*connected));
      // A new responder holds nothing, an old one what it held: telling it everything is right for both.
      std::set<Listener> web = {
          {80, net::Protocol::kTcp}, {443, net::Protocol::kTcp}, {8080, net::Protocol::kTcp}, {7, net::Protocol::kUdp}};
      (void)responder_->set({"outside", "outside", "web", "outside", paths_.outside_netns(), web});
      for (auto& [key, managed] : pods_)
        if (managed->stage == Stage::kRunning && managed->object) send_listeners(*managed);
    }
  }
  responder_timer_.expires_after(kResponderPeriod);
  responder_timer_.async_wait([this](boost::system::error_code error) {
    if (!error) check_responder();
  });
}

bool NodeLife::send_listeners(Managed& managed) {
  if (!responder_) return false;
  auto errors = responder_->set({managed.sandbox.uid, managed.sandbox.pod.namespace_, managed.sandbox.pod.name,
                                 managed.sandbox.node, managed.sandbox.netns, managed.listeners});
  if (!errors) {
    log::warn("{}", errors.error().message);
    responder_.reset();
    return false;
  }
  managed.listener_errors.clear();
  for (const std::string& sentence : *errors)
    managed.listener_errors += (managed.listener_errors.empty() ? "" : "; ") + sentence;
  return true;
}

}  // namespace carrick::lab
