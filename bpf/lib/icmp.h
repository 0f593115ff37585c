/* SPDX-License-Identifier: Apache-2.0 */
/* ICMP errors about a flow go to the flow's other end, saying what that end had sent (NP-9, RFC 5508 section 4.2). */
#pragma once

#include "lib/deliver.h"

/* Changes bytes inside the quoted packet and keeps the ICMP checksum, which covers them. */
static __always_inline int rewrite_quoted(struct __sk_buff *skb, const struct packet *p, __u32 offset, const void *old,
                                          const void *new, __u32 size, int compensated) {
  if (!compensated) {
    __s64 difference = size == 2 ? 0 : bpf_csum_diff((void *)old, size, (void *)new, size, 0);
    if (size == 2) {
      if (bpf_l4_csum_replace(skb, p->l4 + 2, *(const __u16 *)old, *(const __u16 *)new, 2)) return -1;
    } else if (bpf_l4_csum_replace(skb, p->l4 + 2, 0, difference, 0)) {
      return -1;
    }
  }
  return bpf_skb_store_bytes(skb, offset, new, size, 0) ? -1 : 0;
}

/* The quoted packet was sent by `key`'s destination to its source (key = tuple of the answer to it). It must look as
 * that destination sent it: from flow.tuple.dst to flow.tuple.src. */
GLOBAL int rewrite_quote(struct __sk_buff *skb, const struct packet *p, const struct flow_key *key,
                         const struct flow_value *flow, __u32 inner_l4) {
  if (!p || !key || !flow) return -1;
  __u32 inner = p->l4 + 8;
  const struct wire_tuple *from = &key->tuple, *to = &flow->tuple;
  if (p->family == 4) {
    __be32 a, b;
    /* The quoted IP header keeps its own checksum, so for the ICMP checksum the change is compensated. */
    a = v4_of(&from->dst), b = v4_of(&to->dst);
    if (a != b && (bpf_l3_csum_replace(skb, inner + 10, a, b, 4) || rewrite_quoted(skb, p, inner + 12, &a, &b, 4, 1)))
      return -1;
    a = v4_of(&from->src), b = v4_of(&to->src);
    if (a != b && (bpf_l3_csum_replace(skb, inner + 10, a, b, 4) || rewrite_quoted(skb, p, inner + 16, &a, &b, 4, 1)))
      return -1;
  } else {
    if (!equal(&from->dst, &to->dst) && rewrite_quoted(skb, p, inner + 8, &from->dst, &to->dst, 16, 0)) return -1;
    if (!equal(&from->src, &to->src) && rewrite_quoted(skb, p, inner + 24, &from->src, &to->src, 16, 0)) return -1;
  }
  __be16 x, y;
  int echo = key->protocol == IPPROTO_ICMP || key->protocol == PROTOCOL_ICMPV6;
  x = from->dport_be, y = to->dport_be;
  if (x != y && rewrite_quoted(skb, p, inner_l4 + (echo ? 4 : 0), &x, &y, 2, 0)) return -1;
  x = from->sport_be, y = to->sport_be;
  if (x != y && rewrite_quoted(skb, p, inner_l4 + (echo ? 4 : 2), &x, &y, 2, 0)) return -1;
  return 0;
}

/* Key of the answer to the quoted packet, as this hook would meet it. 0, or enum wire_drop. */
GLOBAL int quoted_key(struct __sk_buff *skb, const struct packet *p, struct flow_key *key, __u32 *inner_l4) {
  if (!p || !key || !inner_l4) return DROP_MALFORMED;
  __u32 inner = p->l4 + 8, l4;
  __u8 ports[8];
  key->hook = p->key.hook;
  key->ifindex = p->key.ifindex;
  if (p->family == 4) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip)) || ip.ihl < 5) return DROP_MALFORMED;
    map_v4(&key->tuple.src, ip.daddr);
    map_v4(&key->tuple.dst, ip.saddr);
    key->protocol = ip.protocol;
    l4 = inner + ip.ihl * 4;
  } else {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, inner, &ip, sizeof(ip))) return DROP_MALFORMED;
    __builtin_memcpy(&key->tuple.src, &ip.daddr, 16);
    __builtin_memcpy(&key->tuple.dst, &ip.saddr, 16);
    key->protocol = ip.nexthdr;
    l4 = inner + sizeof(ip);
  }
  *inner_l4 = l4;
  if (bpf_skb_load_bytes(skb, l4, ports, sizeof(ports))) return DROP_MALFORMED;
  switch (key->protocol) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
      __builtin_memcpy(&key->tuple.dport_be, &ports[0], 2);
      __builtin_memcpy(&key->tuple.sport_be, &ports[2], 2);
      break;
    case IPPROTO_ICMP:
    case PROTOCOL_ICMPV6: /* an echo request had its identifier as sport, so its answer has it as dport */
      if (ports[0] == 8 || ports[0] == 128)
        __builtin_memcpy(&key->tuple.dport_be, &ports[4], 2);
      else if (ports[0] == 0 || ports[0] == 129)
        __builtin_memcpy(&key->tuple.sport_be, &ports[4], 2);
      break;
  }
  return 0;
}

GLOBAL int unrelated(struct __sk_buff *skb, const struct packet *p) {
  if (!p) return TC_ACT_SHOT;
  if (p->key.hook == HOOK_FROM_POD) return drop(skb, p, 0, DROP_ICMP_UNRELATED);
  if (p->key.hook == HOOK_TO_POD) return skb->ingress_ifindex ? drop(skb, p, 0, DROP_ICMP_UNRELATED) : TC_ACT_OK;
  struct address_lpm_key key = {.length = 128};
  copy_address(&key.address, &p->key.tuple.dst);
  const struct peer_value *peer = bpf_map_lookup_elem(&peers, &key);
  if (peer && peer->kind == PEER_LOCAL_POD) return drop(skb, p, 0, DROP_ICMP_UNRELATED);
  return TC_ACT_OK;
}

GLOBAL int related(struct __sk_buff *skb, struct packet *p, const struct node_config *c) {
  if (!p || !c) return TC_ACT_SHOT;
  struct flow_key key = {};
  __u32 inner_l4 = 0;
  int failed = quoted_key(skb, p, &key, &inner_l4);
  if (failed) return drop(skb, p, 0, failed);
  const struct flow_value *flow = bpf_map_lookup_elem(&flows, &key);
  if (!flow || flow_over(flow, key.protocol, flow_clock())) return unrelated(skb, p);
  /* A pod speaks for itself only; a router on the way speaks under its own address. */
  int by_end = equal(&p->key.tuple.src, &key.tuple.src);
  if (p->key.hook == HOOK_FROM_POD && !by_end) return drop(skb, p, flow, DROP_SPOOFED);
  if (flow->flags & FLOW_REWRITE && rewrite_quote(skb, p, &key, flow, inner_l4))
    return drop(skb, p, flow, DROP_REWRITE);
  struct scratch *s = scratch();
  if (!s) return TC_ACT_SHOT;
  s->flow = *flow;
  s->flow.flags &= ~FLOW_NEXT_HOP; /* a router on the way may be elsewhere */
  copy_address(&s->flow.tuple.src, by_end ? &flow->tuple.src : &p->key.tuple.src);
  s->flow.tuple.sport_be = s->flow.tuple.dport_be = 0;
  return deliver(skb, p, &s->flow, c);
}
