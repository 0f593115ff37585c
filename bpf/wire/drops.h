/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason for which the data plane ends a packet: the only list. The word is what the flow event, the metric
 * label, the CLI and docs/guide/drop-reasons.md say. Append only: numbers are in pinned counters. */
#pragma once

#include "wire/wire.h"

/* clang-format off */
/* X(CONSTANT, "word", "sentence for people") */
#define WIRE_DROP_REASONS(X) \
	X(DROP_POD_UNKNOWN, "pod_unknown", "the sending interface belongs to no pod that the agent has realized") \
	X(DROP_POD_BLOCKED, "pod_blocked", "the pod's object is not known yet; it is closed in both directions until then") \
	X(DROP_SPOOFED, "spoofed", "the source address is not one of the sending pod's own") \
	X(DROP_MALFORMED, "malformed", "the headers are cut short or contradict themselves") \
	X(DROP_NOT_IP, "not_ip", "neither IPv4, IPv6 nor ARP") \
	X(DROP_MULTICAST, "multicast", "multicast and broadcast are not forwarded") \
	X(DROP_FRAGMENT_UNKNOWN, "fragment_unknown", "a later fragment whose first fragment was not seen") \
	X(DROP_EGRESS_DENIED, "egress_denied", "the sending pod is isolated for egress and no rule allows this") \
	X(DROP_INGRESS_DENIED, "ingress_denied", "the receiving pod is isolated for ingress and no rule allows this") \
	X(DROP_REVOKED, "revoked", "the connection was allowed, and is no longer") \
	X(DROP_NO_BACKEND, "no_backend", "the service has no usable endpoint; the client is refused at once") \
	X(DROP_NO_LOCAL_BACKEND, "no_local_backend", "the service has no endpoint on this node and its traffic policy is Local") \
	X(DROP_NO_SUCH_POD, "no_such_pod", "the address is in this node's pod range and no pod has it") \
	X(DROP_NAT_EXHAUSTED, "nat_exhausted", "no port is free to masquerade this connection") \
	X(DROP_NO_NODE_ADDRESS, "no_node_address", "the node has no address of this family to masquerade with") \
	X(DROP_NO_ROUTE, "no_route", "the node that owns the address is not known") \
	X(DROP_TUNNEL_UNKNOWN, "tunnel_unknown", "a tunnel packet from an address that is no node's") \
	X(DROP_FLOW_TABLE, "flow_table", "the flow table refused the new connection") \
	X(DROP_SCTP_PORT, "sctp_port", "the first fragment of an SCTP packet whose port would have to be rewritten") \
	X(DROP_ICMP_UNRELATED, "icmp_unrelated", "an ICMP error about no connection that is known") \
	X(DROP_NOT_TRANSLATED, "not_translated", "a process outside the agent's cgroup sent to a service address; only processes inside are translated") \
	X(DROP_REWRITE, "rewrite", "the kernel refused to rewrite the packet") \
	X(DROP_NO_SUCH_PORT, "no_such_port", "the address is a ClusterIP whose service has no such port; the client is refused at once") \
	X(DROP_NO_SUCH_SERVICE, "no_such_service", "the address is in the range of ClusterIPs and no service has it") \
	X(DROP_SOURCE_RANGE, "source_range", "the client is in none of the service's loadBalancerSourceRanges") \
	X(DROP_NOT_OPENED, "not_opened", "an answer or a reset of a TCP connection that is not known") \
	X(DROP_ENDPOINT_REMOVED, "endpoint_removed", "the connection's endpoint is no longer one of the service; both ends are reset")

/* clang-format on */

enum wire_drop {
  DROP_NONE = 0,
#define X(name, word, sentence) name,
  WIRE_DROP_REASONS(X)
#undef X
      DROP_COUNT,
};

/* Key of the per-CPU counter array: hook * WIRE_DROP_SLOTS + reason; reason 0 counts packets let through new flows. */
#define WIRE_DROP_SLOTS 64
WIRE_ASSERT(DROP_COUNT <= WIRE_DROP_SLOTS);
