/* SPDX-License-Identifier: Apache-2.0 */
/* LRU flows: the decision about a connection, made once. Two entries a connection, one for each direction, each keyed
 * by the tuple as that direction's hook sees it and carrying the rewrite and the delivery: one lookup a packet.
 *
 * An entry of the connection's own direction that was made at an older node_config.epoch is judged again at its next
 * packet (docs/adr/0005); replies are not. */
#pragma once

#include "wire/wire.h"

struct wire_tuple {
  struct wire_address src, dst;
  __be16 sport_be, dport_be; /* ICMP echo: the identifier stands as sport of requests and dport of replies */
};
WIRE_ASSERT(sizeof(struct wire_tuple) == 36);

struct flow_key {
  struct wire_tuple tuple;
  __u8 protocol;
  __u8 hook; /* enum wire_hook */
  __u16 pad0;
  __u32 ifindex; /* of the pod's host end; 0 for the network hooks */
};
WIRE_ASSERT(sizeof(struct flow_key) == 44);

enum flow_delivery {
  DELIVER_STACK = 0,   /* on with the node's own stack */
  DELIVER_POD = 1,     /* redirect_peer to ifindex */
  DELIVER_NETWORK = 2, /* to the uplink */
  DELIVER_TUNNEL = 3,  /* to `node` through the overlay */
};

enum flow_flags {
  FLOW_REPLY = 1,      /* the other direction opened the connection */
  FLOW_REWRITE = 2,    /* tuple differs from the key's */
  FLOW_SEEN_REPLY = 4, /* the other end has answered */
  FLOW_FIN = 8,        /* this direction is closed */
  FLOW_FIN_PEER = 16,  /* the other direction is closed */
  FLOW_SERVICE = 32,   /* destination was translated by service_id */
  FLOW_SNAT = 64,      /* source was translated */
  FLOW_NEXT_HOP = 128, /* DELIVER_NETWORK: ifindex and MACs are those of the next hop, as of last_seen */
  FLOW_RESET = 256,    /* closed in both directions by RST, and nothing has come since */
  FLOW_DSR = 512,      /* untranslated to `node`, which translates and answers: there is no entry of the replies */
};

struct flow_value {
  struct wire_tuple tuple; /* as it leaves */
  __u32 epoch;
  __u32 last_seen; /* flow clock */
  __u32 ifindex;   /* DELIVER_POD; DELIVER_NETWORK with FLOW_NEXT_HOP */
  __u32 reverse_ifindex;
  __u8 reverse_hook;           /* key of the other entry = tuple swapped, this hook, this ifindex */
  __u8 delivery;               /* enum flow_delivery */
  __u16 flags;                 /* enum flow_flags */
  __u8 dst_mac[6], src_mac[6]; /* of the same */
  struct wire_address node;    /* DELIVER_TUNNEL */
  __u32 rule;                  /* policy_value.rule that let it through, 0 when not isolated */
  __u64 service_id;
  __u32 src_identity, dst_identity;
};
WIRE_ASSERT(sizeof(struct flow_value) == 104);

/* LRU fragments: ports of a datagram's first fragment for those that follow. */
struct fragment_key {
  struct wire_address src, dst;
  __u32 id; /* IPv4 identification or IPv6 fragment identification, network order */
  __u32 ifindex;
  __u8 protocol;
  __u8 pad0[3];
};
WIRE_ASSERT(sizeof(struct fragment_key) == 44);

struct fragment_value {
  __be16 sport_be, dport_be;
};

/* The flow clock counts units of 2^n ticks of the kernel, the n nearest to a second (HZ 250, 300 and 1000: 1.02, 0.85
 * and 1.02 s): a shift, not a division, for every packet. Units without a packet after which an entry no longer counts:
 */
#define FLOW_TIMEOUT_TCP 8000
#define FLOW_TIMEOUT_TCP_OPENING 120
#define FLOW_TIMEOUT_CLOSING 10
#define FLOW_TIMEOUT_RESET 2
#define FLOW_TIMEOUT_UDP 60
#define FLOW_TIMEOUT_UDP_STREAM 180
#define FLOW_TIMEOUT_OTHER 30

/* Context of the program `sweep`: takes out connections whose time is over in both directions. */
struct flow_sweep {
  __u32 living, removed; /* entries */
};
