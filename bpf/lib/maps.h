/* SPDX-License-Identifier: Apache-2.0 */
/* Every map. Sizes are defaults; the agent sets them before loading (kernel/programs.h, MapSizes). */
#pragma once

#include <bpf/bpf_helpers.h>
#include <linux/bpf.h>

#include "wire/choice.h"
#include "wire/config.h"
#include "wire/drops.h"
#include "wire/events.h"
#include "wire/flows.h"
#include "wire/pods.h"
#include "wire/policy.h"
#include "wire/services.h"

/* A function that the verifier checks once, on its own, instead of at every call in every state: without this, loading
 * takes seconds. Its pointer arguments may be null as far as the verifier knows, so each is tested. (__noinline is not
 * enough.) */
#define GLOBAL __attribute__((noinline))

#define HASH_MAP(name, key_type, value_type, size)                 \
  struct {                                                         \
    __uint(type, BPF_MAP_TYPE_HASH);                               \
    __uint(map_flags, BPF_F_NO_PREALLOC); /* memory follows use */ \
    __uint(max_entries, size);                                     \
    __type(key, key_type);                                         \
    __type(value, value_type);                                     \
  } name SEC(".maps")

#define LPM_MAP(name, key_type, value_type, size) \
  struct {                                        \
    __uint(type, BPF_MAP_TYPE_LPM_TRIE);          \
    __uint(map_flags, BPF_F_NO_PREALLOC);         \
    __uint(max_entries, size);                    \
    __type(key, key_type);                        \
    __type(value, value_type);                    \
  } name SEC(".maps")

#define LRU_MAP(name, key_type, value_type, size) \
  struct {                                        \
    __uint(type, BPF_MAP_TYPE_LRU_HASH);          \
    __uint(max_entries, size);                    \
    __type(key, key_type);                        \
    __type(value, value_type);                    \
  } name SEC(".maps")

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct node_config);
} config SEC(".maps");

HASH_MAP(pods, __u32, struct pod_value, 1024);
LPM_MAP(peers, struct address_lpm_key, struct peer_value, 65536);
LPM_MAP(cidrs, struct address_lpm_key, __u32, 16384);
LPM_MAP(policy, struct policy_lpm_key, struct policy_value, 131072);
HASH_MAP(frontends, struct frontend_key, struct frontend_value, 65536);
HASH_MAP(backends, struct backend_key, struct backend_value, 262144);
HASH_MAP(members, struct member_key, __u32, 262144);
HASH_MAP(choices, struct choice_key, struct choice_value, 262144);
LPM_MAP(sources, struct source_lpm_key, __u32, 16384);
LRU_MAP(affinity, struct affinity_key, struct affinity_value, 16384);
LRU_MAP(hits, struct hit_key, __u64, 16384);
LRU_MAP(sockets, struct socket_key, struct socket_value, 16384);
LRU_MAP(flows, struct flow_key, struct flow_value, 262144);
LRU_MAP(fragments, struct fragment_key, struct fragment_value, 4096);

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, HOOK_COUNT *WIRE_DROP_SLOTS);
  __type(key, __u32);
  __type(value, __u64);
} drops SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 256 * 1024);
} events SEC(".maps");

/* Working memory of the slow path: too large for the 512-byte stack. Only tc programs use it; they do not nest. */
struct scratch {
  struct flow_value flow, reverse;
  struct flow_key reverse_key;
  __u32 refusal;   /* enum wire_drop: why the client is refused, when it is not for want of a backend */
  __u32 answering; /* a copy of the packet is being sent back: programs that meet it let it pass */
};
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct scratch);
} scratches SEC(".maps");

static __always_inline const struct node_config *node(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline struct scratch *scratch(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&scratches, &zero);
}
