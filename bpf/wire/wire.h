/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the wire structs: fixed widths, no hidden padding (hash keys are compared byte by byte, so pads are named
 * and zero), 16-byte addresses with IPv4 as v4-mapped IPv6 (RFC 4291 2.5.5.2), names ending in _be in network byte
 * order. */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
#define WIRE_ASSERT(condition) static_assert(condition, #condition)
#else
#define WIRE_ASSERT(condition) _Static_assert(condition, #condition)
#endif

/* Bumped when a pinned map or its meaning changes incompatibly: the agent then starts with new maps. */
#define WIRE_VERSION 1

struct wire_address {
  union {
    __u8 bytes[16];
    __u32 words[4]; /* compared and copied by words */
  };
};
WIRE_ASSERT(sizeof(struct wire_address) == 16);

/* Attach points, as drop events, counters and flow keys name them. */
enum wire_hook {
  HOOK_FROM_POD = 0, /* clsact ingress, host end of a pod's veth */
  HOOK_TO_POD = 1,   /* clsact egress there: packets from the node's stack */
  HOOK_FROM_NET = 2, /* tcx ingress of uplink and tunnel */
  HOOK_TO_NET = 3,   /* tcx egress of uplink and tunnel: packets from the node's stack */
  HOOK_SOCKET = 4,   /* cgroup hooks */
  HOOK_COUNT = 5,
};

#define HOOK_WORDS {"from-pod", "to-pod", "from-net", "to-net", "socket"}
