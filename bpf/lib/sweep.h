/* SPDX-License-Identifier: Apache-2.0 */
/* An LRU map that is full, and whose entries have all been used, evicts at random: also the connection of a moment ago.
 * So the agent runs this before it is full (docs/adr/0013). */
#pragma once

#include "lib/flows.h"

struct sweep_state {
  __u32 now;
  struct flow_sweep done;
};

static long sweep_one(void *map, const struct flow_key *key, struct flow_value *flow, struct sweep_state *state) {
  if (!flow_over(flow, key->protocol, state->now)) {
    state->done.living++;
    return 0;
  }
  struct flow_key gone = *key; /* the map's own memory, which may serve another connection by now */
  if (!bpf_map_delete_elem(&flows, &gone)) state->done.removed++;
  return 0;
}

static __always_inline int sweep_flows(struct flow_sweep *done) {
  struct sweep_state state = {.now = flow_clock()};
  bpf_for_each_map_elem(&flows, sweep_one, &state, 0);
  *done = state.done;
  return 0;
}
