#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/shared_map.h"
#include "base/shared_text.h"
#include "desired/node_view.h"
#include "desired/owner.h"
#include "k8s/snapshot.h"

// names: what the cluster's DNS answers (DNS specification schema 1.1.0; ids DNS-* of the collected facts).
namespace carrick::desired {

struct SrvRecord {
  uint16_t priority = 0, weight = 0, port = 0;
  std::string target;  // owner name relative to the zone, as the keys below
  bool operator==(const SrvRecord&) const = default;
};

// All records of one name. A row without records is an empty non-terminal (NOERROR, no data).
struct NameRow {
  std::vector<net::IpAddress> addresses;  // A and AAAA
  std::vector<SrvRecord> services;
  std::string cname;  // ExternalName target, absolute, without trailing dot
  std::vector<std::string> texts;
  Owner owner;
  bool operator==(const NameRow&) const = default;
};

using NameRows = SharedMap<std::string, NameRow>;

// How a pod's resolv.conf differs from that of any pod of its namespace.
struct PodResolver {
  std::string policy;                              // spec.dnsPolicy
  std::vector<std::string> nameservers, searches;  // spec.dnsConfig
  std::string ndots;                               // of its options, as written; empty: not there
  bool operator==(const PodResolver&) const = default;
};

struct NameTable {
  std::string zone = "cluster.local";
  uint32_t ttl = 5;     // seconds; also SOA TTL and MINIMUM (DNS-N1)
  uint32_t serial = 1;  // of the SOA
  bool synced = false;  // DNS-N6: SERVFAIL for missing names until then
  NameRows names;       // lower case, relative to the zone: "web.default.svc", "_http._tcp.web.default.svc"
  SharedMap<net::IpAddress, std::vector<std::string>> reverse;  // PTR targets relative to the zone (DNS-4, DNS-8)
  // Services ("web.default.svc", sorted) of which the address is a ready endpoint without a hostname: each gives it the
  // name dashed(address) below its own, and that name back (DNS-6, DNS-8). No rows: endpoints are many.
  SharedMap<net::IpAddress, std::vector<SharedText>> endpoints;
  std::vector<net::Prefix>
      reverse_zones;  // service and pod CIDRs: unknown addresses inside are NXDOMAIN, not forwarded
  std::set<std::string> namespaces;
  SharedMap<net::IpAddress, std::string> pods;       // address -> namespace, for a-b-c-d.ns.pod and for the asking pod
  SharedMap<net::IpAddress, PodResolver> resolvers;  // of those pods that have one of their own
  std::vector<net::IpAddress> dns_service;           // glue of ns.dns (DNS-N5)
  bool operator==(const NameTable&) const = default;
};

NameTable compile_names(const k8s::Snapshot& snapshot, const NodeView& node);

// "10-1-0-7", "2001-db8--1": the name of an endpoint without hostname, and of a pod.
std::string dashed(const net::IpAddress& address);
// The address that such a label means.
std::optional<net::IpAddress> undashed(std::string_view label);

// The row of a name that names.find() does not have: "10-1-0-7.web.default.svc".
std::optional<NameRow> endpoint_row(const NameTable& table, const std::string& name);
// All PTR targets of an address, sorted; empty: it has no name.
std::vector<std::string> reverse_names(const NameTable& table, const net::IpAddress& address);
// Whether an address of this prefix has a name.
bool has_reverse_names(const NameTable& table, const net::Prefix& prefix);

}  // namespace carrick::desired
