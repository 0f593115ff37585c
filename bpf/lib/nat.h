/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/flows.h"

#define NAT_TRIES 64

/* Does this protocol have a port that may be rewritten? */
static __always_inline int has_port(__u8 protocol) {
  return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP ||
         protocol == PROTOCOL_ICMPV6 || protocol == IPPROTO_SCTP;
}

/* One port: 0 when it is ours now. Inserting the reply entry is the allocation, so two CPUs never get the same port. */
GLOBAL int try_nat_port(const struct packet *p, struct scratch *s, __u32 port_be, __u32 now) {
  if (!p || !s) return -1;
  s->reverse_key.tuple.dport_be = port_be;
  if (bpf_map_update_elem(&flows, &s->reverse_key, &s->reverse, BPF_NOEXIST)) {
    const struct flow_value *taken = bpf_map_lookup_elem(&flows, &s->reverse_key);
    if (!taken || !flow_over(taken, p->key.protocol, now)) return -1;
    if (bpf_map_update_elem(&flows, &s->reverse_key, &s->reverse, BPF_ANY)) return -1;
  }
  s->flow.tuple.sport_be = port_be;
  return 0;
}

/* Takes a reply tuple that nobody uses: its port becomes the source port of s->flow.tuple. 0, or enum wire_drop. */
GLOBAL int take_nat_port(const struct packet *p, struct scratch *s, const struct node_config *c, __u32 now) {
  if (!p || !s || !c) return DROP_NAT_EXHAUSTED;
  __u32 first = c->nat_first, range = c->nat_last - c->nat_first + 1;
  if (!range || range > 65536) return DROP_NAT_EXHAUSTED;
  __be16 own = s->flow.tuple.sport_be;
  /* ICMP other than echo, GRE, ESP ...: the one tuple there is. */
  if (!has_port(p->key.protocol) || (!own && !s->flow.tuple.dport_be))
    return try_nat_port(p, s, own, now) ? DROP_NAT_EXHAUSTED : 0;
  __u32 start = bpf_get_prandom_u32();
  for (__u32 i = 0; i < NAT_TRIES; i++)
    if (!try_nat_port(p, s, bpf_htons(first + (start + i * 7919) % range), now)) return 0;
  return DROP_NAT_EXHAUSTED;
}
