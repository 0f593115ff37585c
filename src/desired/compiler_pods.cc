#include "desired/compiler_state.h"
#include "desired/object_facts.h"
#include "desired/pods/local_pods.h"

namespace carrick::desired {

void Compiler::State::update_identities(Round& round) {
  const auto& pods = round.snapshot.pods;
  Keys changed = round.pods;
  if (round.policies) {
    if (PolicyInterest now = compile_interest(round.snapshot); now != interest) {
      interest = std::move(now);
      for (const auto& [key, pod] : pods) changed.insert(key);
    }
  }
  classes_changed = false;
  pod_objects_changed = !round.pods.empty();
  renumbered.clear();
  for (const auto& key : changed) {
    auto object = pods.find(key);
    const bool bound = object != pods.end() && object->second->spec.nodeName == node.node_name;
    if (bound)
      bound_here.insert(key);
    else
      bound_here.erase(key);
    std::optional<std::string> content;
    if (object != pods.end() && has_identity(*object->second)) content = identity_content(*object->second, interest);
    auto known = contents.find(key);
    if (known != contents.end() && content == known->second) continue;
    if (content) classes_changed |= numbers.add(*content);  // before remove: a content that only moves stays
    if (known != contents.end()) {
      classes_changed |= numbers.remove(known->second);
      contents.erase(known);
    }
    if (content)
      contents.emplace(key, std::move(*content));
    else
      identities.erase(key);
    renumbered.insert(key);
  }
  numbers.settle();
  if (numbers.renumbered())
    for (const auto& [key, content] : contents) renumbered.insert(key);
  for (const auto& key : renumbered)
    if (auto content = contents.find(key); content != contents.end()) identities[key] = numbers.of(content->second);
}

void Compiler::State::update_policy(Round& round) {
  // Identities stand for classes of pods; which pods are in a class does not matter to policy, unless their addresses
  // do.
  bool stale = round.policies || round.namespaces || classes_changed || numbers.renumbered() ||
               (model.needs_addresses && pod_objects_changed) || (model.needs_nodes && round.nodes);
  if (stale) model = resolve_policies(round.snapshot, identities);
  std::set<Identity> wanted{kThisNodeIdentity};
  auto want = [&](const k8s::NamespacedName& key) {
    if (auto id = identities.find(key); id != identities.end()) wanted.insert(id->second);
  };
  for (const auto& key : bound_here) want(key);
  for (const auto& [container, local] : node.pods)
    if (object_of(local, round.snapshot)) want(local.pod);
  if (!stale && wanted == subjects) return;
  subjects = std::move(wanted);
  tables.policy = rows_for(model.table, &subjects);
}

void Compiler::State::update_peers(Round& round) {
  const auto& pods = round.snapshot.pods;
  auto identity = [&](const k8s::NamespacedName& key) {
    auto id = identities.find(key);
    return id == identities.end() ? kNoIdentity : id->second;
  };
  if (round.nodes || !peers) {
    peers.emplace(round.snapshot, node);
    peers->set_local_pods(node, round.snapshot, identities);
    for (const auto& [key, pod] : pods) peers->set_pod(key, pod.get(), identity(key));
    tables.peers = peers->node_rows();
    for (const auto& address : peers->pod_addresses())
      tables.peers.insert_or_assign(net::Prefix::host(address), *peers->row(address));
    return;
  }
  Keys changed = round.pods;
  changed.insert(renumbered.begin(), renumbered.end());
  std::set<net::IpAddress> touched = peers->set_local_pods(node, round.snapshot, identities);
  for (const auto& key : changed) {
    auto object = pods.find(key);
    touched.merge(peers->set_pod(key, object == pods.end() ? nullptr : object->second.get(), identity(key)));
  }
  for (const auto& address : touched) {
    if (auto row = peers->row(address))
      tables.peers.insert_or_assign(net::Prefix::host(address), std::move(*row));
    else
      tables.peers.erase(net::Prefix::host(address));
  }
}

}  // namespace carrick::desired
