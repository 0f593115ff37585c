/* SPDX-License-Identifier: Apache-2.0 */
/* From an skb to the key of its flow. */
#pragma once

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "lib/address.h"
#include "lib/maps.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

#ifndef IPPROTO_SCTP
#define IPPROTO_SCTP 132
#endif
#define PROTOCOL_ICMPV6 58

enum packet_kind {
  PACKET_FLOW = 0,       /* has its L4 header */
  PACKET_FRAGMENT = 1,   /* a later fragment: addresses can be rewritten, ports are not there */
  PACKET_ICMP_ERROR = 2, /* speaks about another packet */
};

struct packet {
  struct flow_key key;
  __u16 l4;    /* offset of the L4 header */
  __u8 family; /* 4 or 6 */
  __u8 ttl;
  __u8 tcp_flags;
  __u8 kind; /* enum packet_kind */
  __u8 first_fragment;
  __u8 tick;      /* the first packet of its flow in this unit of the flow clock */
  __u8 tunnelled; /* known in judgement only */
  __u32 fragment_id;
};

/* Packet pointers. In assembler, because the compiler would move the 32-bit context fields with 32-bit moves, after
 * which the verifier no longer takes them for pointers. */
static __always_inline void *packet_data(const struct __sk_buff *skb) {
  void *pointer;
  asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(pointer) : "r"(skb), "i"(__builtin_offsetof(struct __sk_buff, data)));
  return pointer;
}

static __always_inline void *packet_end(const struct __sk_buff *skb) {
  void *pointer;
  asm volatile("%0 = *(u32 *)(%1 + %2)"
               : "=r"(pointer)
               : "r"(skb), "i"(__builtin_offsetof(struct __sk_buff, data_end)));
  return pointer;
}

#define TCP_HEADER 20

/* Headers to where they can be read. Only when they are not there: pulling moves and unshares memory, which costs more
 * than all the rest of a packet's way. */
static __always_inline void make_linear(struct __sk_buff *skb, __u32 size) {
  void *data = packet_data(skb), *data_end = packet_end(skb);
  if (data + size > data_end && skb->len > (__u32)(data_end - data))
    bpf_skb_pull_data(skb, size < skb->len ? size : skb->len);
}

/* Results of parsing besides 0 and enum wire_drop. */
#define PARSE_PASS (-1) /* ARP, neighbour discovery and the like: for the node's stack */

static __always_inline int icmp_is_error(__u8 family, __u8 type) {
  return family == 4 ? type == 3 || type == 11 || type == 12 : type >= 1 && type <= 4;
}

GLOBAL int remember_fragment(struct packet *p) {
  if (!p) return 0;
  struct fragment_key key = {.id = p->fragment_id, .ifindex = p->key.ifindex, .protocol = p->key.protocol};
  copy_address(&key.src, &p->key.tuple.src);
  copy_address(&key.dst, &p->key.tuple.dst);
  struct fragment_value value = {p->key.tuple.sport_be, p->key.tuple.dport_be};
  return bpf_map_update_elem(&fragments, &key, &value, BPF_ANY);
}

GLOBAL int recall_fragment(struct packet *p) {
  if (!p) return DROP_FRAGMENT_UNKNOWN;
  struct fragment_key key = {.id = p->fragment_id, .ifindex = p->key.ifindex, .protocol = p->key.protocol};
  copy_address(&key.src, &p->key.tuple.src);
  copy_address(&key.dst, &p->key.tuple.dst);
  const struct fragment_value *value = bpf_map_lookup_elem(&fragments, &key);
  if (!value) return DROP_FRAGMENT_UNKNOWN;
  p->key.tuple.sport_be = value->sport_be;
  p->key.tuple.dport_be = value->dport_be;
  p->kind = PACKET_FRAGMENT;
  return 0;
}

/* IPv6 extension headers, RFC 8200 section 4: moves p->l4 behind them. Rare, hence by helper. */
GLOBAL int skip_extensions(struct __sk_buff *skb, struct packet *p) {
  if (!p) return DROP_MALFORMED;
  __u32 offset = p->l4;
  __u8 next = p->key.protocol;
  int later = 0;
  for (int i = 0; i < 8; i++) {
    __u8 header[8];
    if (next != 0 && next != 43 && next != 44 && next != 60 && next != 51) {
      p->key.protocol = next;
      p->l4 = offset;
      return later ? recall_fragment(p) : 0;
    }
    if (later) { /* headers behind a later fragment's are data */
      p->key.protocol = next;
      return recall_fragment(p);
    }
    if (bpf_skb_load_bytes(skb, offset, header, sizeof(header))) return DROP_MALFORMED;
    if (next == 44) {
      __u16 bits = (__u16)header[2] << 8 | header[3];
      __builtin_memcpy(&p->fragment_id, &header[4], 4);
      later = (bits & 0xfff8) != 0;
      p->first_fragment = !later && (bits & 1);
      offset += 8;
    } else if (next == 51) {
      offset += ((__u32)header[1] + 2) * 4; /* RFC 4302 */
    } else {
      offset += ((__u32)header[1] + 1) * 8;
    }
    next = header[0];
    if (offset > 1024) return DROP_MALFORMED;
  }
  return DROP_MALFORMED;
}

static __always_inline int parse_l4(struct __sk_buff *skb, struct packet *p) {
  __u32 offset = p->l4;
  if (offset > 1100) return DROP_MALFORMED;
  if (offset > ETH_HLEN + sizeof(struct ipv6hdr) || (p->family == 4 && offset > ETH_HLEN + sizeof(struct iphdr)))
    make_linear(skb, offset + TCP_HEADER);
  void *data = packet_data(skb), *data_end = packet_end(skb);
  __u8 *l4 = data + offset;
  switch (p->key.protocol) {
    case IPPROTO_TCP:
      if (l4 + 20 > (__u8 *)data_end) return DROP_MALFORMED;
      p->tcp_flags = l4[13];
      break;
    case IPPROTO_UDP:
    case IPPROTO_SCTP:
      if (l4 + 8 > (__u8 *)data_end) return DROP_MALFORMED;
      break;
    case IPPROTO_ICMP:
    case PROTOCOL_ICMPV6: {
      if (l4 + 8 > (__u8 *)data_end) return DROP_MALFORMED;
      int v6 = p->key.protocol == PROTOCOL_ICMPV6;
      if (v6 != (p->family == 6)) return 0;
      __u8 type = l4[0];
      __be16 id;
      __builtin_memcpy(&id, l4 + 4, 2);
      if (icmp_is_error(p->family, type)) {
        p->kind = PACKET_ICMP_ERROR;
      } else if (type == (v6 ? 128 : 8)) {
        p->key.tuple.sport_be = id;
      } else if (type == (v6 ? 129 : 0)) {
        p->key.tuple.dport_be = id;
      } else if (v6 && type >= 130 && type <= 143) {
        return PARSE_PASS; /* neighbour and multicast listener discovery stay on the link */
      }
      return 0;
    }
    default:
      return 0;
  }
  __builtin_memcpy(&p->key.tuple.sport_be, l4, 2);
  __builtin_memcpy(&p->key.tuple.dport_be, l4 + 2, 2);
  return 0;
}

static __always_inline int parse(struct __sk_buff *skb, struct packet *p, int hook, __u32 ifindex) {
  p->key.hook = hook;
  p->key.ifindex = ifindex;
  make_linear(skb, ETH_HLEN + (skb->protocol == bpf_htons(ETH_P_IPV6) ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) +
                       TCP_HEADER);
  void *data = packet_data(skb), *data_end = packet_end(skb);
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = data + ETH_HLEN;
    if ((void *)(ip + 1) > data_end || ip->version != 4 || ip->ihl < 5) return DROP_MALFORMED;
    p->family = 4;
    p->ttl = ip->ttl;
    p->l4 = ETH_HLEN + ip->ihl * 4;
    p->key.protocol = ip->protocol;
    map_v4(&p->key.tuple.src, ip->saddr);
    map_v4(&p->key.tuple.dst, ip->daddr);
    __u16 fragment = bpf_ntohs(ip->frag_off);
    if (fragment & (IP_MORE_FRAGMENTS | IP_FRAGMENT_OFFSET)) {
      p->fragment_id = ip->id;
      if (fragment & IP_FRAGMENT_OFFSET) return recall_fragment(p);
      p->first_fragment = 1;
    }
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = data + ETH_HLEN;
    if ((void *)(ip + 1) > data_end || ip->version != 6) return DROP_MALFORMED;
    p->family = 6;
    p->ttl = ip->hop_limit;
    p->l4 = ETH_HLEN + sizeof(*ip);
    p->key.protocol = ip->nexthdr;
    __builtin_memcpy(&p->key.tuple.src, &ip->saddr, 16);
    __builtin_memcpy(&p->key.tuple.dst, &ip->daddr, 16);
    __u8 next = ip->nexthdr;
    if (next != IPPROTO_TCP && next != IPPROTO_UDP && next != PROTOCOL_ICMPV6) {
      int failed = skip_extensions(skb, p);
      if (failed || p->kind == PACKET_FRAGMENT) return failed;
    }
  } else {
    return skb->protocol == bpf_htons(ETH_P_ARP) ? PARSE_PASS : DROP_NOT_IP;
  }
  int failed = parse_l4(skb, p);
  if (failed) return failed;
  if (p->first_fragment) remember_fragment(p);
  return 0;
}
