/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include <linux/pkt_cls.h>

#include "lib/packet.h"

static __always_inline void count(__u32 hook, __u32 reason) {
  __u32 index = hook * WIRE_DROP_SLOTS + reason;
  __u64 *counter = bpf_map_lookup_elem(&drops, &index);
  if (counter) ++*counter;
}

/* Counts and reports the end of a packet. `flow` (may be null) says what had been decided about it until then. */
GLOBAL int drop(struct __sk_buff *skb, const struct packet *p, const struct flow_value *flow, int reason) {
  if (!p) return TC_ACT_SHOT;
  count(p->key.hook, reason);
  struct drop_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);
  if (!event) return TC_ACT_SHOT; /* nobody reads; the counter has it */
  __builtin_memset(event, 0, sizeof(*event));
  event->time = bpf_ktime_get_ns();
  event->tuple = p->key.tuple;
  event->ifindex = skb->ifindex;
  event->length = skb->len;
  event->reason = reason;
  event->hook = p->key.hook;
  event->protocol = p->key.protocol;
  event->tcp_flags = p->tcp_flags;
  if (flow) {
    event->translated = flow->tuple;
    event->src_identity = flow->src_identity;
    event->dst_identity = flow->dst_identity;
    event->service_id = flow->service_id;
  }
  bpf_ringbuf_submit(event, 0);
  return TC_ACT_SHOT;
}
