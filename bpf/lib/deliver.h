/* SPDX-License-Identifier: Apache-2.0 */
/* Sending a judged packet on its way. */
#pragma once

#include "lib/flows.h"
#include "lib/rewrite.h"

/* Asks the node's routes and neighbours for the next hop of a flow and keeps the answer in its entry. */
GLOBAL int resolve_next_hop(struct __sk_buff *skb, const struct packet *p, struct flow_value *flow,
                            __u32 uplink_ifindex) {
  if (!p || !flow) return -1;
  struct bpf_fib_lookup fib = {};
  fib.ifindex = uplink_ifindex;
  fib.l4_protocol = p->key.protocol;
  if (p->family == 4) {
    fib.family = 2; /* AF_INET */
    fib.ipv4_src = v4_of(&flow->tuple.src);
    fib.ipv4_dst = v4_of(&flow->tuple.dst);
  } else {
    fib.family = 10; /* AF_INET6 */
    __builtin_memcpy(fib.ipv6_src, &flow->tuple.src, 16);
    __builtin_memcpy(fib.ipv6_dst, &flow->tuple.dst, 16);
  }
  if (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_OUTPUT) != BPF_FIB_LKUP_RET_SUCCESS ||
      fib.ifindex != uplink_ifindex) {
    flow->flags &= ~FLOW_NEXT_HOP;
    return -1;
  }
  __builtin_memcpy(flow->dst_mac, fib.dmac, 6);
  __builtin_memcpy(flow->src_mac, fib.smac, 6);
  flow->ifindex = fib.ifindex;
  flow->flags |= FLOW_NEXT_HOP;
  return 0;
}

/* The packets of one unit of the clock follow the first, which the stack's neighbour code sent: that keeps the
 * neighbour entry probed, and no flow follows a stale one for longer than a second. */
static __always_inline int by_next_hop(const struct packet *p, const struct flow_value *flow) {
  return flow->delivery == DELIVER_NETWORK && flow->flags & FLOW_NEXT_HOP && !p->tick;
}

/* TTL and MACs by direct access: on the path of every packet. Negative: headers are not there. */
static __always_inline int next_hop(struct __sk_buff *skb, const struct packet *p, const struct flow_value *flow) {
  void *data = packet_data(skb), *data_end = packet_end(skb);
  struct ethhdr *eth = data;
  if (data + ETH_HLEN + sizeof(struct ipv6hdr) > data_end) {
    if (p->family == 6 || data + ETH_HLEN + sizeof(struct iphdr) > data_end) return -1;
  }
  if (flow->delivery == DELIVER_POD || by_next_hop(p, flow)) {
    __builtin_memcpy(eth->h_dest, flow->dst_mac, 6);
    __builtin_memcpy(eth->h_source, flow->src_mac, 6);
  }
  if (p->family == 4) {
    struct iphdr *ip = data + ETH_HLEN;
    __u32 check = ip->check;
    ip->ttl--;
    check += bpf_htons(0x0100); /* RFC 1624 */
    ip->check = check + (check >= 0xffff);
  } else {
    if (data + ETH_HLEN + sizeof(struct ipv6hdr) > data_end) return -1;
    struct ipv6hdr *ip = data + ETH_HLEN;
    ip->hop_limit--;
    if (p->key.hook == HOOK_FROM_NET)
      bpf_csum_update(skb,
                      (__u32)bpf_htons(0xfffe)); /* CHECKSUM_COMPLETE: the word (next header, hop limit) less one */
  }
  return 0;
}

GLOBAL int into_tunnel(struct __sk_buff *skb, const struct wire_address *remote, const struct node_config *c) {
  if (!remote || !c) return -1;
  struct bpf_tunnel_key key = {.tunnel_id = c->vni, .tunnel_ttl = 64};
  __u64 flags = BPF_F_ZERO_CSUM_TX;
  if (is_v4(remote)) {
    key.remote_ipv4 = bpf_ntohl(v4_of(remote));
  } else {
    __builtin_memcpy(key.remote_ipv6, remote, 16);
    flags = BPF_F_TUNINFO_IPV6;
  }
  return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags);
}

/* `flow` is what was decided; p is the packet as it came. */
static __always_inline int deliver(struct __sk_buff *skb, const struct packet *p, const struct flow_value *flow,
                                   const struct node_config *c) {
  int delivery = flow->delivery;
  if (delivery != DELIVER_STACK) {
    if (p->ttl <= 1) return TC_ACT_OK; /* the stack forwards nothing then, and sends Time Exceeded */
    if (next_hop(skb, p, flow)) return drop(skb, p, flow, DROP_MALFORMED);
  }
  __u32 ifindex = flow->ifindex;
  int neighbour_known = by_next_hop(p, flow);
  if (flow->flags & FLOW_REWRITE && rewrite_flow(skb, p, &flow->tuple)) return drop(skb, p, flow, DROP_REWRITE);
  switch (delivery) {
    case DELIVER_POD:
      return bpf_redirect_peer(ifindex, 0);
    case DELIVER_NETWORK:
      if (!neighbour_known) return bpf_redirect_neigh(c->uplink_ifindex, 0, 0, 0);
      return c->flags & NODE_UPLINK_PEER ? bpf_redirect_peer(ifindex, 0) : bpf_redirect(ifindex, 0);
    case DELIVER_TUNNEL:
      if (into_tunnel(skb, &flow->node, c)) return drop(skb, p, flow, DROP_REWRITE);
      return bpf_redirect(c->overlay_ifindex, 0);
    default:
      return TC_ACT_OK;
  }
}
