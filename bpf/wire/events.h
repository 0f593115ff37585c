/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "wire/flows.h"

/* Ring buffer events. */
struct drop_event {
  __u64 time;              /* ns of CLOCK_MONOTONIC */
  struct wire_tuple tuple; /* as it arrived */
  struct wire_tuple translated;
  __u32 ifindex;
  __u32 src_identity, dst_identity;
  __u32 length; /* bytes of the packet */
  __u64 service_id;
  __u8 reason; /* enum wire_drop */
  __u8 hook;   /* enum wire_hook */
  __u8 protocol;
  __u8 tcp_flags;
  __u32 pad0;
};
WIRE_ASSERT(sizeof(struct drop_event) == 112);
