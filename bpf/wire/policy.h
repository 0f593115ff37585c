/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/pods.h"

enum { POLICY_INGRESS = 0, POLICY_EGRESS = 1 };                                     /* desired::Direction */
enum { POLICY_PEER_ANY = 0, POLICY_PEER_IDENTITY = 1, POLICY_PEER_CIDR_CLASS = 2 }; /* desired::PolicyPeerKind */

/* LPM policy: what an isolated pod may do; no row = denied. Protocol and port come last, so "every protocol", "every
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

struct policy_value {
  __u32 rule; /* low 32 bits of the stable hash of the first allowing rule's owner */
};

/* LPM cidrs: address_lpm_key -> __u32 class, 0 = in no ipBlock. */
