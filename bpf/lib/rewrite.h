/* SPDX-License-Identifier: Apache-2.0 */
/* Changing addresses and ports with right checksums, whatever the offload state of the skb. */
#pragma once

#include <linux/if_ether.h>

#include "lib/sctp.h"

#define IP4_CHECK (ETH_HLEN + 10)
#define IP4_SRC (ETH_HLEN + 12)
#define IP4_DST (ETH_HLEN + 16)
#define IP6_SRC (ETH_HLEN + 8)
#define IP6_DST (ETH_HLEN + 24)

/* Offset of the checksum in the L4 header, and whether the pseudo header is in it. Negative: none to keep. */
static __always_inline int checksum_offset(__u8 protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return 16;
    case IPPROTO_UDP:
      return 6;
    case PROTOCOL_ICMPV6:
      return 2;
    default:
      return -1; /* ICMP and SCTP have no pseudo header */
  }
}

/* IPv6 address change: IP has no checksum of its own, so in a CHECKSUM_COMPLETE sum the address and the L4 checksum
 * cancel out; bpf_l4_csum_replace (without the flag that kernels before 6.16 lack) does not know, and is corrected. */
static __always_inline int replace_pseudo6(struct __sk_buff *skb, int check, __u64 flags, const void *old,
                                           const void *new) {
  __s64 difference = bpf_csum_diff((void *)old, 16, (void *)new, 16, 0);
  if (bpf_l4_csum_replace(skb, check, 0, difference, BPF_F_PSEUDO_HDR | flags)) return -1;
  bpf_csum_update(skb, difference);
  return 0;
}

GLOBAL int rewrite_address(struct __sk_buff *skb, const struct packet *p, const struct wire_address *old,
                           const struct wire_address *new, int source) {
  if (!p || !old || !new) return -1;
  int check = p->kind == PACKET_FRAGMENT ? -1 : checksum_offset(p->key.protocol);
  __u64 flags = p->key.protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
  if (p->family == 6) {
    if (check >= 0 && replace_pseudo6(skb, p->l4 + check, flags, old, new)) return -1;
    return bpf_skb_store_bytes(skb, source ? IP6_SRC : IP6_DST, new, 16, 0) ? -1 : 0;
  }
  __be32 from = v4_of(old), to = v4_of(new);
  if (check >= 0 && bpf_l4_csum_replace(skb, p->l4 + check, from, to, BPF_F_PSEUDO_HDR | flags | 4)) return -1;
  if (bpf_l3_csum_replace(skb, IP4_CHECK, from, to, 4)) return -1;
  return bpf_skb_store_bytes(skb, source ? IP4_SRC : IP4_DST, &to, 4, 0) ? -1 : 0;
}

/* A port, or the identifier of an ICMP echo (RFC 792, RFC 4443), at l4 + where. */
GLOBAL int rewrite_port(struct __sk_buff *skb, const struct packet *p, __be16 old, __be16 new, int source) {
  if (!p) return -1;
  int check, where;
  __u64 flags = 2;
  switch (p->key.protocol) {
    case IPPROTO_TCP:
      check = 16;
      where = source ? 0 : 2;
      break;
    case IPPROTO_UDP:
      check = 6;
      where = source ? 0 : 2;
      flags |= BPF_F_MARK_MANGLED_0;
      break;
    case IPPROTO_ICMP:
    case PROTOCOL_ICMPV6:
      check = 2;
      where = 4;
      break;
    case IPPROTO_SCTP:
      return rewrite_sctp_port(skb, p, old, new, source);
    default:
      return -1;
  }
  if (bpf_l4_csum_replace(skb, p->l4 + check, old, new, flags)) return -1;
  return bpf_skb_store_bytes(skb, p->l4 + where, &new, 2, 0) ? -1 : 0;
}

/* Makes the packet say what `to` says. */
GLOBAL int rewrite(struct __sk_buff *skb, const struct packet *p, const struct wire_tuple *to) {
  if (!p || !to) return -1;
  const struct wire_tuple *from = &p->key.tuple;
  if (!equal(&from->src, &to->src) && rewrite_address(skb, p, &from->src, &to->src, 1)) return -1;
  if (!equal(&from->dst, &to->dst) && rewrite_address(skb, p, &from->dst, &to->dst, 0)) return -1;
  if (p->kind == PACKET_FRAGMENT) return 0;
  if (from->sport_be != to->sport_be && rewrite_port(skb, p, from->sport_be, to->sport_be, 1)) return -1;
  if (from->dport_be != to->dport_be && rewrite_port(skb, p, from->dport_be, to->dport_be, 0)) return -1;
  return 0;
}

/* One's complement arithmetic, RFC 1624. */
static __always_inline __u32 difference_of(__u32 old, __u32 new, __u32 so_far) {
  __u64 sum = (__u64)(__u32)~old + new + so_far;
  sum = (sum & 0xffffffff) + (sum >> 32);
  return (sum & 0xffffffff) + (sum >> 32);
}

static __always_inline __sum16 checksum_after(__sum16 check, __u32 difference) {
  __u64 sum = (__u64)(__u16)~check + difference;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return ~(__u16)((sum & 0xffff) + (sum >> 16));
}

/* The same as rewrite() for what nearly every packet is, TCP or UDP behind an IPv4 header without options, at a third
 * of its cost: the kernel is asked only about the checksum whose state we cannot see. */
static __always_inline int rewrite_plain(struct __sk_buff *skb, const struct packet *p, const struct wire_tuple *to) {
  void *data = packet_data(skb), *data_end = packet_end(skb);
  struct iphdr *ip = data + ETH_HLEN;
  __be16 *ports = data + ETH_HLEN + sizeof(struct iphdr);
  if ((void *)(ports + 2) > data_end) return -1;
  __be32 src = v4_of(&to->src), dst = v4_of(&to->dst);
  __u32 addresses = difference_of(ip->daddr, dst, difference_of(ip->saddr, src, 0));
  __u32 both_ports = difference_of(ports[1], to->dport_be, difference_of(ports[0], to->sport_be, 0));
  ip->check = checksum_after(ip->check, addresses);
  ip->saddr = src;
  ip->daddr = dst;
  ports[0] = to->sport_be;
  ports[1] = to->dport_be;
  int udp = p->key.protocol == IPPROTO_UDP;
  __u32 check = ETH_HLEN + sizeof(struct iphdr) + (udp ? 6 : 16);
  __u64 flags = udp ? BPF_F_MARK_MANGLED_0 : 0;
  if (bpf_l4_csum_replace(skb, check, 0, addresses, BPF_F_PSEUDO_HDR | flags)) return -1;
  return both_ports != 0xffffffff && bpf_l4_csum_replace(skb, check, 0, both_ports, flags) ? -1 : 0;
}

static __always_inline int rewrite_flow(struct __sk_buff *skb, const struct packet *p, const struct wire_tuple *to) {
  int plain = p->family == 4 && p->kind == PACKET_FLOW && p->l4 == ETH_HLEN + sizeof(struct iphdr) &&
              (p->key.protocol == IPPROTO_TCP || p->key.protocol == IPPROTO_UDP);
  return plain ? rewrite_plain(skb, p, to) : rewrite(skb, p, to);
}
