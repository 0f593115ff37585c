/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose endpoint was removed ends at its client's next packet, at both ends at once: a copy of the packet
 * becomes the client's RST, the packet itself the endpoint's. */
#pragma once

#include "lib/deliver.h"
#include "lib/refuse.h"

/* The packet is the client's RST by now. What came by the tunnel is of a client outside (direct server return), and is
 * answered straight. */
static __always_inline void answer_with_copy(struct __sk_buff *skb, const struct packet *p, struct scratch *s,
                                             const struct node_config *c) {
  __u32 out = skb->ifindex;
  if (p->tunnelled) {
    __builtin_memset(&s->reverse, 0, sizeof(s->reverse));
    copy_address(&s->reverse.tuple.src, &p->key.tuple.dst);
    copy_address(&s->reverse.tuple.dst, &p->key.tuple.src);
    out = c->uplink_ifindex;
    if (resolve_next_hop(skb, p, &s->reverse, out)) return;
    if (bpf_skb_store_bytes(skb, 0, s->reverse.dst_mac, 6, 0) || bpf_skb_store_bytes(skb, 6, s->reverse.src_mac, 6, 0))
      return;
  } else if (swap_macs(skb)) {
    return;
  }
  s->answering = 1;
  bpf_clone_redirect(skb, out, 0);
  s->answering = 0;
  if (!p->tunnelled) swap_macs(skb);
}

static __always_inline void turn(struct packet *p) {
  struct wire_address src;
  copy_address(&src, &p->key.tuple.src);
  copy_address(&p->key.tuple.src, &p->key.tuple.dst);
  copy_address(&p->key.tuple.dst, &src);
}

/* The packet is its own RST. */
static __always_inline int write_reset(struct __sk_buff *skb, struct packet *p, struct tcphdr *tcp) {
  tcp->fin = tcp->syn = tcp->psh = tcp->urg = 0;
  tcp->rst = 1;
  turn(p); /* write_tcp answers, and this is no answer */
  int failed = write_tcp(skb, p, tcp);
  turn(p);
  return failed;
}

/* `old`: the entry of the client's direction. It stays for a moment, so that what is still under way is answered too.
 * 0: the packet is to be sent by s->flow. */
GLOBAL int reset_both(struct __sk_buff *skb, struct packet *p, struct flow_value *old, const struct node_config *c) {
  struct scratch *s = scratch();
  struct tcphdr head;
  if (!p || !old || !s || !c) return -1;
  s->flow = *old;
  s->flow.flags &= ~FLOW_NEXT_HOP;
  flow_reset(p, old);
  drop(skb, p, &s->flow, DROP_ENDPOINT_REMOVED);
  if (p->kind != PACKET_FLOW || bpf_skb_load_bytes(skb, p->l4, &head, sizeof(head)) || refuse_tcp(skb, p)) return -1;
  answer_with_copy(skb, p, s, c);
  if (write_reset(skb, p, &head)) return -1;
  p->l4 = ETH_HLEN + (p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
  p->ttl = 64;
  return 0;
}
