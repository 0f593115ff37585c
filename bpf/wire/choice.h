/* SPDX-License-Identifier: Apache-2.0 */
/* Which backend a new connection gets: the numbers and the function, the only copy. docs/design/services.md, "Choice of
 * backend". */
#pragma once

#include "wire/flows.h"

/* Hash choices: tables of the consistent choice, in chunks. The place `hash % CHOICE_PLACES` of a table has the slot of
 * a backend in its set. Every table has as many places: else one more backend could move every connection. */
#define CHOICE_PLACES 16381
struct choice_key {
  __u64 table; /* by its content */
  __u32 chunk;
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct choice_key) == 16);

#define CHOICE_CHUNK 448  /* bytes; the kernel's row of 48 bytes, key and value fill 512 */
#define CHOICE_NARROW 255 /* up to so many backends a place is a byte, else two */
struct choice_value {
  union {
    __u8 narrow[CHOICE_CHUNK];
    __u16 wide[CHOICE_CHUNK / 2];
  };
};
WIRE_ASSERT(sizeof(struct choice_value) == CHOICE_CHUNK);

static inline __attribute__((always_inline)) __u32 choice_mix(__u32 hash, __u32 word) { /* murmur3 */
  word *= 0xcc9e2d51u;
  word = word << 15 | word >> 17;
  hash ^= word * 0x1b873593u;
  hash = hash << 13 | hash >> 19;
  return hash * 5 + 0xe6546b64u;
}

/* Of a connection as the client made it: equal on every node, before and after a restart. */
static inline __attribute__((always_inline)) __u32 choice_hash(const struct wire_tuple *tuple) {
  __u32 words[9], hash = 0x9747b28cu;
  __builtin_memcpy(words, tuple, sizeof(words));
#pragma unroll
  for (int i = 0; i < 9; i++) hash = choice_mix(hash, words[i]);
  hash ^= hash >> 16;
  hash *= 0x85ebca6bu;
  hash ^= hash >> 13;
  hash *= 0xc2b2ae35u;
  return hash ^ hash >> 16;
}
