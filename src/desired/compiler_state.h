#pragma once

#include <optional>

#include "desired/desired.h"
#include "desired/names/service_names.h"
#include "desired/pods/identities.h"
#include "desired/pods/peer_index.h"
#include "desired/policy/rules.h"

// Inside of Compiler: for each table, what lets one changed object touch only its own rows. compile() is the definition
// and knows nothing of this; the property test in compiler_test.cc holds the two together.
namespace carrick::desired {

using Keys = std::set<k8s::NamespacedName>;

// Numbers of the contents in use. Equal to assign_identities() of the whole set after every change.
class IdentityNumbers {
 public:
  // True when the set of contents changed.
  bool add(const std::string& content);
  bool remove(const std::string& content);
  void settle();  // after a round of changes
  Identity of(const std::string& content) const { return numbers_.at(content); }
  bool renumbered() const {
    return renumbered_;
  }  // by the last settle(): other contents than those added may have changed

 private:
  std::map<std::string, int> uses_;
  std::map<Identity, int> preferred_;  // contents that hash to it
  int collisions_ = 0;
  bool was_colliding_ = false, renumbered_ = false;
  std::map<std::string, Identity> numbers_;
};

struct NodeFacts {
  std::vector<net::IpAddress> internal, every;
  std::vector<net::Prefix> cidrs;
  std::string zone;
  k8s::StringMap labels;
  bool operator==(const NodeFacts&) const = default;
};

struct Compiler::State {
  // What of the input changed in a way that matters, found at the start of a round.
  struct Round {
    const k8s::Snapshot& snapshot;
    const NodeView& node;
    Keys pods, services;
    bool nodes = false, namespaces = false, policies = false, local_pods = false;
    bool service_namespaces = false;  // the set of those that hold a Service
    bool own_zone = false;            // zone of this node
  };

  void run(const k8s::Snapshot& snapshot, const k8s::ChangeSet& changes, const NodeView& node);

  void note_nodes(Round& round, const Keys& changed);
  void note_slices(Round& round, const Keys& changed);
  void update_identities(Round& round);
  void update_policy(Round& round);
  void update_peers(Round& round);
  void update_services(Round& round);
  void update_names(Round& round);

  Tables tables;
  k8s::Snapshot before;  // what the tables were computed from
  NodeView node;
  std::map<std::string, NodeFacts> nodes;

  // pods and policy
  PolicyInterest interest;
  std::map<k8s::NamespacedName, std::string> contents;
  IdentityNumbers numbers;
  IdentityTable identities;
  Keys bound_here;
  bool classes_changed = false, pod_objects_changed = false;
  Keys renumbered;  // pods whose identity changed in this round
  PolicyModel model;
  std::set<Identity> subjects;
  std::optional<PeerIndex> peers;

  // services
  struct ServiceState {
    std::vector<std::string> slices;  // names, sorted
    std::vector<FrontendTable::Entry> frontends;
    std::vector<NameRows::Entry> names;
    SharedText own_name;
    ReverseNames reverse;
    std::vector<net::IpAddress> endpoints;  // that have names in its own
    bool exists = false;                    // false: slices whose Service is not there
  };
  std::map<k8s::NamespacedName, ServiceState> services;
  std::map<FrontendKey, Keys> contested;  // Services that claim a key which another one has
  FrontendTable host_ports;
  std::map<k8s::NamespacedName, std::pair<uint16_t, HealthCheckRow>> health_checks;  // few Services have one
  SliceList slices(const k8s::Snapshot& snapshot, const k8s::NamespacedName& service) const;
  void set_frontends(const k8s::NamespacedName& service, ServiceState& state, const FrontendTable& fresh);
  void claim(const FrontendTable::Entry& entry, const k8s::NamespacedName& service);
  void give_up(const FrontendKey& key, const k8s::NamespacedName& service);
  void update_host_ports();
  void set_findings(const k8s::NamespacedName& service, Findings fresh);
  void set_health_check(const k8s::NamespacedName& service, std::optional<std::pair<uint16_t, HealthCheckRow>> fresh);

  // names
  std::map<std::string, size_t> services_in;  // namespace -> how many
  NameRows zone_rows;
  std::map<k8s::NamespacedName, std::vector<net::IpAddress>> pod_addresses;
  std::map<net::IpAddress, Keys> pod_names;
  void set_service_names(ServiceState& state, ServiceNames fresh);
  void set_resolver(const net::IpAddress& address, const std::optional<PodResolver>& fresh);
  void set_pod_name(const k8s::NamespacedName& key, const k8s::Snapshot& snapshot);
};

}  // namespace carrick::desired
