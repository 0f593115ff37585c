/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/flows.h"

#define NAT_TRIES 64

/* Does this protocol have a port that may be rewritten? */
static __always_inline int has_port(__u8 protocol) {
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_ICMP || protocol == PROTOCOL_ICMPV6;
}

/* Takes a reply tuple nobody uses: s->reverse_key.tuple.dport_be becomes the port, s->flow.tuple.sport_be the source port.
 * Inserting the reply entry is the allocation, so two CPUs never get the same port. 0, or enum wire_drop. */
static __noinline int take_nat_port(struct __sk_buff *skb, struct packet *p, const struct node_config *c, __u32 now) {
	struct scratch *s = scratch();
	if (!s) return DROP_NAT_EXHAUSTED;
	__u32 first = c->nat_first, range = c->nat_last - c->nat_first + 1;
	if (!range || range > 65536) return DROP_NAT_EXHAUSTED;
	__u8 protocol = p->key.protocol;
	/* ICMP other than echo, GRE, ESP ...: the one tuple there is. An SCTP port cannot be changed yet. */
	int fixed = !has_port(protocol) || (!s->flow.tuple.sport_be && !s->flow.tuple.dport_be);
	__u32 start = bpf_get_prandom_u32();
	for (__u32 i = 0; i < NAT_TRIES; i++) {
		__be16 port_be = fixed ? s->flow.tuple.sport_be : bpf_htons(first + (start + i * 7919) % range);
		s->reverse_key.tuple.dport_be = port_be;
		long failed = bpf_map_update_elem(&flows, &s->reverse_key, &s->reverse, BPF_NOEXIST);
		if (failed) {
			const struct flow_value *taken = bpf_map_lookup_elem(&flows, &s->reverse_key);
			if (taken && flow_expired(taken, protocol, now))
				failed = bpf_map_update_elem(&flows, &s->reverse_key, &s->reverse, BPF_ANY);
		}
		if (!failed) {
			s->flow.tuple.sport_be = port_be;
			return 0;
		}
		if (fixed) break;
	}
	return DROP_NAT_EXHAUSTED;
}
