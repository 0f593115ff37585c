/* SPDX-License-Identifier: Apache-2.0 */
/* What every packet goes through: one flow lookup, or judgement. */
#pragma once

#include "lib/icmp.h"
#include "lib/judge.h"
#include "lib/refuse.h"
#include "lib/reset.h"

/* Need this packet not be judged? `flow` is of its own direction, and has not ended. */
static __always_inline int is_judged(const struct flow_value *flow, const struct packet *p,
                                     const struct node_config *c) {
  return (flow->flags & FLOW_REPLY || flow->epoch == c->epoch) && !opens(p);
}

GLOBAL int slow_path(struct __sk_buff *skb, struct packet *p, struct flow_value *old) {
  if (!p) return TC_ACT_SHOT;
  const struct node_config *c = node();
  struct scratch *s = scratch();
  if (!c || !s) return TC_ACT_SHOT;
  if (s->answering) return TC_ACT_OK;
  if (p->kind == PACKET_ICMP_ERROR) return related(skb, p, c);
  __u32 now = flow_clock();
  if (old && flow_ended(old, p, now)) {
    if (opens(p) || flow_over(old, p->key.protocol, now)) {
      flow_remove(p, old);
      old = 0;
    } else if (is_judged(old, p, c)) { /* silent for long, but the other direction was not */
      flow_seen(p, old, now);
      s->flow = *old;
      s->flow.flags &= ~FLOW_NEXT_HOP;
      p->tick = 1;
      return deliver(skb, p, &s->flow, c);
    }
  }
  int verdict = judge(skb, p, old, c);
  if (verdict == JUDGE_PASS) return TC_ACT_OK;
  if (verdict) {
    if (verdict == DROP_ENDPOINT_REMOVED) {
      if (!old || reset_both(skb, p, old, c)) return TC_ACT_SHOT;
      p->tick = 1;
      return deliver(skb, p, &s->flow, c);
    }
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
    if (flow && !flow_ended(flow, &p, now) && is_judged(flow, &p, c)) {
      p.tick = flow->last_seen != now;
      flow_seen(&p, flow, now);
      if (flow->delivery == DELIVER_NETWORK && (p.tick || !(flow->flags & FLOW_NEXT_HOP)))
        resolve_next_hop(skb, &p, flow, c->uplink_ifindex);
      return deliver(skb, &p, flow, c);
    }
  }
  return slow_path(skb, &p, flow);
}
