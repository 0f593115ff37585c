#pragma once

#include "kernel/connected_sockets.h"
#include "kernel/programs.h"

namespace carrick::realize {

// A process of the node whose UDP socket was pointed at a backend that its service no longer has would send into the
// void for as long as it likes: what is connected is never looked at again (SVC-D16). It is told, by an error, and
// connects anew. TCP is left alone (SVC-D18; see
// removed_connections.h). Gives how many were told.
Result<size_t> end_stale_sockets(kernel::Programs& programs, kernel::Sockets& sockets);

}  // namespace carrick::realize
