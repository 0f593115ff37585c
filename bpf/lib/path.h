/* SPDX-License-Identifier: Apache-2.0 */
/* What every packet goes through: one flow lookup, or judgement. */
#pragma once

#include "lib/icmp.h"
#include "lib/judge.h"
#include "lib/refuse.h"

GLOBAL int slow_path(struct __sk_buff *skb, struct packet *p, struct flow_value *old) {
  if (!p) return TC_ACT_SHOT;
  const struct node_config *c = node();
  if (!c) return TC_ACT_SHOT;
  if (p->kind == PACKET_ICMP_ERROR) return related(skb, p, c);
  if (old && flow_ended(old, p, flow_clock())) {
    flow_remove(p, old);
    old = 0;
  }
  int verdict = judge(skb, p, old, c);
  struct scratch *s = scratch();
  if (!s) return TC_ACT_SHOT;
  if (verdict == JUDGE_PASS) return TC_ACT_OK;
  if (verdict) {
    if (old) {
      flow_remove(p, old);
      if (verdict == DROP_EGRESS_DENIED || verdict == DROP_INGRESS_DENIED) verdict = DROP_REVOKED;
    }
    if (verdict == DROP_NO_BACKEND) return refuse(skb, p, &s->flow, verdict);
    return drop(skb, p, &s->flow, verdict);
  }
  count(p->key.hook, DROP_NONE);
  p->tick = 1;
  return deliver(skb, p, &s->flow, c);
}

static __always_inline int path(struct __sk_buff *skb, int hook, __u32 ifindex) {
  struct packet p = {};
  int parsed = parse(skb, &p, hook, ifindex);
  if (parsed == PARSE_PASS) return TC_ACT_OK;
  if (parsed) return drop(skb, &p, 0, parsed);
  const struct node_config *c = node();
  if (!c) return TC_ACT_SHOT;
  struct flow_value *flow = 0;
  if (p.kind != PACKET_ICMP_ERROR) {
    __u32 now = flow_clock();
    flow = bpf_map_lookup_elem(&flows, &p.key);
    if (flow && !flow_ended(flow, &p, now) && (flow->flags & FLOW_REPLY || flow->epoch == c->epoch) && !opens(&p)) {
      p.tick = flow->last_seen != now;
      flow_seen(&p, flow, now);
      if (flow->delivery == DELIVER_NETWORK && (p.tick || !(flow->flags & FLOW_NEXT_HOP)))
        resolve_next_hop(skb, &p, flow, c->uplink_ifindex);
      return deliver(skb, &p, flow, c);
    }
  }
  return slow_path(skb, &p, flow);
}
