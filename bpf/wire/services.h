/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/wire.h"

enum frontend_scope { SCOPE_INTERNAL = 0, SCOPE_EXTERNAL = 1, SCOPE_LOOPBACK = 2 }; /* desired::FrontendScope */

/* Hash frontends. With port and protocol 0: the address is a ClusterIP, so what has no row of its own is refused. */
struct frontend_key {
  struct wire_address address;
  __be16 port_be;
  __u8 protocol;
  __u8 scope;
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct frontend_key) == 24);

enum frontend_flags {
  FRONTEND_DROP_WHEN_EMPTY = 1,
  FRONTEND_SNAT = 2,
};

/* `set` names a list of backends by its content: a changed list gets a new name, is written whole, and comes into force
 * by the one write of this row. No packet ever sees half of a change. */
struct frontend_value {
  __u64 service_id;
  __u64 set;
  __u64 sources; /* name of the list of clients in `sources`, by its content as well; 0: everybody */
  __u64 table;   /* of the consistent choice (wire/choice.h); 0: choose without */
  __u32 count;   /* 0: refuse, or drop with FRONTEND_DROP_WHEN_EMPTY */
  __u32 affinity_seconds;
  __u32 flags; /* enum frontend_flags */
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct frontend_value) == 48);

/* LPM sources: a list of clients and an address -> __u32 1. The list is never cut short, so no prefix of one family
 * speaks for the other: a list is of one family. */
struct source_lpm_key {
  __u32 length; /* SOURCE_LIST_BITS + bits of the 16-byte form */
  __u32 list[2];
  struct wire_address address;
};
#define SOURCE_LIST_BITS 64
WIRE_ASSERT(sizeof(struct source_lpm_key) == 28);

/* Hash backends: slots 0 .. count-1. */
struct backend_key {
  __u64 set;
  __u32 slot;
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct backend_key) == 16);

struct backend_value {
  struct wire_address address;
  __be16 port_be;
  __u16 flags; /* BACKEND_LOCAL */
  __u32 pad0;
};
#define BACKEND_LOCAL 1
WIRE_ASSERT(sizeof(struct backend_value) == 24);

/* Hash members: is this address still in the list? -> __u32 slot. Only of lists longer than FEW_BACKENDS; a shorter one
 * is looked through. Or MEMBER_LISTED: no backend, but an endpoint of the service all the same (not ready, or of
 * another node); those stand here with NODE_RESET_REMOVED, whatever the length. */
#define FEW_BACKENDS 16
#define MEMBER_LISTED 0xffffffffu
struct member_key {
  __u64 set;
  struct wire_address address;
  __be16 port_be;
  __u16 pad0;
  __u32 pad1;
};
WIRE_ASSERT(sizeof(struct member_key) == 32);

/* LRU affinity. client: the address, or with `by_netns` the cookie of the network namespace in the first 8 bytes. */
struct affinity_key {
  struct wire_address client;
  __u64 service_id;
  __u32 by_netns;
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct affinity_key) == 32);

struct affinity_value {
  struct wire_address address;
  __be16 port_be;
  __u16 pad0;
  __u32 seen; /* seconds of the boot clock */
};
WIRE_ASSERT(sizeof(struct affinity_value) == 24);

/* LRU hits: how often an endpoint was chosen -> __u64. What was chosen least lately is forgotten first. */
struct hit_key {
  __u64 service_id;
  struct wire_address backend;
  __be16 port_be;
  __u16 pad0;
  __u32 pad1;
};
WIRE_ASSERT(sizeof(struct hit_key) == 32);

/* LRU sockets: what a connected or sending socket was pointed at, so that recvmsg and getpeername name the frontend. */
struct socket_key {
  __u64 cookie;
  struct wire_address backend;
  __be16 port_be;
  __u16 pad0;
  __u32 pad1;
};
WIRE_ASSERT(sizeof(struct socket_key) == 32);

struct socket_value {
  struct wire_address frontend;
  __be16 port_be;
  __u16 protocol; /* 0: not known */
  __u32 service;  /* low half of the service_id */
};
WIRE_ASSERT(sizeof(struct socket_value) == 24);
