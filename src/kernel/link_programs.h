#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"

// BPF programs on a network link of the calling thread's namespace. By tcx (Linux 6.6), which reaches the program
// without the packet classifier of tc, or by a clsact qdisc. Either way the program outlives the
// process that attached it and goes with the link.
namespace carrick::kernel {

enum class Direction : uint8_t { kIngress, kEgress };

// kLasting: a link that comes once, tcx where the kernel has it. kPassing: a pod's link, always clsact, for attaching
// by tcx waits for an RCU grace period (some 15 ms) under the lock of all network devices: 1,000 pods took 36 s, not 9.
enum class LinkLife : uint8_t { kLasting, kPassing };

// A program of the same name is replaced in one step: no packet in between goes unjudged. Programs of others stay.
Result<void> attach_to_link(uint32_t ifindex, Direction direction, int program_fd, const std::string& name,
                            LinkLife life);

// As well as what attach_to_link put on a pod's link: by tcx, which comes first and ends a packet's way through tc, so
// the other is reached no more. For links that carry much: 15 ms of that lock buy some 25 ns a packet. Replaces the
// program of that name. Success where the kernel has no tcx.
Result<void> attach_first(uint32_t ifindex, Direction direction, int program_fd, const std::string& name);

// Is a program of that name there by attach_first?
bool has_first(uint32_t ifindex, Direction direction, const std::string& name);

// Removes the program of that name. A link or program that is not there is success.
Result<void> detach_from_link(uint32_t ifindex, Direction direction, const std::string& name);

// Name of our program there, "" when there is none. `name`: the one looked for, or "" for the first.
std::string program_on_link(uint32_t ifindex, Direction direction, const std::string& name = "");

// Can this kernel attach by tcx? Asked once by attaching to nothing.
bool has_tcx();

}  // namespace carrick::kernel
