#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "desired/owner.h"
#include "k8s/snapshot.h"
#include "net/ip.h"

// The few questions that several tables ask of an API object. Text that is not an address is left out: one bad field
// costs its own rows only.
namespace carrick::desired {

bool is_finished(const k8s::Pod& pod);  // Succeeded or Failed: its addresses may already be another's
std::vector<net::IpAddress> addresses_of(const k8s::Pod& pod);
std::vector<net::IpAddress> internal_ips(const k8s::Node& node);
std::vector<net::IpAddress> every_ip(const k8s::Node& node);  // internal and external
std::vector<net::Prefix> pod_cidrs(const k8s::Node& node);
std::string zone_of(const k8s::Node& node);
net::Protocol protocol_or_tcp(std::string_view text);  // empty = TCP; kAny when it is none we know

// Labels of a namespace as policies see them: `kubernetes.io/metadata.name` is always there (NP-8), also before the
// Namespace object is known.
k8s::StringMap namespace_labels(const k8s::Snapshot& snapshot, const std::string& name);

// Containers whose ports are open while the pod runs: the ordinary ones, then sidecars (init containers that restart
// always).
std::vector<const k8s::Container*> running_containers(const k8s::Pod& pod);

// First port of that name and protocol, in order of the containers; nullopt when there is none.
std::optional<uint16_t> named_port(const k8s::Pod& pod, std::string_view name, net::Protocol protocol);

Owner owner_of(std::string_view kind, const k8s::ObjectMeta& metadata, std::string_view clause = {});

inline constexpr const char* kZoneLabel = "topology.kubernetes.io/zone";
inline constexpr const char* kNamespaceNameLabel = "kubernetes.io/metadata.name";

}  // namespace carrick::desired
