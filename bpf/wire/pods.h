/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/wire.h"

/* Equal to desired::kThisNodeIdentity and the others of desired/pods/pods.h; realize/ asserts it. */
enum {
  IDENTITY_NONE = 0,
  IDENTITY_THIS_NODE = 1,
  IDENTITY_REMOTE_NODE = 2,
  IDENTITY_NODE_DNS = 3,
};

enum pod_flags {
  POD_INGRESS_ISOLATED = 1,
  POD_EGRESS_ISOLATED = 2,
  POD_BLOCKED = 4,
  POD_INGRESS_TIERED = 8, /* ClusterNetworkPolicies have rules for it */
  POD_EGRESS_TIERED = 16,
};

/* Hash pods: __u32 ifindex of the host end -> */
struct pod_value {
  struct wire_address address4, address6; /* zero: none of that family */
  __u8 pod_mac[6], host_mac[6];
  __u32 identity;
  __u32 flags; /* enum pod_flags */
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct pod_value) == 56);

enum peer_kind { /* equal to desired::PeerKind */
                 PEER_OUTSIDE = 0,
                 PEER_LOCAL_POD = 1,
                 PEER_REMOTE_POD = 2,
                 PEER_THIS_NODE = 3,
                 PEER_REMOTE_NODE = 4,
                 PEER_NODE_DNS = 5,
                 PEER_REMOTE_POD_CIDR = 6,
                 PEER_LOCAL_POD_CIDR = 7,
                 PEER_SERVICE_CIDR = 8,
};

/* Key of the tries over addresses. A guard row ::ffff:0:0/96 is always there, so that an IPv6 prefix shorter than 96
 * bits never speaks for IPv4. */
struct address_lpm_key {
  __u32 length; /* bits of the 16-byte form */
  struct wire_address address;
};
WIRE_ASSERT(sizeof(struct address_lpm_key) == 20);

/* LPM peers -> */
struct peer_value {
  struct wire_address node; /* remote pods: where they are; zero: unknown */
  __u32 identity;
  __u32 ifindex; /* local pods: host end */
  __u8 kind;     /* enum peer_kind */
  __u8 pad0[3];
};
WIRE_ASSERT(sizeof(struct peer_value) == 28);
