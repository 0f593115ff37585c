#pragma once

#include "controllers/mirror.h"

// SVC-A14, A16: which endpoints a Service with a selector has. PURE: reads the mirror, writes nothing.
namespace carrick::controllers {

inline constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* kSliceController = "endpointslice-controller.k8s.io";
inline constexpr const char* kMirrorController = "endpointslicemirroring-controller.k8s.io";
inline constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
inline constexpr size_t kMaxEndpointsPerSlice = 100;

// Endpoints of one address family that have the same ports: named targetPorts may resolve differently pod by pod.
struct EndpointGroup {
  std::string address_type;  // IPv4, IPv6
  std::vector<k8s::EndpointPort> ports;
  std::vector<k8s::Endpoint> endpoints;  // sorted by pod name
};

// A Service this controller makes slices for: it has a selector and is no ExternalName.
bool has_endpoints(const k8s::Service& service);
bool is_headless(const k8s::Service& service);
// Families of its slices: ipFamilies; without them that of the ClusterIP; both for a headless Service.
std::vector<std::string> address_types(const k8s::Service& service);
// The pod's first address of that type, or empty.
std::string address_of(const k8s::Pod& pod, std::string_view address_type);
// Ports of the Service as this pod serves them; a name that the pod does not know is left out.
std::vector<k8s::EndpointPort> resolve_ports(const k8s::Service& service, const k8s::Pod& pod);
// Finished pods never; pods without an address never; pods of an unknown node only with publishNotReadyAddresses.
bool is_candidate(const Mirror& mirror, const k8s::Service& service, const k8s::Pod& pod);
bool serves_by_name(const k8s::Service& service, const k8s::Pod& pod);  // endpoint.hostname is set

std::vector<EndpointGroup> endpoint_groups(const Mirror& mirror, const k8s::Service& service);

// True when the change of a pod cannot change any endpoint.
bool same_endpoint(const k8s::Pod& a, const k8s::Pod& b);

}  // namespace carrick::controllers
