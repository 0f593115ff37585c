/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/flows.h"

#define NS_PER_SECOND 1000000000ull

static __always_inline const struct frontend_value *find_frontend(const struct wire_address *address, __be16 port_be,
                                                                  __u8 protocol, __u8 scope) {
  struct frontend_key key = {.port_be = port_be, .protocol = protocol, .scope = scope};
  copy_address(&key.address, address);
  return bpf_map_lookup_elem(&frontends, &key);
}

/* loadBalancerSourceRanges (SVC-D13): asked where a connection is new. */
static __always_inline int source_allowed(const struct frontend_value *frontend, const struct wire_address *client) {
  if (!frontend->sources) return 1;
  struct source_lpm_key key = {.length = SOURCE_LIST_BITS + 128};
  key.list[0] = frontend->sources;
  key.list[1] = frontend->sources >> 32;
  copy_address(&key.address, client);
  return bpf_map_lookup_elem(&sources, &key) != 0;
}

GLOBAL int is_one_of_few(const struct frontend_value *frontend, const struct wire_address *address, __u32 port_be) {
  if (!frontend || !address) return 0;
  for (__u32 slot = 0; slot < FEW_BACKENDS; slot++) {
    struct backend_key key = {.set = frontend->set, .slot = slot};
    const struct backend_value *backend = slot < frontend->count ? bpf_map_lookup_elem(&backends, &key) : 0;
    if (!backend) return 0;
    if (backend->port_be == port_be && equal(&backend->address, address)) return 1;
  }
  return 0;
}

static __always_inline int is_member(const struct frontend_value *frontend, const struct wire_address *address,
                                     __be16 port_be) {
  if (frontend->count <= FEW_BACKENDS) return is_one_of_few(frontend, address, port_be);
  struct member_key key = {.set = frontend->set, .port_be = port_be};
  copy_address(&key.address, address);
  const __u32 *slot = bpf_map_lookup_elem(&members, &key);
  return slot && *slot != MEMBER_LISTED;
}

/* One of the service's endpoints at all, chosen or not? */
static __always_inline int is_listed(const struct frontend_value *frontend, const struct wire_address *address,
                                     __be16 port_be) {
  if (frontend->count <= FEW_BACKENDS && is_one_of_few(frontend, address, port_be)) return 1;
  struct member_key key = {.set = frontend->set, .port_be = port_be};
  copy_address(&key.address, address);
  return bpf_map_lookup_elem(&members, &key) != 0;
}

/* Equal tuples take equal backends, so a lost flow entry finds its way back while the set is unchanged. */
GLOBAL __u32 tuple_hash(const struct wire_tuple *t) { return t ? choice_hash(t) : 0; }

/* Round robin by hash; where connections enter the cluster, by a table that is the same on every node. */
static __always_inline __u32 backend_slot(const struct frontend_value *frontend, __u32 hash) {
  if (frontend->table) {
    int wide = frontend->count > CHOICE_NARROW;
    __u32 place = hash % CHOICE_PLACES, places = wide ? CHOICE_CHUNK / 2 : CHOICE_CHUNK;
    struct choice_key key = {.table = frontend->table, .chunk = place / places};
    const struct choice_value *chunk = bpf_map_lookup_elem(&choices, &key);
    __u32 index = place % places, slot = frontend->count;
    asm volatile("" : "+r"(index)); /* the verifier wants to see what the compiler knows */
    if (chunk && wide && index < CHOICE_CHUNK / 2) slot = chunk->wide[index];
    if (chunk && !wide && index < CHOICE_CHUNK) slot = chunk->narrow[index];
    if (slot < frontend->count) return slot;
  }
  return hash % frontend->count;
}

static __always_inline const struct backend_value *find_backend(const struct frontend_value *frontend, __u32 hash) {
  struct backend_key key = {.set = frontend->set, .slot = backend_slot(frontend, hash)};
  return bpf_map_lookup_elem(&backends, &key);
}

/* The backend this client had, when affinity asks for it and it is still one (SVC-D15). 0: none; else *out is it.
 * A choice made now is remembered by remember_affinity. */
GLOBAL int recall_affinity(const struct affinity_key *key, const struct frontend_value *frontend,
                           struct backend_value *out) {
  if (!key || !frontend || !out) return 0;
  __u32 now = bpf_ktime_get_coarse_ns() / NS_PER_SECOND;
  struct affinity_value *value = bpf_map_lookup_elem(&affinity, key);
  if (!value || now - value->seen > frontend->affinity_seconds) return 0;
  if (!is_member(frontend, &value->address, value->port_be)) return 0;
  value->seen = now;
  copy_address(&out->address, &value->address);
  out->port_be = value->port_be;
  return 1;
}

GLOBAL int remember_affinity(const struct affinity_key *key, const struct backend_value *backend) {
  if (!key || !backend) return 0;
  struct affinity_value value = {.port_be = backend->port_be, .seen = bpf_ktime_get_coarse_ns() / NS_PER_SECOND};
  copy_address(&value.address, &backend->address);
  return bpf_map_update_elem(&affinity, key, &value, BPF_ANY);
}

static __always_inline void count_hit(const struct frontend_value *frontend, const struct backend_value *backend) {
  struct hit_key key = {.service_id = frontend->service_id, .port_be = backend->port_be};
  copy_address(&key.backend, &backend->address);
  __u64 *hit = bpf_map_lookup_elem(&hits, &key), one = 1;
  if (hit)
    __sync_fetch_and_add(hit, 1);
  else
    bpf_map_update_elem(&hits, &key, &one, BPF_ANY);
}

/* One of the frontend's backends for this client into *out; 0, or enum wire_drop. */
GLOBAL int choose_backend(const struct frontend_value *frontend, const struct affinity_key *client, __u32 hash,
                          struct backend_value *out) {
  if (!frontend || !client || !out) return DROP_NO_BACKEND;
  if (!frontend->count) return frontend->flags & FRONTEND_DROP_WHEN_EMPTY ? DROP_NO_LOCAL_BACKEND : DROP_NO_BACKEND;
  if (frontend->affinity_seconds && recall_affinity(client, frontend, out)) {
    count_hit(frontend, out);
    return 0;
  }
  const struct backend_value *backend = find_backend(frontend, hash);
  if (!backend) return DROP_NO_BACKEND; /* the row changes under us: the client tries again */
  copy_address(&out->address, &backend->address);
  out->port_be = backend->port_be;
  out->flags = backend->flags;
  if (frontend->affinity_seconds) remember_affinity(client, backend);
  count_hit(frontend, out);
  return 0;
}
