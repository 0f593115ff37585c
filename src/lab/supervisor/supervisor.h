#pragma once

#include "base/result.h"
#include "lab/config.h"

namespace carrick::lab {

// Descriptors that `lab up` hands to the supervisor, at these numbers.
inline constexpr int kHostApiSocket = 3;  // listening on 127.0.0.1 of the machine
inline constexpr int kTether = 4;         // stream socket to `lab up`: see below
inline constexpr int kExecutable = 5;     // this program, whatever its path holds later

// PID 1 of a lab. It makes the lab's mounts, cgroup folders and fabric, starts the lab's processes, restarts those that
// end, and serves run()/control.sock. It runs in new pid, mount, ipc and network namespaces, the last being the fabric:
// so its end, however it comes, makes the kernel take everything back but cgroup folders and the run folder, which `lab
// down` removes.
//
// The tether ties it to `lab up`: it says {"ready":true} or {"error":"...","kind":n} there, and until `lab up` has
// answered "keep\n" the lab ends when the other side closes; so an `up` that is killed leaves nothing.
Result<void> run_supervisor(const LabConfig& config);

}  // namespace carrick::lab
