/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a port of an SCTP packet (SVC-D19). Its checksum is a CRC-32c of the whole packet (RFC 9260 appendix A),
 * which is linear: a change of the first four bytes changes it by those bits, multiplied by x to the power of the
 * packet's bits modulo the polynomial. So the packet itself need not be read. */
#pragma once

#include "lib/packet.h"

#define CRC32C_POLYNOMIAL 0x82f63b78u /* bits reflected: the lowest bit stands for the highest power */
#define SCTP_LENGTH_BITS 16

/* x^(8 * 2^k) modulo the polynomial. */
static const __u32 crc32c_powers[SCTP_LENGTH_BITS] = {
    0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7,
    0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc};

GLOBAL __u32 crc32c_multiply(__u32 a, __u32 b) {
  __u32 product = 0;
  for (int i = 0; i < 32; i++) {
    product ^= b & -(a >> 31);
    a <<= 1;
    b = b >> 1 ^ (CRC32C_POLYNOMIAL & -(b & 1));
  }
  return product;
}

/* `change`: of the first four bytes of `length`, as they lie in memory on a little-endian machine. */
GLOBAL __u32 crc32c_change(__u32 change, __u32 length) {
  for (__u32 k = 0; k < SCTP_LENGTH_BITS; k++)
    if (length >> k & 1) change = crc32c_multiply(crc32c_powers[k], change);
  return change;
}

/* Bytes from the SCTP header to the end of the packet: IP says it, as short frames are padded. */
static __always_inline __u32 sctp_length(struct __sk_buff *skb, const struct packet *p) {
  __be16 length = 0;
  __u32 at = ETH_HLEN + (p->family == 4 ? 2 : 4), base = ETH_HLEN + (p->family == 4 ? 0 : sizeof(struct ipv6hdr));
  if (bpf_skb_load_bytes(skb, at, &length, 2)) return 0;
  return base + bpf_ntohs(length) - p->l4;
}

GLOBAL int rewrite_sctp_port(struct __sk_buff *skb, const struct packet *p, __be16 old, __be16 new, int source) {
  if (!p || p->first_fragment) return -1; /* how long the whole packet is, nobody knows yet */
  __le32 check;
  if (bpf_skb_load_bytes(skb, p->l4 + 8, &check, 4)) return -1;
  if (check) { /* zero: a device will compute it */
    __u32 change = (__u32)(__u16)(old ^ new) << (source ? 0 : 16);
    check ^= crc32c_change(change, sctp_length(skb, p));
    if (bpf_skb_store_bytes(skb, p->l4 + 8, &check, 4, 0)) return -1;
  }
  return bpf_skb_store_bytes(skb, p->l4 + (source ? 0 : 2), &new, 2, 0) ? -1 : 0;
}
