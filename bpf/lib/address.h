/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/wire.h"

static __always_inline void copy_address(struct wire_address *to, const struct wire_address *from) {
	__builtin_memcpy(to, from, sizeof(*to));
}

static __always_inline void map_v4(struct wire_address *to, __be32 v4) {
	__builtin_memset(to, 0, 10);
	to->bytes[10] = 0xff;
	to->bytes[11] = 0xff;
	__builtin_memcpy(&to->bytes[12], &v4, 4);
}

static __always_inline __be32 v4_of(const struct wire_address *a) {
	__be32 v4;
	__builtin_memcpy(&v4, &a->bytes[12], 4);
	return v4;
}

static __always_inline int equal(const struct wire_address *a, const struct wire_address *b) {
	__u32 x[4], y[4];
	__builtin_memcpy(x, a, 16);
	__builtin_memcpy(y, b, 16);
	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline int is_zero(const struct wire_address *a) {
	__u32 x[4];
	__builtin_memcpy(x, a, 16);
	return !(x[0] | x[1] | x[2] | x[3]);
}

static __always_inline int is_v4(const struct wire_address *a) {
	__u32 x[3];
	__builtin_memcpy(x, a, 12);
	return !(x[0] | x[1]) && x[2] == __builtin_bswap32(0xffff);
}

static __always_inline int is_multicast(const struct wire_address *a, int family) {
	return family == 6 ? a->bytes[0] == 0xff : a->bytes[12] >= 224;
}
