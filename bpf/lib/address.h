/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/wire.h"

static __always_inline void copy_address(struct wire_address *to, const struct wire_address *from) {
  to->words[0] = from->words[0];
  to->words[1] = from->words[1];
  to->words[2] = from->words[2];
  to->words[3] = from->words[3];
}

static __always_inline void map_v4(struct wire_address *to, __be32 v4) {
  to->words[0] = to->words[1] = 0;
  to->words[2] = __builtin_bswap32(0xffff);
  to->words[3] = v4;
}

static __always_inline __be32 v4_of(const struct wire_address *a) { return a->words[3]; }

static __always_inline int equal(const struct wire_address *a, const struct wire_address *b) {
  return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2] &&
         a->words[3] == b->words[3];
}

static __always_inline int is_zero(const struct wire_address *a) {
  return !(a->words[0] | a->words[1] | a->words[2] | a->words[3]);
}

static __always_inline int is_v4(const struct wire_address *a) {
  return !(a->words[0] | a->words[1]) && a->words[2] == __builtin_bswap32(0xffff);
}

/* The addresses that have frontends of scope SCOPE_LOOPBACK: 127.0.0.1 and ::1. */
static __always_inline int is_loopback(const struct wire_address *a) {
  return is_v4(a) ? a->words[3] == __builtin_bswap32(0x7f000001)
                  : !(a->words[0] | a->words[1] | a->words[2]) && a->words[3] == __builtin_bswap32(1);
}

static __always_inline int is_multicast(const struct wire_address *a, int family) {
  return family == 6 ? a->bytes[0] == 0xff : a->bytes[12] >= 224;
}
