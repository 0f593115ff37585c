/* SPDX-License-Identifier: Apache-2.0 */
/* The slow path: a packet without a valid flow entry. Who sends, which service, who receives, what policy says, how it
 * goes on; then the two entries that spare every later packet these questions. */
#pragma once

#include "lib/nat.h"
#include "lib/policy.h"
#include "lib/services.h"

/* Result besides 0 (entries are made, s->flow says what to do) and enum wire_drop. */
#define JUDGE_PASS (-1) /* not ours: the stack's business, no entry */

static __always_inline int is_hook(const struct packet *p, int hook) { return p->key.hook == hook; }

/* Sender: s->flow.src_identity, and for pods who they are and that they are who they say. */
static __always_inline int judge_sender(struct __sk_buff *skb, struct packet *p, struct scratch *s,
                                        const struct pod_value **pod) {
  if (is_hook(p, HOOK_FROM_POD)) {
    const struct pod_value *sender = bpf_map_lookup_elem(&pods, &p->key.ifindex);
    if (!sender) return DROP_POD_UNKNOWN;
    if (sender->flags & POD_BLOCKED) return DROP_POD_BLOCKED;
    if (!equal(&p->key.tuple.src, p->family == 6 ? &sender->address6 : &sender->address4)) return DROP_SPOOFED;
    s->flow.src_identity = sender->identity;
    *pod = sender;
    return is_multicast(&p->key.tuple.dst, p->family) ? DROP_MULTICAST : 0;
  }
  if (is_hook(p, HOOK_TO_POD) && !skb->ingress_ifindex) { /* made by a process of this node */
    s->flow.src_identity = IDENTITY_THIS_NODE;
    return 0;
  }
  const struct peer_value *peer = find_peer(&p->key.tuple.src);
  /* An arriving packet with our own address has not come from us: it gets no rights from it (NP-14). */
  s->flow.src_identity = peer && peer->kind != PEER_THIS_NODE ? peer->identity : IDENTITY_NONE;
  return 0;
}

/* May the flow keep the backend that it has? TCP that was answered keeps it whatever becomes of the endpoint (SVC-D18);
 * others follow the service (SVC-D16). */
static __always_inline int keeps_translation(const struct packet *p, const struct flow_value *old,
                                             const struct frontend_value *frontend) {
  if (p->key.protocol == IPPROTO_TCP && old->flags & FLOW_SEEN_REPLY) return 1;
  if (old->flags & FLOW_DSR) return 0; /* chosen again: the same backend, while it is one */
  if (!frontend) return !(old->flags & FLOW_SERVICE);
  return old->flags & FLOW_SERVICE && is_member(frontend, &old->tuple.dst, old->tuple.dport_be);
}

/* The frontend that this packet asks for. By the tunnel also a NodePort at another node's address, which stands in the
 * table at the unspecified one. */
static __always_inline const struct frontend_value *asked_frontend(const struct packet *p) {
  if (is_hook(p, HOOK_TO_POD)) return 0;
  __u8 scope = is_hook(p, HOOK_FROM_NET) ? SCOPE_EXTERNAL : SCOPE_INTERNAL;
  const struct frontend_value *frontend =
      find_frontend(&p->key.tuple.dst, p->key.tuple.dport_be, p->key.protocol, scope);
  if (frontend || !p->tunnelled) return frontend;
  const struct peer_value *peer = find_peer(&p->key.tuple.dst);
  if (!peer || peer->kind != PEER_REMOTE_NODE) return 0;
  struct wire_address any = {};
  if (p->family == 4) map_v4(&any, 0);
  return find_frontend(&any, p->key.tuple.dport_be, p->key.protocol, scope);
}

/* Answered TCP whose endpoint is none of the service any more, where such connections are ended. A service that is gone
 * itself, or has given up this port, says nothing about its endpoints: there it counts whether a pod has the address.
 */
static __always_inline int endpoint_removed(const struct packet *p, const struct flow_value *old,
                                            const struct frontend_value *frontend) {
  const struct node_config *c = node();
  __u16 answered = FLOW_SERVICE | FLOW_SEEN_REPLY;
  if (!c || !(c->flags & NODE_RESET_REMOVED) || p->key.protocol != IPPROTO_TCP || p->tcp_flags & TCP_RST ||
      (old->flags & answered) != answered)
    return 0;
  if (frontend && frontend->service_id == old->service_id)
    return !is_listed(frontend, &old->tuple.dst, old->tuple.dport_be);
  const struct peer_value *peer = find_peer(&old->tuple.dst);
  return peer && (peer->kind == PEER_LOCAL_POD_CIDR || peer->kind == PEER_REMOTE_POD_CIDR);
}

/* Destination after services. */
GLOBAL int judge_service(struct packet *p, const struct flow_value *old, struct scratch *s) {
  if (!p || !s) return DROP_FLOW_TABLE;
  const struct frontend_value *frontend = asked_frontend(p);
  if (old) {
    int removed = endpoint_removed(p, old, frontend);
    if (removed && !opens(p)) return DROP_ENDPOINT_REMOVED;
    if (!removed && keeps_translation(p, old, frontend)) {
      s->flow.tuple = old->tuple;
      s->flow.service_id = old->service_id;
      s->flow.flags = old->flags & ~FLOW_NEXT_HOP;
      if (old->flags & FLOW_DSR) s->flow.delivery = DELIVER_TUNNEL, copy_address(&s->flow.node, &old->node);
      return 0;
    }
    flow_remove(p, old);
  }
  if (!frontend) return 0;
  struct affinity_key client = {.service_id = frontend->service_id};
  copy_address(&client.client, &p->key.tuple.src);
  struct backend_value backend = {};
  s->flow.service_id = frontend->service_id;
  if (!source_allowed(frontend, &p->key.tuple.src)) return DROP_SOURCE_RANGE;
  int failed = choose_backend(frontend, &client, tuple_hash(&p->key.tuple), &backend);
  if (failed) return failed;
  copy_address(&s->flow.tuple.dst, &backend.address);
  s->flow.tuple.dport_be = backend.port_be;
  s->flow.flags = FLOW_SERVICE;
  if (p->key.protocol == IPPROTO_SCTP && p->first_fragment && backend.port_be != p->key.tuple.dport_be)
    return DROP_SCTP_PORT;
  return 0;
}

static __always_inline __u32 protocol_and_port(const struct packet *p, const struct flow_value *flow) {
  /* ICMP has no ports; the identifier that stands in their place is nothing policy speaks about. */
  int icmp = p->key.protocol == IPPROTO_ICMP || p->key.protocol == PROTOCOL_ICMPV6;
  return (__u32)p->key.protocol << 16 | (icmp ? 0 : flow->tuple.dport_be);
}

/* To another machine: natively, or through the tunnel to s->flow.node. */
static __always_inline int judge_remote(struct scratch *s, const struct node_config *c) {
  if (!c->overlay_ifindex || c->flags & NODE_NATIVE_ROUTING) {
    s->flow.delivery = DELIVER_NETWORK;
    return c->uplink_ifindex ? 0 : DROP_NO_ROUTE;
  }
  if (is_zero(&s->flow.node)) return DROP_NO_ROUTE;
  s->flow.delivery = DELIVER_TUNNEL;
  return 0;
}

/* From outside to a backend elsewhere, the client's address kept: its node gets what we got. What came by the tunnel is
 * not handed on again. A client inside the cluster has other ways back than the uplink. */
static __always_inline int judge_return(const struct packet *p, struct scratch *s, const struct node_config *c) {
  if (!(c->flags & NODE_DSR) || p->tunnelled || !from_outside(p) || !is_v4(&s->flow.node)) return 0;
  s->flow.tuple = p->key.tuple;
  s->flow.flags |= FLOW_DSR;
  s->flow.delivery = DELIVER_TUNNEL;
  return 1;
}

static __always_inline int judge_local_pod(struct packet *p, struct scratch *s, const struct pod_value *sender,
                                           __u32 ifindex) {
  const struct pod_value *pod = bpf_map_lookup_elem(&pods, &ifindex);
  if (!pod) return DROP_NO_SUCH_POD;
  if (pod->flags & POD_BLOCKED) return DROP_POD_BLOCKED;
  s->flow.dst_identity = pod->identity;
  s->flow.ifindex = ifindex;
  s->flow.delivery = is_hook(p, HOOK_TO_POD) ? DELIVER_STACK : DELIVER_POD;
  __builtin_memcpy(s->flow.dst_mac, pod->pod_mac, 6);
  __builtin_memcpy(s->flow.src_mac, pod->host_mac, 6);
  /* The node may always talk to its pods (NP-10), a pod always to itself (NP-12). */
  int exempt = s->flow.src_identity == IDENTITY_THIS_NODE || (sender && ifindex == p->key.ifindex);
  __u32 ruled = pod->flags & (POD_INGRESS_ISOLATED | POD_INGRESS_TIERED);
  if (!ruled || exempt) return 0;
  return policy_allows(pod->identity, POLICY_INGRESS | ruled << 8, s->flow.src_identity, &p->key.tuple.src,
                       protocol_and_port(p, &s->flow))
             ? 0
             : DROP_INGRESS_DENIED;
}

/* Not translated, and yet an address of services (SVC-D4). 0: it is none. */
static __always_inline int judge_service_address(struct scratch *s, __u32 kind) {
  if (s->flow.flags & FLOW_SERVICE || (kind != PEER_OUTSIDE && kind != PEER_SERVICE_CIDR)) return 0;
  if (find_frontend(&s->flow.tuple.dst, 0, 0, SCOPE_INTERNAL)) {
    s->refusal = DROP_NO_SUCH_PORT;
    return DROP_NO_BACKEND;
  }
  return kind == PEER_SERVICE_CIDR ? DROP_NO_SUCH_SERVICE : 0;
}

/* Receiver, policy of both ends, way of delivery, and whether the source address must change. */
GLOBAL int judge_receiver(struct packet *p, struct scratch *s, const struct pod_value *sender,
                          const struct node_config *c, int *snat) {
  if (!p || !s || !c || !snat) return DROP_FLOW_TABLE;
  int from_net = is_hook(p, HOOK_FROM_NET), translated = s->flow.flags & FLOW_SERVICE;
  const struct peer_value *peer = find_peer(&s->flow.tuple.dst);
  __u32 kind = peer ? peer->kind : PEER_OUTSIDE;
  s->flow.dst_identity = peer ? peer->identity : IDENTITY_NONE;
  int failed = judge_service_address(s, kind);
  if (failed) return failed;
  int self = kind == PEER_LOCAL_POD && sender && peer->ifindex == p->key.ifindex;
  __u32 ruled = sender ? sender->flags & (POD_EGRESS_ISOLATED | POD_EGRESS_TIERED) : 0;
  if (ruled && !self &&
      !policy_allows(sender->identity, POLICY_EGRESS | ruled << 8, s->flow.dst_identity, &s->flow.tuple.dst,
                     protocol_and_port(p, &s->flow)))
    return DROP_EGRESS_DENIED;
  *snat = 0;
  switch (kind) {
    case PEER_LOCAL_POD:
      *snat = self; /* hairpin: the pod would answer itself directly */
      return judge_local_pod(p, s, sender, peer->ifindex);
    case PEER_LOCAL_POD_CIDR:
      return DROP_NO_SUCH_POD;
    case PEER_THIS_NODE:
    case PEER_NODE_DNS:
      s->flow.delivery = DELIVER_STACK;
      return from_net && !translated ? JUDGE_PASS : 0;
    case PEER_REMOTE_POD:
    case PEER_REMOTE_POD_CIDR:
    case PEER_REMOTE_NODE:
      if (from_net && !translated) return JUDGE_PASS;
      copy_address(&s->flow.node, kind == PEER_REMOTE_NODE && is_zero(&peer->node) ? &s->flow.tuple.dst : &peer->node);
      if (from_net && judge_return(p, s, c)) return 0;
      *snat = from_net;
      return judge_remote(s, c);
    default:
      if (from_net && !translated) return JUDGE_PASS;
      *snat = 1;
      s->flow.delivery = DELIVER_NETWORK;
      return c->uplink_ifindex ? 0 : DROP_NO_ROUTE;
  }
}

/* The entry of the replies: where they are met, and how they go back the way the request came. */
GLOBAL int judge_reverse(struct __sk_buff *skb, struct packet *p, struct scratch *s, const struct pod_value *sender,
                         const struct node_config *c) {
  if (!p || !s || !c) return DROP_FLOW_TABLE;
  struct flow_value *back = &s->reverse;
  __builtin_memset(back, 0, sizeof(*back));
  switch (s->flow.delivery) {
    case DELIVER_POD:
      s->flow.reverse_hook = HOOK_FROM_POD;
      s->flow.reverse_ifindex = s->flow.ifindex;
      break;
    case DELIVER_STACK:
      s->flow.reverse_hook = is_hook(p, HOOK_TO_POD)     ? HOOK_FROM_POD
                             : is_hook(p, HOOK_FROM_POD) ? HOOK_TO_POD
                                                         : HOOK_TO_NET;
      s->flow.reverse_ifindex = p->key.ifindex;
      break;
    default:
      s->flow.reverse_hook = HOOK_FROM_NET;
  }
  if (s->flow.delivery == DELIVER_STACK || is_hook(p, HOOK_TO_POD)) {
    back->delivery = DELIVER_STACK;
  } else if (sender) {
    back->delivery = DELIVER_POD;
    back->ifindex = p->key.ifindex;
    __builtin_memcpy(back->dst_mac, sender->pod_mac, 6);
    __builtin_memcpy(back->src_mac, sender->host_mac, 6);
  } else if (p->tunnelled && !from_outside(p)) { /* who is outside is answered straight */
    struct bpf_tunnel_key tunnel = {};
    if (bpf_skb_get_tunnel_key(skb, &tunnel, sizeof(tunnel), 0)) return DROP_TUNNEL_UNKNOWN;
    map_v4(&back->node, bpf_htonl(tunnel.remote_ipv4));
    back->delivery = DELIVER_TUNNEL;
  } else {
    back->delivery = DELIVER_NETWORK;
  }
  back->tuple.src = p->key.tuple.dst;
  back->tuple.dst = p->key.tuple.src;
  back->tuple.sport_be = p->key.tuple.dport_be;
  back->tuple.dport_be = p->key.tuple.sport_be;
  back->reverse_hook = p->key.hook;
  back->reverse_ifindex = p->key.ifindex;
  back->service_id = s->flow.service_id;
  back->src_identity = s->flow.dst_identity;
  back->dst_identity = s->flow.src_identity;
  back->epoch = s->flow.epoch;
  back->last_seen = s->flow.last_seen;
  return 0;
}

static __always_inline __u16 swap_fin(__u16 flags) {
  return (flags & FLOW_FIN ? FLOW_FIN_PEER : 0) | (flags & FLOW_FIN_PEER ? FLOW_FIN : 0);
}

/* Writes both entries. The source of s->flow.tuple becomes the node's own where `snat`. */
GLOBAL int judge_record(struct packet *p, struct scratch *s, const struct node_config *c, int snat) {
  if (!p || !s || !c) return DROP_FLOW_TABLE;
  int have_nat = s->flow.flags & FLOW_SNAT;
  if (snat && !have_nat) {
    const struct wire_address *own = p->family == 6 ? &c->address6 : &c->address4;
    if (is_zero(own)) return DROP_NO_NODE_ADDRESS;
    copy_address(&s->flow.tuple.src, own);
    s->flow.flags |= FLOW_SNAT;
  }
  if (s->flow.flags & (FLOW_SERVICE | FLOW_SNAT)) s->flow.flags |= FLOW_REWRITE;
  s->reverse.flags = FLOW_REPLY | (s->flow.flags & (FLOW_REWRITE | FLOW_SEEN_REPLY)) | swap_fin(s->flow.flags);
  reverse_key_of(&s->flow, p->key.protocol, &s->reverse_key);
  if (snat && !have_nat) {
    int failed = take_nat_port(p, s, c, s->flow.last_seen);
    if (failed) return failed;
  } else if (bpf_map_update_elem(&flows, &s->reverse_key, &s->reverse, BPF_ANY)) {
    return DROP_FLOW_TABLE;
  }
  if (bpf_map_update_elem(&flows, &p->key, &s->flow, BPF_ANY)) {
    bpf_map_delete_elem(&flows, &s->reverse_key);
    return DROP_FLOW_TABLE;
  }
  /* LRU evicts first what was never looked up: the answer must find its entry. */
  bpf_map_lookup_elem(&flows, &s->reverse_key);
  return 0;
}

/* The one entry of a connection whose answers come by another node. */
static __always_inline int judge_record_alone(const struct packet *p, struct scratch *s) {
  s->flow.reverse_hook = HOOK_COUNT; /* met nowhere */
  return bpf_map_update_elem(&flows, &p->key, &s->flow, BPF_ANY) ? DROP_FLOW_TABLE : 0;
}

/* The tunnel's sender must be a node: otherwise anybody could speak for any pod. */
GLOBAL int judge_tunnel(struct __sk_buff *skb) {
  struct bpf_tunnel_key tunnel = {};
  struct wire_address remote;
  if (bpf_skb_get_tunnel_key(skb, &tunnel, sizeof(tunnel), 0)) return DROP_TUNNEL_UNKNOWN;
  map_v4(&remote, bpf_htonl(tunnel.remote_ipv4));
  const struct peer_value *peer = find_peer(&remote);
  return peer && peer->kind == PEER_REMOTE_NODE ? 0 : DROP_TUNNEL_UNKNOWN;
}

/* Somebody answers or ends a connection that nobody opened here: its entries are gone. Where it was translated, the
 * client would see it under the backend's address, and reset it (SVC-D17); conntrack calls it INVALID. */
static __always_inline int not_opened(const struct packet *p) {
  return p->key.protocol == IPPROTO_TCP && !is_hook(p, HOOK_TO_POD) &&
         (p->tcp_flags & TCP_RST || (p->tcp_flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK));
}

/* `old`: a living entry of this direction that was made at an older epoch, or null. */
GLOBAL int judge(struct __sk_buff *skb, struct packet *p, const struct flow_value *old, const struct node_config *c) {
  struct scratch *s = scratch();
  const struct pod_value *sender = 0;
  int snat = 0;
  if (!p || !s || !c) return DROP_FLOW_TABLE;
  __builtin_memset(&s->flow, 0, sizeof(s->flow));
  s->refusal = 0;
  s->flow.tuple = p->key.tuple;
  s->flow.epoch = c->epoch;
  s->flow.last_seen = flow_clock();
  int failed = judge_sender(skb, p, s, &sender);
  if (failed) return failed;
  p->tunnelled = is_hook(p, HOOK_FROM_NET) && c->overlay_ifindex && skb->ifindex == c->overlay_ifindex;
  if (p->tunnelled) {
    failed = judge_tunnel(skb);
    if (failed) return failed;
  }
  failed = judge_service(p, old, s);
  if (failed) return failed;
  if (!(s->flow.flags & FLOW_DSR)) failed = judge_receiver(p, s, sender, c, &snat);
  if (failed) return failed;
  if (!old && not_opened(p)) return DROP_NOT_OPENED;
  if (s->flow.flags & FLOW_DSR) return judge_record_alone(p, s);
  failed = judge_reverse(skb, p, s, sender, c);
  if (failed) return failed;
  return judge_record(p, s, c, snat);
}
