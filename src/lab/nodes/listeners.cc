#include "lab/nodes/listeners.h"

#include "desired/listeners/listeners.h"

namespace carrick::lab {

std::set<Listener> listeners_of(const k8s::Pod& pod, const k8s::Snapshot& snapshot) {
  // The table of a cluster of this pod and its namespace's Services: its row depends on nothing else.
  k8s::Snapshot part;
  k8s::NamespacedName key = pod.metadata.key();
  part.pods.emplace(key, std::make_shared<const k8s::Pod>(pod));
  for (auto it = snapshot.services.lower_bound({key.namespace_, ""});
       it != snapshot.services.end() && it->first.namespace_ == key.namespace_; ++it)
    part.services.emplace(it->first, it->second);
  std::set<Listener> out;
  const desired::ListenerTable table = desired::compile_listeners(part);
  auto rows = table.find(key);  // none: the pod is finished
  if (rows == table.end()) return out;
  for (const desired::Listener& listener : rows->second) out.insert({listener.port, listener.protocol});
  return out;
}

}  // namespace carrick::lab
