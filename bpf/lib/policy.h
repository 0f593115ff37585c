/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "lib/drop.h"

static __always_inline const struct peer_value *find_peer(const struct wire_address *address) {
  struct address_lpm_key key = {.length = 128};
  copy_address(&key.address, address);
  return bpf_map_lookup_elem(&peers, &key);
}

/* A client that no table knows. */
static __always_inline int from_outside(const struct packet *p) {
  const struct peer_value *client = find_peer(&p->key.tuple.src);
  return !client || client->kind == PEER_OUTSIDE;
}

/* What the rows that were found say together. */
struct policy_found {
  __u32 allowed_by, admin, admin_rule, baseline, baseline_rule;
};

static __always_inline void policy_look(const struct policy_lpm_key *key, struct policy_found *found) {
  const struct policy_value *value = bpf_map_lookup_elem(&policy, key);
  if (!value) return;
  if (!found->allowed_by) found->allowed_by = value->allowed_by;
  if (value->admin < found->admin) {
    found->admin = value->admin;
    found->admin_rule = value->admin_rule;
  }
  if (value->baseline < found->baseline) {
    found->baseline = value->baseline;
    found->baseline_rule = value->baseline_rule;
  }
}

/* Admin tier, NetworkPolicy where it selects the pod, Baseline tier, allow (CNP-3). *rule is the one that decides. */
static __always_inline int policy_conclude(const struct policy_found *found, __u32 tiered, __u32 isolated,
                                           __u32 *rule) {
  __u32 action = found->admin & POLICY_ACTION;
  if (tiered && found->admin != POLICY_NO_RULE && action != POLICY_PASS) {
    *rule = found->admin_rule;
    return action == POLICY_ACCEPT;
  }
  if (isolated) {
    *rule = found->allowed_by;
    return found->allowed_by != 0;
  }
  action = found->baseline & POLICY_ACTION;
  if (tiered && found->baseline != POLICY_NO_RULE && action != POLICY_PASS) {
    *rule = found->baseline_rule;
    return action == POLICY_ACCEPT;
  }
  return 1;
}

/* May `subject` talk with the peer? `direction` with its two pod_flags << 8; the rule that decides goes to the flow.
 * Rules of NetworkPolicies only add up: without tiers the first hit of (identity), (any pod), (cidr class), (anybody)
 * is a yes. */
GLOBAL int policy_allows(__u32 subject, __u32 direction, __u32 peer, const struct wire_address *address,
                         __u32 protocol_and_port) {
  if (!address) return 0;
  __u32 flags = direction >> 8, tiered = flags & (POD_INGRESS_TIERED | POD_EGRESS_TIERED);
  __u32 isolated = flags & (POD_INGRESS_ISOLATED | POD_EGRESS_ISOLATED);
  struct policy_found found = {.admin = POLICY_NO_RULE, .baseline = POLICY_NO_RULE};
  struct policy_lpm_key key = {.length = POLICY_BITS_EXACT};
  key.subject = subject;
  key.direction = direction;
  key.protocol = protocol_and_port >> 16;
  key.port_be = protocol_and_port;
  if (peer >= IDENTITY_NODE_DNS) { /* nodes are matched by address only */
    key.peer_kind = POLICY_PEER_IDENTITY;
    key.peer = peer;
    policy_look(&key, &found);
    if (tiered || !found.allowed_by) {
      key.peer_kind = POLICY_PEER_ANY_POD;
      key.peer = 0;
      policy_look(&key, &found);
    }
  }
  if (tiered || !found.allowed_by) {
    struct address_lpm_key lpm = {.length = 128};
    copy_address(&lpm.address, address);
    const __u32 *cidr_class = bpf_map_lookup_elem(&cidrs, &lpm);
    if (cidr_class && *cidr_class) {
      key.peer_kind = POLICY_PEER_CIDR_CLASS;
      key.peer = *cidr_class;
      policy_look(&key, &found);
    }
  }
  if (tiered || !found.allowed_by) {
    key.peer_kind = POLICY_PEER_ANY;
    key.peer = 0;
    policy_look(&key, &found);
  }
  __u32 rule = 0;
  int allowed = policy_conclude(&found, tiered, isolated, &rule);
  struct scratch *s = scratch();
  if (s && allowed) s->flow.rule = rule;
  return allowed;
}
