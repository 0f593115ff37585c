#include "k8s/snapshot.h"

namespace carrick::k8s {

bool ChangeSet::empty() const {
  return !everything && namespaces.empty() && nodes.empty() && pods.empty() && services.empty() &&
         endpointslices.empty() && networkpolicies.empty();
}

void ChangeSet::merge(const ChangeSet& later) {
  everything |= later.everything;
  namespaces.insert(later.namespaces.begin(), later.namespaces.end());
  nodes.insert(later.nodes.begin(), later.nodes.end());
  pods.insert(later.pods.begin(), later.pods.end());
  services.insert(later.services.begin(), later.services.end());
  endpointslices.insert(later.endpointslices.begin(), later.endpointslices.end());
  networkpolicies.insert(later.networkpolicies.begin(), later.networkpolicies.end());
}

}  // namespace carrick::k8s
