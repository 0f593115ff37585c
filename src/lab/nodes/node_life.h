#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <deque>
#include <map>
#include <memory>
#include <set>

#include "base/fd.h"
#include "k8s/snapshot.h"
#include "lab/config.h"
#include "lab/nodes/cni.h"
#include "lab/nodes/containers.h"
#include "lab/nodes/documents.h"
#include "lab/nodes/pod_streams.h"
#include "lab/nodes/probes.h"
#include "lab/nodes/sandbox.h"
#include "lab/responder/responder.h"
#include "watch/watch.h"

namespace carrick::lab {

// The kubelets of all nodes of a lab, on one strand. For each pod bound to a node: sandbox, CNI ADD, listening sockets
// or processes, readiness, status; for each pod that goes: DEL, then the final delete. Every step looks at the newest
// snapshot, so an event that is missed or comes twice changes nothing.
class NodeLife {
 public:
  NodeLife(boost::asio::io_context& io, LabConfig config, watch::Credentials credentials);
  ~NodeLife();
  // Takes over what an earlier process left, registers the nodes and begins to watch.
  Result<void> start();
  // For PodStreams.
  Result<RunningContainer> find_container(const apiserver::NodeCall& call);

 private:
  using Key = k8s::NamespacedName;
  // kEnded: Succeeded or Failed; its network is released, its logs stay until it is deleted.
  enum class Stage { kQueued, kStarting, kRunning, kDraining, kStopping, kEnded };
  struct Managed {
    Sandbox sandbox;
    Stage stage = Stage::kQueued;
    std::shared_ptr<const k8s::Pod> object;
    PodState state;
    std::set<Listener> listeners;
    std::string listener_errors;
    std::unique_ptr<Containers> containers;
    std::unique_ptr<Probes> probes;
    struct Asked {  // by its probes, since it has started the last time
      LifeTime since{};
      bool running = false, passes = false;
      std::string failure;
    };
    std::vector<Asked> asked;
    bool adopted = false;   // an earlier lab-nodes had started it
    std::string published;  // the patch that the API server has
    bool publishing = false;
    int failures = 0;
    std::unique_ptr<boost::asio::steady_timer> retry;
    std::unique_ptr<boost::asio::steady_timer> drain;
    std::chrono::steady_clock::time_point drain_began, drain_end;
  };
  struct Node {
    NodePlan plan;
    Fd netns;
    bool registered = false;
    std::string not_ready_because = "the agent is starting", published = "?";
    std::unique_ptr<boost::asio::steady_timer> timer;
  };

  // nodes
  void register_node(Node& node);
  void check_node(Node& node);
  // snapshots
  void on_snapshot(std::shared_ptr<const k8s::Snapshot> snapshot, const k8s::ChangeSet& changes);
  void reconcile(const Key& key);
  std::vector<net::IpAddress> cluster_dns() const;
  std::shared_ptr<const k8s::Pod> wanted(const Key& key) const;  // null: not there, not bound
  // a pod's way up
  void start_queued();
  void start_pod(const Key& key);
  Result<void> make_sandbox(Managed& managed);
  void sandbox_added(const Key& key, const std::string& uid, Result<std::vector<std::string>> addresses);
  void run_pod(const Key& key);
  void refresh_listeners(Managed& managed);
  void make_probe(const Key& key, const std::string& uid, size_t index, const k8s::Probe& probe,
                  std::function<void(std::string)> done);
  void probe_judged(const Key& key, const std::string& uid, size_t index, ProbeKind kind, bool passes,
                    const std::string& sentence);
  void complete_material(const Managed& managed, Material& material) const;
  void describe_containers(Managed& managed);
  std::chrono::milliseconds hold_init(std::chrono::steady_clock::time_point since) const;
  void containers_changed(const Key& key, const std::string& uid);
  void publish(const Key& key);
  // and down
  void drain_pod(const Key& key);
  void go_on_draining(const Key& key, const std::string& uid);
  void stop_pod(const Key& key);
  void release_sandbox(const Key& key, const std::string& uid);
  static bool has_ended(const k8s::Pod& pod) { return pod.status.phase == "Succeeded" || pod.status.phase == "Failed"; }
  void forget_pod(const Key& key);
  void delete_object(const k8s::Pod& pod);
  // the responder
  bool send_listeners(Managed& managed);
  void check_responder();
  Managed* find(const Key& key, const std::string& uid);
  CniAttachment attachment_of(Managed& managed);

  boost::asio::io_context& io_;
  LabConfig config_;
  LabPaths paths_;
  watch::Client client_;
  watch::SnapshotWatcher watcher_;
  Cni cni_;
  std::optional<ResponderClient> responder_;
  boost::asio::steady_timer responder_timer_;
  std::map<std::string, std::unique_ptr<Node>> nodes_;
  std::shared_ptr<const k8s::Snapshot> snapshot_;
  std::map<Key, std::unique_ptr<Managed>> pods_;
  std::deque<Key> queue_;
  std::chrono::steady_clock::time_point last_change_;  // of the snapshot
  int starting_ = 0;
};

}  // namespace carrick::lab
