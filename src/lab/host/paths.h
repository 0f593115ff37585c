#pragma once

#include <string>

// Where a lab keeps things. The run folder is on the machine and outlives the lab's processes; everything under state()
// is a tmpfs of the lab's own mount namespace: from the machine it is seen through /proc/<init>/root.
namespace carrick::lab {

inline constexpr const char* kLabsDir = "/run/carrick/labs";

struct LabPaths {
  std::string name;
  std::string prefix;  // "" inside the lab, "/proc/<init>/root" on the machine, for what lies under state()

  std::string run() const { return std::string(kLabsDir) + "/" + name; }
  std::string lock() const { return std::string(kLabsDir) + "/" + name + ".lock"; }
  std::string record() const { return run() + "/lab.json"; }
  std::string config() const { return run() + "/config.json"; }
  std::string control() const { return run() + "/control.sock"; }
  std::string kubeconfig() const { return run() + "/kubeconfig"; }  // for users of the machine: https://127.0.0.1:PORT
  std::string log(const std::string& process) const { return run() + "/logs/" + process + ".log"; }

  std::string state_mount() const { return run() + "/state"; }
  std::string state() const { return prefix + state_mount(); }
  std::string inner_kubeconfig() const {
    return state() + "/kubeconfig";
  }  // for the lab's own processes: the fabric address
  std::string server_dir() const { return state() + "/server"; }
  std::string netns_dir() const { return state() + "/netns"; }
  std::string node_netns(const std::string& node) const { return netns_dir() + "/" + node; }
  std::string outside_netns() const { return netns_dir() + "/outside"; }
  std::string responder_socket() const { return state() + "/responder.sock"; }
  // This program as the processes of pods may see it: where it cannot be written to.
  std::string program() const { return state() + "/bin/carrick"; }
  std::string cni_bin() const { return state() + "/cni/bin"; }
  std::string cni_results() const { return state() + "/cni/results"; }
  std::string node(const std::string& node) const { return state() + "/nodes/" + node; }
  std::string node_bpffs(const std::string& name_) const { return node(name_) + "/bpf"; }
  std::string node_cni_conf(const std::string& name_) const { return node(name_) + "/cni/net.d"; }
  // carrick-cni and status questions reach the agent here.
  std::string node_cni_socket(const std::string& name_) const { return node(name_) + "/cni.sock"; }
  // The API server's calls to the node: exec, logs, connections into pods.
  std::string node_streams_socket(const std::string& name_) const { return node(name_) + "/streams.sock"; }
  std::string pods_dir() const { return state() + "/pods"; }
  // '_' is in no Kubernetes name, so the pair is unambiguous.
  std::string pod(const std::string& namespace_, const std::string& pod_) const {
    return pods_dir() + "/" + namespace_ + "_" + pod_;
  }
};

// cgroup folders of a lab below the cgroup v2 mount: <mount>/carrick/<lab>/<node>.
inline std::string lab_cgroup(const std::string& mount, const std::string& lab) { return mount + "/carrick/" + lab; }
inline std::string node_cgroup(const std::string& mount, const std::string& lab, const std::string& node) {
  return lab_cgroup(mount, lab) + "/" + node;
}

}  // namespace carrick::lab
