#pragma once

#include "base/result.h"
#include "lab/config.h"
#include "lab/host/paths.h"

// The lab's underlay: a router (the calling thread's network namespace), a namespace for each node and one for the
// outside world, joined by veth pairs. No ARP or ND is spoken: every neighbour is a permanent entry, because the table
// of learnt ones is one for the whole machine (1024 entries). No route leads out of it.
namespace carrick::lab {

// The namespaces become files below paths.netns_dir(). In native routing the fabric also knows every pod CIDR, as a
// cloud's route controller would.
Result<void> build_fabric(const LabConfig& config, const LabPaths& paths);

}  // namespace carrick::lab
