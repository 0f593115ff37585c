#pragma once

#include "base/boxed.h"
#include "k8s/core.h"

// discovery.k8s.io/v1
namespace carrick::k8s {

struct EndpointConditions {  // SVC-D1: nil ready = true, nil serving = ready, nil terminating = false
  std::optional<bool> ready, serving, terminating;
  bool operator==(const EndpointConditions&) const = default;
};
BOOST_DESCRIBE_STRUCT(EndpointConditions, (), (ready, serving, terminating))
struct ForZone {
  std::string name;
  bool operator==(const ForZone&) const = default;
};
BOOST_DESCRIBE_STRUCT(ForZone, (), (name))
struct EndpointHints {
  std::vector<ForZone> forZones, forNodes;
  bool operator==(const EndpointHints&) const = default;
};
BOOST_DESCRIBE_STRUCT(EndpointHints, (), (forZones, forNodes))
struct Endpoint {                      // there may be hundreds of thousands: 136 bytes
  std::vector<std::string> addresses;  // SVC-D22: only the first counts
  EndpointConditions conditions;
  std::optional<SharedText> hostname, nodeName, zone;
  std::optional<ObjectReference> targetRef;
  Boxed<EndpointHints> hints;
  bool operator==(const Endpoint&) const = default;
};
BOOST_DESCRIBE_STRUCT(Endpoint, (), (addresses, conditions, hostname, nodeName, zone, targetRef, hints))
struct EndpointPort {
  std::optional<std::string> name, protocol, appProtocol;
  std::optional<int32_t> port;
  bool operator==(const EndpointPort&) const = default;
};
BOOST_DESCRIBE_STRUCT(EndpointPort, (), (name, protocol, appProtocol, port))
struct EndpointSlice {
  ObjectMeta metadata;
  std::string addressType;  // IPv4, IPv6, FQDN
  std::vector<Endpoint> endpoints;
  std::vector<EndpointPort> ports;
  bool operator==(const EndpointSlice&) const = default;
};
BOOST_DESCRIBE_STRUCT(EndpointSlice, (), (metadata, addressType, endpoints, ports))

inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";

}  // namespace carrick::k8s
