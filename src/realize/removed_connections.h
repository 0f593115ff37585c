#pragma once

#include <functional>

#include "kernel/connected_sockets.h"
#include "kernel/programs.h"

namespace carrick::realize {

// Calls its argument once in every network namespace that may hold sockets led by connect().
using EachNamespace = std::function<void(const std::function<void()>& look)>;

// Packets of a TCP connection that connect() led to its endpoint carry no translation, so nobody can end it on its way
// (bpf/lib/reset.h does for the others). Where the endpoint is removed its socket is aborted: the owner gets
// ECONNABORTED, the endpoint a RST. Removed as for packets: none of the Service's endpoints, whatever their conditions,
// or, where the Service itself is gone, an address that no pod has. No namespace is looked into unless there is such a
// socket. Gives how many were ended.
Result<size_t> end_removed_connections(kernel::Programs& programs, kernel::Sockets& sockets, const EachNamespace& each);

}  // namespace carrick::realize
