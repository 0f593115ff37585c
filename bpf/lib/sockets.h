/* SPDX-License-Identifier: Apache-2.0 */
/* Services at socket time: connect and sendmsg see the backend, the application sees the service. v4-mapped sockets
 * pass only the IPv6 hooks. */
#pragma once

#include "lib/services.h"

#define ECONNREFUSED 111
#define SOCKET_ALLOW 1
#define SOCKET_REFUSE 0

const volatile __u8 have_set_retval = 1; /* since 5.18; else the caller sees EPERM where it should see ECONNREFUSED */

static __always_inline void read_destination(struct bpf_sock_addr *ctx, int family, struct wire_address *out) {
  if (family == 4) {
    map_v4(out, ctx->user_ip4);
  } else {
    __u32 words[4] = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]};
    __builtin_memcpy(out, words, 16);
  }
}

static __always_inline void write_destination(struct bpf_sock_addr *ctx, int family, const struct wire_address *address,
                                              __be16 port_be) {
  if (family == 4) {
    ctx->user_ip4 = v4_of(address);
  } else {
    __u32 words[4];
    __builtin_memcpy(words, address, 16);
    ctx->user_ip6[0] = words[0];
    ctx->user_ip6[1] = words[1];
    ctx->user_ip6[2] = words[2];
    ctx->user_ip6[3] = words[3];
  }
  ctx->user_port = port_be;
}

/* The frontend that a socket of this network namespace is led by; null: its packets are looked at, if anything is.
 * `cookie`: of the namespace. */
static __always_inline const struct frontend_value *socket_frontend(int family, __u32 protocol, __be16 port_be,
                                                                    const struct wire_address *destination,
                                                                    __u64 cookie) {
  const struct node_config *c = node();
  int of_node = c && cookie == c->netns_cookie;
  int loopback = is_loopback(destination);
  if (loopback && !of_node) return 0; /* a pod's own */
  /* docs/adr/0011: what a pod sends by UDP is led packet by packet, so that it follows its service. */
  if (protocol == IPPROTO_UDP && !of_node && c && c->netns_cookie) return 0;
  const struct frontend_value *frontend =
      find_frontend(destination, port_be, protocol, loopback ? SCOPE_LOOPBACK : SCOPE_INTERNAL);
  if (!frontend || !frontend->sources) return frontend;
  /* A pod's packets tell its address. The node speaks for all its own ones: a load balancer's address may be among them
   * (SVC-D13). */
  const struct wire_address *client = of_node ? (is_v4(destination) ? &c->address4 : &c->address6) : 0;
  return client && source_allowed(frontend, client) ? frontend : 0;
}

/* TCP chooses once a connection. A UDP socket may send a hundred datagrams, each with its address: as long as the
 * service's backends are the same, all go to one of them. */
static __always_inline __u32 socket_hash(__u32 protocol, __u64 cookie, __u64 service_id) {
  if (protocol != IPPROTO_UDP) return bpf_get_prandom_u32();
  struct wire_tuple words = {};
  words.src.words[0] = cookie;
  words.src.words[1] = cookie >> 32;
  words.src.words[2] = service_id;
  return choice_hash(&words);
}

static __always_inline int to_backend(struct bpf_sock_addr *ctx, int family) {
  struct wire_address destination;
  read_destination(ctx, family, &destination);
  __be16 port_be = ctx->user_port;
  __u64 cookie = bpf_get_netns_cookie(ctx);
  const struct frontend_value *frontend = socket_frontend(family, ctx->protocol, port_be, &destination, cookie);
  if (!frontend) return SOCKET_ALLOW;
  struct affinity_key client = {.service_id = frontend->service_id, .by_netns = 1};
  __builtin_memcpy(&client.client, &cookie, 8);
  struct backend_value backend = {};
  struct socket_key key = {.cookie = bpf_get_socket_cookie(ctx)};
  int failed =
      choose_backend(frontend, &client, socket_hash(ctx->protocol, key.cookie, frontend->service_id), &backend);
  if (failed == DROP_NO_BACKEND) {
    count(HOOK_SOCKET, failed);
    if (have_set_retval) bpf_set_retval(-ECONNREFUSED);
    return SOCKET_REFUSE;
  }
  if (failed) return SOCKET_ALLOW; /* left alone, so that the packet path drops it: a Local policy times out */
  key.port_be = backend.port_be;
  struct socket_value value = {.port_be = port_be, .protocol = ctx->protocol, .service = frontend->service_id};
  copy_address(&key.backend, &backend.address);
  copy_address(&value.frontend, &destination);
  bpf_map_update_elem(&sockets, &key, &value, BPF_ANY);
  write_destination(ctx, family, &backend.address, backend.port_be);
  count(HOOK_SOCKET, DROP_NONE);
  return SOCKET_ALLOW;
}

static __always_inline int to_frontend(struct bpf_sock_addr *ctx, int family) {
  struct socket_key key = {.cookie = bpf_get_socket_cookie(ctx), .port_be = ctx->user_port};
  read_destination(ctx, family, &key.backend);
  const struct socket_value *value = bpf_map_lookup_elem(&sockets, &key);
  if (value) write_destination(ctx, family, &value->frontend, value->port_be);
  return SOCKET_ALLOW;
}
