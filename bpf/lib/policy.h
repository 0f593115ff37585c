/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/drop.h"

static __always_inline const struct peer_value *find_peer(const struct wire_address *address) {
  struct address_lpm_key key = {.length = 128};
  copy_address(&key.address, address);
  return bpf_map_lookup_elem(&peers, &key);
}

/* May `subject` talk with the peer? *rule is the one that says yes. NetworkPolicy v1: rules only add up, so any hit of
 * (identity), (cidr class), (anybody) is a yes. */
GLOBAL int policy_allows(__u32 subject, __u32 direction, __u32 peer, const struct wire_address *address,
                         __u32 protocol_and_port) {
  if (!address) return 0;
  struct policy_lpm_key key = {.length = POLICY_BITS_EXACT};
  key.subject = subject;
  key.direction = direction;
  key.protocol = protocol_and_port >> 16;
  key.port_be = protocol_and_port;
  const struct policy_value *value;
  if (peer >= IDENTITY_NODE_DNS) { /* nodes are matched by ipBlock only */
    key.peer_kind = POLICY_PEER_IDENTITY;
    key.peer = peer;
    value = bpf_map_lookup_elem(&policy, &key);
    if (value) goto allowed;
  }
  {
    struct address_lpm_key lpm = {.length = 128};
    copy_address(&lpm.address, address);
    const __u32 *cidr_class = bpf_map_lookup_elem(&cidrs, &lpm);
    if (cidr_class && *cidr_class) {
      key.peer_kind = POLICY_PEER_CIDR_CLASS;
      key.peer = *cidr_class;
      value = bpf_map_lookup_elem(&policy, &key);
      if (value) goto allowed;
    }
  }
  key.peer_kind = POLICY_PEER_ANY;
  key.peer = 0;
  value = bpf_map_lookup_elem(&policy, &key);
  if (!value) return 0;
allowed: {
  struct scratch *s = scratch();
  if (s) s->flow.rule = value->rule;
  return 1;
}
}
