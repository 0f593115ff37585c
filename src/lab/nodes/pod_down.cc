#include <boost/asio/post.hpp>

#include "base/log.h"
#include "kernel/netns.h"
#include "lab/host/files.h"
#include "lab/nodes/node_life.h"

// NodeLife: a pod's way out.
namespace carrick::lab {
namespace {

constexpr auto kRetry = std::chrono::milliseconds(500);
constexpr auto kLongestRetry = std::chrono::seconds(30);
// A responder plays a server that ends in order: it goes on answering until no client has come for kQuiet, for they
// need a moment to hear that the endpoint goes.
constexpr auto kQuiet = std::chrono::milliseconds(200);
constexpr auto kDrainPeriod = std::chrono::milliseconds(50);

}  // namespace

// SIGTERM to its processes; then at most the grace period.
void NodeLife::drain_pod(const Key& key) {
  Managed& managed = *pods_.at(key);
  managed.stage = Stage::kDraining;
  managed.drain_began = std::chrono::steady_clock::now();
  managed.drain_end = managed.drain_began + std::chrono::seconds(*managed.object->metadata.deletionGracePeriodSeconds);
  managed.probes.reset();
  if (managed.containers) managed.containers->terminate();
  go_on_draining(key, managed.sandbox.uid);
}

void NodeLife::go_on_draining(const Key& key, const std::string& uid) {
  Managed* managed = find(key, uid);
  if (!managed || managed->stage != Stage::kDraining) return;
  auto now = std::chrono::steady_clock::now();
  bool busy = managed->containers && managed->containers->any_running();
  if (!busy && !managed->listeners.empty() && responder_) {
    auto idle = responder_->idle(uid);
    if (!idle) responder_.reset();
    busy = idle && std::min<std::chrono::steady_clock::duration>(*idle, now - managed->drain_began) < kQuiet;
  }
  if (!busy || now >= managed->drain_end) return stop_pod(key);
  managed->drain = std::make_unique<boost::asio::steady_timer>(
      io_, std::min<std::chrono::steady_clock::duration>(kDrainPeriod, managed->drain_end - now));
  managed->drain->async_wait([this, key, uid](boost::system::error_code error) {
    if (!error) go_on_draining(key, uid);
  });
}

void NodeLife::stop_pod(const Key& key) {
  Managed& managed = *pods_.at(key);
  managed.stage = Stage::kStopping;
  managed.drain.reset();
  managed.probes.reset();
  managed.containers.reset();
  if (responder_)
    if (auto removed = responder_->remove(managed.sandbox.uid); !removed) responder_.reset();
  release_sandbox(key, managed.sandbox.uid);
}

// DEL until it succeeds (CNI-R8), then the namespace, then the object.
void NodeLife::release_sandbox(const Key& key, const std::string& uid) {
  Managed* managed = find(key, uid);
  if (!managed) return;
  auto ended = [this, key, uid](Result<void> deleted) {
    Managed* pod = find(key, uid);
    if (!pod) return;
    if (deleted && !pod->sandbox.host_network) deleted = kernel::delete_netns(pod->sandbox.netns);
    if (deleted) return forget_pod(key);
    log::warn("pod {}: {}", key.str(), deleted.error().message);
    auto pause =
        std::min<std::chrono::steady_clock::duration>(kRetry * (1 << std::min(pod->failures++, 6)), kLongestRetry);
    pod->retry = std::make_unique<boost::asio::steady_timer>(io_, pause);
    pod->retry->async_wait([this, key, uid](boost::system::error_code error) {
      if (!error) release_sandbox(key, uid);
    });
  };
  if (managed->sandbox.host_network || managed->sandbox.container_id.empty())
    boost::asio::post(io_, [ended] { ended({}); });
  else
    cni_.del(attachment_of(*managed), ended);
}

// Nothing of it is left on the node; of one that has ended by itself, the logs. A pod that goes is deleted from the API
// now; one that failed to start, or whose name a new pod has taken, begins again.
void NodeLife::forget_pod(const Key& key) {
  const auto ended = wanted(key);
  if (const auto it = pods_.find(key); ended && it != pods_.end() && it->second->stage == Stage::kStopping &&
                                       ended->metadata.uid == it->second->sandbox.uid && has_ended(*ended) &&
                                       !ended->metadata.deletionTimestamp) {
    it->second->stage = Stage::kEnded;
    it->second->object = ended;
    return;
  }
  auto node = pods_.extract(key);
  if (node.empty()) return;
  std::unique_ptr<Managed> old = std::move(node.mapped());
  if (auto removed = remove_tree(paths_.pod(key.namespace_, key.name)); !removed)
    log::warn("pod {}: {}", key.str(), removed.error().message);
  auto pod = wanted(key);
  if (pod && pod->metadata.uid == old->sandbox.uid && !pod->metadata.deletionTimestamp && old->failures > 0) {
    auto pause =
        std::min<std::chrono::steady_clock::duration>(kRetry * (1 << std::min(old->failures, 6)), kLongestRetry);
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, pause);
    timer->async_wait([this, key, timer, failures = old->failures](boost::system::error_code error) {
      if (error || pods_.contains(key)) return;
      reconcile(key);
      if (auto it = pods_.find(key); it != pods_.end()) it->second->failures = failures;
      start_queued();
    });
    return;
  }
  reconcile(key);
  start_queued();
}

void NodeLife::delete_object(const k8s::Pod& pod) {
  Key key = pod.metadata.key();
  boost::json::object options{{"apiVersion", "v1"},
                              {"kind", "DeleteOptions"},
                              {"gracePeriodSeconds", 0},
                              {"preconditions", boost::json::object{{"uid", pod.metadata.uid}}}};
  watch::HttpRequest request{.method = "DELETE",
                             .target = fmt::format("/api/v1/namespaces/{}/pods/{}", key.namespace_, key.name),
                             .body = boost::json::serialize(options)};
  client_.request(std::move(request), [this, key](Result<watch::HttpResponse> answer) {
    if (answer || answer.error().kind == ErrorKind::kNotFound || answer.error().kind == ErrorKind::kConflict) return;
    log::warn("delete pod {}: {}", key.str(), answer.error().message);
    auto timer = std::make_shared<boost::asio::steady_timer>(io_, kRetry);
    timer->async_wait([this, key, timer](boost::system::error_code error) {
      if (!error) reconcile(key);
    });
  });
}

}  // namespace carrick::lab
