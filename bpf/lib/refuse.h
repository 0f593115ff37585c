/* SPDX-License-Identifier: Apache-2.0 */
/* "Refused at once" (SVC-D3): the packet is turned into its own refusal and sent back: RST for TCP (RFC 9293 3.10.7.1),
 * ICMP port unreachable for the rest. */
#pragma once

#include <linux/tcp.h>

#include "lib/deliver.h"
#include "lib/policy.h"

struct refusal {
  __u8 bytes[48 + 28]; /* headers being written */
};

static __always_inline __u16 fold(__u64 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~sum;
}

static __always_inline int swap_macs(struct __sk_buff *skb) {
  __u8 macs[12], swapped[12];
  if (bpf_skb_load_bytes(skb, 0, macs, 12)) return -1;
  __builtin_memcpy(swapped, macs + 6, 6);
  __builtin_memcpy(swapped + 6, macs, 6);
  return bpf_skb_store_bytes(skb, 0, swapped, 12, 0) ? -1 : 0;
}

struct pseudo6 {
  struct wire_address src, dst;
  __be32 length, protocol;
};

GLOBAL int write_ip4(struct __sk_buff *skb, const struct packet *p, __u16 total, __u8 protocol) {
  if (!p) return -1;
  struct iphdr ip = {.version = 4,
                     .ihl = 5,
                     .tot_len = bpf_htons(total),
                     .frag_off = bpf_htons(0x4000),
                     .ttl = 64,
                     .protocol = protocol};
  ip.saddr = v4_of(&p->key.tuple.dst);
  ip.daddr = v4_of(&p->key.tuple.src);
  ip.check = fold(bpf_csum_diff(0, 0, (void *)&ip, sizeof(ip), 0));
  return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

GLOBAL int write_ip6(struct __sk_buff *skb, const struct packet *p, __u16 payload, __u8 protocol) {
  if (!p) return -1;
  struct ipv6hdr ip = {.version = 6, .payload_len = bpf_htons(payload), .nexthdr = protocol, .hop_limit = 64};
  __builtin_memcpy(&ip.saddr, &p->key.tuple.dst, 16);
  __builtin_memcpy(&ip.daddr, &p->key.tuple.src, 16);
  return bpf_skb_store_bytes(skb, ETH_HLEN, &ip, sizeof(ip), BPF_F_RECOMPUTE_CSUM) ? -1 : 0;
}

static __always_inline __u64 pseudo_sum(const struct packet *p, __u32 length, __u8 protocol) {
  struct pseudo6 pseudo = {.length = bpf_htonl(length), .protocol = bpf_htonl(protocol)};
  /* For v4 the mapped prefixes ::ffff: of both ends cancel to a known value; only the low 4 bytes count. */
  if (p->family == 6) {
    pseudo.src = p->key.tuple.src;
    pseudo.dst = p->key.tuple.dst;
  } else {
    __be32 a = v4_of(&p->key.tuple.src), b = v4_of(&p->key.tuple.dst);
    __builtin_memcpy(&pseudo.src, &a, 4);
    __builtin_memcpy(&pseudo.dst, &b, 4);
  }
  return (__u64)bpf_csum_diff(0, 0, (void *)&pseudo, sizeof(pseudo), 0);
}

/* Makes the packet this header alone, from where p goes to where it comes from. Of a packet whose checksum the device
 * was to finish (which we cannot see) the field says the sum of the pseudo header; bpf_l4_csum_replace leaves it so for
 * those, and makes it the whole sum for the others. */
GLOBAL int write_tcp(struct __sk_buff *skb, const struct packet *p, struct tcphdr *tcp) {
  if (!p || !tcp) return -1;
  __u32 ip_size = p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  __u32 l4 = ETH_HLEN + ip_size;
  if (bpf_skb_change_tail(skb, l4 + sizeof(*tcp), 0)) return -1;
  if (p->family == 4 ? write_ip4(skb, p, ip_size + sizeof(*tcp), IPPROTO_TCP)
                     : write_ip6(skb, p, sizeof(*tcp), IPPROTO_TCP))
    return -1;
  tcp->doff = 5;
  tcp->check = 0;
  __u64 sum = (__u64)bpf_csum_diff(0, 0, (void *)tcp, sizeof(*tcp), 0);
  tcp->check = ~fold(pseudo_sum(p, sizeof(*tcp), IPPROTO_TCP));
  sum += 2ull * tcp->check;
  sum = (sum & 0xffffffff) + (sum >> 32);
  if (bpf_skb_store_bytes(skb, l4, tcp, sizeof(*tcp), BPF_F_INVALIDATE_HASH | BPF_F_RECOMPUTE_CSUM)) return -1;
  if (bpf_l4_csum_replace(skb, l4 + __builtin_offsetof(struct tcphdr, check), 0, (__u32)sum, 0)) return -1;
  bpf_csum_update(skb, ~(__u32)sum);
  return 0;
}

GLOBAL int refuse_tcp(struct __sk_buff *skb, struct packet *p) {
  if (!p) return -1;
  struct tcphdr old, tcp = {};
  if (bpf_skb_load_bytes(skb, p->l4, &old, sizeof(old)) || old.rst) return -1;
  __u32 payload = skb->len - p->l4;
  __u32 header = old.doff * 4;
  payload = payload > header ? payload - header : 0;
  tcp.source = old.dest;
  tcp.dest = old.source;
  tcp.rst = 1;
  if (old.ack) {
    tcp.seq = old.ack_seq;
  } else {
    tcp.ack = 1;
    tcp.ack_seq = bpf_htonl(bpf_ntohl(old.seq) + old.syn + old.fin + payload);
  }
  return write_tcp(skb, p, &tcp);
}

struct icmp_head {
  __u8 type, code;
  __u16 check;
  __u32 unused;
};

/* Quotes the IP header without options and 8 bytes behind it (RFC 792, RFC 4443 3.1). */
GLOBAL int refuse_icmp(struct __sk_buff *skb, struct packet *p) {
  if (!p) return -1;
  __u8 quote[48];
  __u32 ip_size = p->family == 4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  __u32 quoted = ip_size + 8;
  if (p->l4 != ETH_HLEN + ip_size) return -1; /* options or extensions: silence will do */
  if (p->family == 4 ? bpf_skb_load_bytes(skb, ETH_HLEN, quote, 28) : bpf_skb_load_bytes(skb, ETH_HLEN, quote, 48))
    return -1;
  struct icmp_head icmp = {.type = p->family == 4 ? 3 : 1, .code = p->family == 4 ? 3 : 4};
  __u32 length = sizeof(icmp) + quoted;
  __u64 sum = (__u64)bpf_csum_diff(0, 0, (void *)&icmp, sizeof(icmp), 0);
  if (p->family == 4) {
    sum += (__u64)bpf_csum_diff(0, 0, (void *)quote, 28, 0);
  } else {
    sum += (__u64)bpf_csum_diff(0, 0, (void *)quote, 48, 0) + pseudo_sum(p, length, PROTOCOL_ICMPV6);
  }
  icmp.check = fold(sum);
  if (bpf_skb_change_tail(skb, ETH_HLEN + quoted, 0)) return -1;
  if (bpf_skb_adjust_room(skb, ip_size + sizeof(icmp), BPF_ADJ_ROOM_MAC, 0)) return -1;
  if (p->family == 4 ? write_ip4(skb, p, ip_size + length, IPPROTO_ICMP) : write_ip6(skb, p, length, PROTOCOL_ICMPV6))
    return -1;
  return bpf_skb_store_bytes(skb, ETH_HLEN + ip_size, &icmp, sizeof(icmp), BPF_F_INVALIDATE_HASH) ? -1 : 0;
}

/* The answer to what came by the tunnel: straight to a client outside, else to the node that sent it. */
static __always_inline int answer_tunnelled(struct __sk_buff *skb, const struct packet *p) {
  const struct node_config *c = node();
  struct bpf_tunnel_key tunnel = {};
  struct wire_address remote;
  if (!c) return TC_ACT_SHOT;
  if (from_outside(p)) return bpf_redirect_neigh(c->uplink_ifindex, 0, 0, 0);
  if (bpf_skb_get_tunnel_key(skb, &tunnel, sizeof(tunnel), 0)) return TC_ACT_SHOT;
  map_v4(&remote, bpf_htonl(tunnel.remote_ipv4));
  return into_tunnel(skb, &remote, c) ? TC_ACT_SHOT : bpf_redirect(c->overlay_ifindex, 0);
}

/* Ends the packet for `reason` and answers its sender. */
GLOBAL int refuse(struct __sk_buff *skb, struct packet *p, const struct flow_value *flow, int reason) {
  if (!p) return TC_ACT_SHOT;
  const struct scratch *s = scratch();
  if (s && flow && s->refusal) reason = s->refusal;
  int dropped = drop(skb, p, flow, reason);
  if (p->kind != PACKET_FLOW) return dropped;
  if (p->key.protocol == IPPROTO_TCP ? refuse_tcp(skb, p) : refuse_icmp(skb, p)) return dropped;
  if (p->tunnelled) return answer_tunnelled(skb, p);
  if (swap_macs(skb)) return dropped;
  if (p->key.hook == HOOK_FROM_POD) return bpf_redirect_peer(skb->ifindex, 0);
  return bpf_redirect(skb->ifindex, p->key.hook == HOOK_TO_NET ? BPF_F_INGRESS : 0);
}
