#pragma once

#include "explain/judge.h"

namespace carrick::explain {

// Whether a pod learns a name of the cluster: its resolv.conf's servers in order (DNS-C1, DNS-C2); silence goes on to
// the next one, any answer ends it.
struct NameAccess {
  Verdict verdict = Verdict::kAllow;  // kRefuse: who answers knows no name of the cluster; kDeny: nobody answers
  uint8_t possible = 0;               // bit 1 << verdict
  std::vector<desired::Owner> owners;
  Decision decision;  // of stage "name"; empty sentence with kAllow
};
NameAccess name_access(const Judge& judge, const PodPlace& pod);

}  // namespace carrick::explain
