#include <algorithm>

#include "desired/compiler_state.h"
#include "desired/object_facts.h"

namespace carrick::desired {
namespace {

template <class T>
void add_keys(Keys& out, const k8s::ObjectMap<T>& objects) {
  for (const auto& [key, object] : objects) out.insert(key);
}

k8s::ChangeSet everything_in(const k8s::Snapshot& snapshot) {
  k8s::ChangeSet out;
  add_keys(out.namespaces, snapshot.namespaces);
  add_keys(out.nodes, snapshot.nodes);
  add_keys(out.pods, snapshot.pods);
  add_keys(out.services, snapshot.services);
  add_keys(out.endpointslices, snapshot.endpointslices);
  add_keys(out.networkpolicies, snapshot.networkpolicies);
  add_keys(out.clusternetworkpolicies, snapshot.clusternetworkpolicies);
  out.everything = true;
  return out;
}

bool same_but_pods(const NodeView& a, const NodeView& b) {
  return a.node_name == b.node_name && a.addresses == b.addresses && a.routing == b.routing &&
         a.dns_addresses == b.dns_addresses && a.dns_service == b.dns_service && a.cluster_domain == b.cluster_domain &&
         a.service_cidrs == b.service_cidrs && a.external_ips == b.external_ips && a.reset_removed == b.reset_removed;
}

}  // namespace

Compiler::Compiler() = default;
Compiler::~Compiler() = default;
Compiler::Compiler(Compiler&&) noexcept = default;
Compiler& Compiler::operator=(Compiler&&) noexcept = default;

const Tables& Compiler::apply(const k8s::Snapshot& snapshot, const k8s::ChangeSet& changes, const NodeView& node) {
  if (!state_ || changes.everything || !same_but_pods(state_->node, node)) {
    state_ = std::make_unique<State>();
    state_->run(snapshot, everything_in(snapshot), node);
  } else {
    state_->run(snapshot, changes, node);
  }
  return state_->tables;
}

void Compiler::State::run(const k8s::Snapshot& snapshot, const k8s::ChangeSet& changes, const NodeView& view) {
  Round round{snapshot, view, changes.pods, changes.services};
  round.namespaces = changes.everything || !changes.namespaces.empty();
  round.policies = changes.everything || !changes.networkpolicies.empty() || !changes.clusternetworkpolicies.empty();
  round.local_pods = changes.everything || view.pods != node.pods;
  node = view;
  note_nodes(round, changes.nodes);
  round.nodes |= changes.everything;
  note_slices(round, changes.endpointslices);
  if (round.own_zone) add_keys(round.services, snapshot.services);

  update_identities(round);
  update_policy(round);
  tables.pods = compile_pods(snapshot, node, identities, tables.policy);
  update_peers(round);
  if (round.nodes) tables.routes = compile_routes(snapshot, node);
  update_services(round);
  update_names(round);
  before = snapshot;
  tables.revision = snapshot.revision;
  tables.prune = snapshot.synced;
}

// Nodes report often and change seldom.
void Compiler::State::note_nodes(Round& round, const Keys& changed) {
  for (const auto& key : changed) {
    auto object = round.snapshot.nodes.find(key);
    auto known = nodes.find(key.name);
    NodeFacts facts;
    if (object != round.snapshot.nodes.end())
      facts = {internal_ips(*object->second), every_ip(*object->second), pod_cidrs(*object->second),
               zone_of(*object->second), object->second->metadata.labels};
    NodeFacts old = known == nodes.end() ? NodeFacts() : known->second;
    if (facts == old && (object != round.snapshot.nodes.end()) == (known != nodes.end())) continue;
    round.nodes = true;
    if (key.name == node.node_name && facts.zone != old.zone) round.own_zone = true;
    if (object == round.snapshot.nodes.end())
      nodes.erase(key.name);
    else
      nodes[key.name] = std::move(facts);
  }
}

bool IdentityNumbers::add(const std::string& content) {
  if (uses_[content]++ > 0) return false;
  if (++preferred_[preferred_identity(content)] > 1) ++collisions_;
  numbers_[content] = preferred_identity(content);
  return true;
}

bool IdentityNumbers::remove(const std::string& content) {
  auto use = uses_.find(content);
  if (--use->second > 0) return false;
  uses_.erase(use);
  auto preferred = preferred_.find(preferred_identity(content));
  if (--preferred->second > 0)
    --collisions_;
  else
    preferred_.erase(preferred);
  numbers_.erase(content);
  return true;
}

void IdentityNumbers::settle() {
  renumbered_ = collisions_ > 0 || was_colliding_;
  was_colliding_ = collisions_ > 0;
  if (!renumbered_) return;
  std::set<std::string> all;
  for (const auto& [content, uses] : uses_) all.insert(content);
  numbers_ = assign_identities(all);
}

}  // namespace carrick::desired
