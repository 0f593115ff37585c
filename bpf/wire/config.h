/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/wire.h"

/* The uplink is one end of a veth pair that nobody shapes or queues on: packets for the network are handed to its other
 * end at once. A node that is itself a container or a namespace has such an uplink. */
#define NODE_UPLINK_PEER 1
/* Connections from outside go on to the backend's node as they came, through the tunnel, and that node answers the
 * client itself (direct server return). */
#define NODE_DSR 2
/* Pods of other nodes are reached by the network's own routes: the tunnel is there for NODE_DSR alone. */
#define NODE_NATIVE_ROUTING 4
/* TCP connections to endpoints that are listed nowhere any more are reset; else they keep them (SVC-D18). */
#define NODE_RESET_REMOVED 8

/* One row. Absent node address of a family: all zero. */
struct node_config {
  __u32 epoch;           /* of the tables a flow's judgement rests on; see wire/flows.h */
  __u32 uplink_ifindex;  /* 0: there is none, nothing leaves the node */
  __u32 overlay_ifindex; /* collect-metadata vxlan device; 0: there is none */
  __u32 vni;
  struct wire_address address4, address6; /* of the node, for masquerading and hairpins */
  __u16 nat_first, nat_last;              /* host order, inclusive; outside ip_local_port_range */
  __u32 flags;                            /* NODE_* */
  __u64 netns_cookie;                     /* of the node's own network namespace; 0: not known */
};
WIRE_ASSERT(sizeof(struct node_config) == 64);
