#pragma once

#include "cni/call.h"

namespace carrick::cni {

// The plugin `loopback` of every runtime's built-in network (CNI-R5): `lo` up, down or checked in the pod's namespace.
CniResultOf<boost::json::object> loopback(const Call& call, const NetConf& conf);

}  // namespace carrick::cni
