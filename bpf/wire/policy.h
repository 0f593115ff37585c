/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/pods.h"

enum { POLICY_INGRESS = 0, POLICY_EGRESS = 1 }; /* desired::Direction */
enum {                                          /* desired::PolicyPeerKind */
       POLICY_PEER_ANY = 0,
       POLICY_PEER_IDENTITY = 1,
       POLICY_PEER_CIDR_CLASS = 2,
       POLICY_PEER_ANY_POD = 3,
};
enum { POLICY_ACCEPT = 0, POLICY_DENY = 1, POLICY_PASS = 2 }; /* desired::PolicyAction */

/* LPM policy: what rules say of a pod, a peer and a port. Protocol and port come last, so "every protocol", "every
 * port" and port blocks (ranges) are prefixes of one key and need one lookup. */
struct policy_lpm_key {
  __u32 length; /* POLICY_BITS_ANY_PROTOCOL, POLICY_BITS_ANY_PORT + port bits */
  __u32 subject;
  __u32 peer;
  __u8 direction;
  __u8 peer_kind;
  __u8 pad0;
  __u8 protocol;
  __be16 port_be;
  __u8 pad1[2]; /* never within the prefix */
};
#define POLICY_BITS_ANY_PROTOCOL 88
#define POLICY_BITS_ANY_PORT 96
#define POLICY_BITS_EXACT 112
WIRE_ASSERT(sizeof(struct policy_lpm_key) == 20);

/* Of each tier the first rule: its place in the tier above its action (low 2 bits), so the smallest number decides. */
#define POLICY_NO_RULE 0xffffffffu
#define POLICY_ACTION 3
struct policy_value {
  __u32 allowed_by; /* NetworkPolicy: the first rule that allows it; 0: none does */
  __u32 admin, baseline;
  __u32 admin_rule, baseline_rule;
};
WIRE_ASSERT(sizeof(struct policy_value) == 20);
/* A rule is named by the low 32 bits of the stable hash of its owner, never 0. */

/* LPM cidrs: address_lpm_key -> __u32 class, 0 = in no ipBlock. */
