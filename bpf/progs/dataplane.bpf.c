// SPDX-License-Identifier: Apache-2.0
/* The data plane of one node: one object, loaded once, attached to every pod's link, the uplink, the tunnel and a
 * cgroup. */
#include "lib/path.h"
#include "lib/sockets.h"
#include "lib/sweep.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int from_pod(struct __sk_buff *skb) { return path(skb, HOOK_FROM_POD, skb->ifindex); }

SEC("tc")
int to_pod(struct __sk_buff *skb) { return path(skb, HOOK_TO_POD, skb->ifindex); }

SEC("tc")
int from_netdev(struct __sk_buff *skb) { return path(skb, HOOK_FROM_NET, 0); }

SEC("tc")
int from_overlay(struct __sk_buff *skb) {
  /* The inner Ethernet addresses mean nothing here; what the tunnel brings is for us. */
  if (skb->pkt_type != 0 /* PACKET_HOST */) bpf_skb_change_type(skb, 0);
  return path(skb, HOOK_FROM_NET, 0);
}

/* A service address that is still there was missed by the socket hooks, or has nothing to lead to (SVC-D3, D4). */
static __always_inline int stack_to_service(struct __sk_buff *skb, struct packet *p) {
  const struct frontend_value *frontend =
      find_frontend(&p->key.tuple.dst, p->key.tuple.dport_be, p->key.protocol, SCOPE_INTERNAL);
  if (frontend) {
    if (!source_allowed(frontend, &p->key.tuple.src)) return drop(skb, p, 0, DROP_SOURCE_RANGE);
    if (frontend->count) return drop(skb, p, 0, DROP_NOT_TRANSLATED);
    if (frontend->flags & FRONTEND_DROP_WHEN_EMPTY) return drop(skb, p, 0, DROP_NO_LOCAL_BACKEND);
    return refuse(skb, p, 0, DROP_NO_BACKEND);
  }
  if (p->key.protocol == IPPROTO_TCP && !(p->tcp_flags & TCP_SYN)) return TC_ACT_OK;
  const struct peer_value *peer = find_peer(&p->key.tuple.dst);
  if (!peer || peer->kind != PEER_SERVICE_CIDR) return TC_ACT_OK;
  if (find_frontend(&p->key.tuple.dst, 0, 0, SCOPE_INTERNAL)) return refuse(skb, p, 0, DROP_NO_SUCH_PORT);
  return drop(skb, p, 0, DROP_NO_SUCH_SERVICE);
}

/* What the node itself sends out: answers of its own processes that stand behind a service take the service's address
 * again. */
static __always_inline int from_stack(struct __sk_buff *skb) {
  struct packet p = {};
  if (parse(skb, &p, HOOK_TO_NET, 0) || p.kind == PACKET_ICMP_ERROR) return TC_ACT_OK;
  __u32 now = flow_clock();
  struct flow_value *flow = bpf_map_lookup_elem(&flows, &p.key);
  if (flow && !flow_over(flow, p.key.protocol, now)) {
    flow_seen(&p, flow, now);
    if (flow->flags & FLOW_REWRITE && rewrite_flow(skb, &p, &flow->tuple)) return drop(skb, &p, flow, DROP_REWRITE);
    return TC_ACT_OK;
  }
  return stack_to_service(skb, &p);
}

SEC("tc")
int to_netdev(struct __sk_buff *skb) {
  if (skb->ingress_ifindex) return TC_ACT_OK; /* forwarded, hence judged when it came in */
  return from_stack(skb);
}

/* What reaches the tunnel device through the node's routes has no tunnel key yet. */
SEC("tc")
int to_overlay(struct __sk_buff *skb) {
  struct bpf_tunnel_key tunnel = {};
  if (skb->ingress_ifindex && !bpf_skb_get_tunnel_key(skb, &tunnel, sizeof(tunnel), 0)) return TC_ACT_OK;
  if (!skb->ingress_ifindex) {
    int verdict = from_stack(skb);
    if (verdict != TC_ACT_OK) return verdict;
  }
  struct packet p = {};
  if (parse(skb, &p, HOOK_TO_NET, 0)) return TC_ACT_SHOT; /* neighbour discovery has no receiver in a tunnel */
  const struct node_config *c = node();
  const struct peer_value *peer = find_peer(&p.key.tuple.dst);
  if (!c || !peer) return drop(skb, &p, 0, DROP_NO_ROUTE);
  struct wire_address remote;
  copy_address(&remote, is_zero(&peer->node) ? &p.key.tuple.dst : &peer->node);
  if (peer->kind != PEER_REMOTE_POD && peer->kind != PEER_REMOTE_POD_CIDR && peer->kind != PEER_REMOTE_NODE)
    return drop(skb, &p, 0, DROP_NO_ROUTE);
  return into_tunnel(skb, &remote, c) ? drop(skb, &p, 0, DROP_REWRITE) : TC_ACT_OK;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx) { return to_backend(ctx, 4); }

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx) { return to_backend(ctx, 6); }

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx) { return to_backend(ctx, 4); }

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx) { return to_backend(ctx, 6); }

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx) { return to_frontend(ctx, 4); }

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx) { return to_frontend(ctx, 6); }

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx) { return to_frontend(ctx, 4); }

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx) { return to_frontend(ctx, 6); }

SEC("syscall")
int sweep(struct flow_sweep *done) { return sweep_flows(done); }
