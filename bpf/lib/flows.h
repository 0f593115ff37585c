/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/drop.h"

/* log2 of the kernel's ticks in a unit of the flow clock; set before loading. */
const volatile __u32 flow_clock_shift = 8;

/* The verifier writes jiffies into the program: no call on the way of every packet. */
static __always_inline __u32 flow_clock(void) { return bpf_jiffies64() >> flow_clock_shift; }

static __always_inline __u32 flow_timeout(__u8 protocol, __u16 flags) {
  if (protocol == IPPROTO_TCP) {
    if ((flags & (FLOW_FIN | FLOW_FIN_PEER)) == (FLOW_FIN | FLOW_FIN_PEER))
      return flags & FLOW_RESET ? FLOW_TIMEOUT_RESET : FLOW_TIMEOUT_CLOSING;
    return flags & FLOW_SEEN_REPLY ? FLOW_TIMEOUT_TCP : FLOW_TIMEOUT_TCP_OPENING;
  }
  if (protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP)
    return flags & FLOW_SEEN_REPLY ? FLOW_TIMEOUT_UDP_STREAM : FLOW_TIMEOUT_UDP;
  return FLOW_TIMEOUT_OTHER;
}

static __always_inline int flow_expired(const struct flow_value *flow, __u8 protocol, __u32 now) {
  return (__s32)(now - flow->last_seen) > (__s32)flow_timeout(protocol, flow->flags);
}

/* A first packet, or one that nobody answered: judged again, which writes both entries again. LRU may have evicted the
 * one of the replies meanwhile, and then every further answer would be one of an unknown connection. */
static __always_inline int opens(const struct packet *p) {
  return p->key.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
}

/* A new connection on the tuple of one that is closing or gone. */
static __always_inline int flow_ended(const struct flow_value *flow, const struct packet *p, __u32 now) {
  if (flow_expired(flow, p->key.protocol, now)) return 1;
  return opens(p) && flow->flags & (FLOW_FIN | FLOW_FIN_PEER | FLOW_REPLY);
}

static __always_inline void reverse_key_of(const struct flow_value *flow, __u8 protocol, struct flow_key *key) {
  __builtin_memset(key, 0, sizeof(*key));
  copy_address(&key->tuple.src, &flow->tuple.dst);
  copy_address(&key->tuple.dst, &flow->tuple.src);
  key->tuple.sport_be = flow->tuple.dport_be;
  key->tuple.dport_be = flow->tuple.sport_be;
  key->protocol = protocol;
  key->hook = flow->reverse_hook;
  key->ifindex = flow->reverse_ifindex;
}

GLOBAL int flow_pair_expired(const struct flow_value *flow, __u8 protocol, __u32 now) {
  if (!flow) return 1;
  struct flow_key key;
  reverse_key_of(flow, protocol, &key);
  const struct flow_value *reverse = bpf_map_lookup_elem(&flows, &key);
  return !reverse || flow_expired(reverse, protocol, now);
}

/* A stream that nobody answers lives by its one direction: the entry of the other, and the NAT port in it, stay. */
static __always_inline int flow_over(const struct flow_value *flow, __u8 protocol, __u32 now) {
  return flow_expired(flow, protocol, now) && flow_pair_expired(flow, protocol, now);
}

/* What happens once or twice in a connection's life: the first reply, FIN, RST. Tells the other entry. */
GLOBAL int flow_turn(const struct packet *p, struct flow_value *flow) {
  if (!p || !flow) return 0;
  struct flow_key key;
  reverse_key_of(flow, p->key.protocol, &key);
  __u16 mine = 0, other = 0, gone = 0;
  if (flow->flags & FLOW_REPLY) mine |= FLOW_SEEN_REPLY, other |= FLOW_SEEN_REPLY;
  if (flow->flags & FLOW_DSR) {
    /* The answers are not seen here. Who acknowledges has got one; who closes will soon be done. */
    if (p->key.protocol == IPPROTO_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_ACK) mine |= FLOW_SEEN_REPLY;
    if (p->key.protocol == IPPROTO_TCP && p->tcp_flags & (TCP_FIN | TCP_RST)) mine |= FLOW_FIN | FLOW_FIN_PEER;
  } else if (p->key.protocol == IPPROTO_TCP) {
    if (p->tcp_flags & TCP_FIN) mine |= FLOW_FIN, other |= FLOW_FIN_PEER;
    __u16 reset = FLOW_FIN | FLOW_FIN_PEER | FLOW_RESET;
    if (p->tcp_flags & TCP_RST)
      mine |= reset, other |= reset;
    else if (flow->flags & FLOW_RESET) /* its receiver did not believe it (RFC 5961), or will say so again */
      gone = reset;
  }
  flow->flags = (flow->flags & ~gone) | mine;
  struct flow_value *reverse = bpf_map_lookup_elem(&flows, &key);
  if (reverse) reverse->flags = (reverse->flags & ~gone) | other;
  return 0;
}

static __always_inline void flow_seen(const struct packet *p, struct flow_value *flow, __u32 now) {
  if (flow->last_seen != now) flow->last_seen = now;
  __u16 flags = flow->flags;
  int turn = (flags & (FLOW_REPLY | FLOW_SEEN_REPLY)) == FLOW_REPLY || flags & FLOW_RESET ||
             (flags & (FLOW_DSR | FLOW_SEEN_REPLY)) == FLOW_DSR;
  if (p->key.protocol == IPPROTO_TCP && p->tcp_flags & (TCP_FIN | TCP_RST)) turn = 1;
  if (turn) flow_turn(p, flow);
}

/* Both directions are over, as after RST. The entries stay for what is under way. */
GLOBAL int flow_reset(const struct packet *p, struct flow_value *flow) {
  if (!p || !flow) return 0;
  struct flow_key key;
  reverse_key_of(flow, p->key.protocol, &key);
  flow->flags |= FLOW_FIN | FLOW_FIN_PEER | FLOW_RESET;
  struct flow_value *reverse = bpf_map_lookup_elem(&flows, &key);
  if (reverse) reverse->flags |= FLOW_FIN | FLOW_FIN_PEER | FLOW_RESET;
  return 0;
}

GLOBAL int flow_remove(const struct packet *p, const struct flow_value *flow) {
  if (!p || !flow) return 0;
  struct flow_key key;
  reverse_key_of(flow, p->key.protocol, &key);
  bpf_map_delete_elem(&flows, &key);
  bpf_map_delete_elem(&flows, &p->key);
  return 0;
}
