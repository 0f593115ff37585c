#pragma once

#include "base/result.h"
#include "k8s/apps.h"
#include "k8s/cluster_policy.h"
#include "k8s/core.h"
#include "k8s/discovery.h"
#include "k8s/networking.h"

namespace carrick::k8s {

// JSON <-> struct by Boost.Describe; instantiated for the kinds below in codec.cc only (the templates are heavy).
// decode ignores unknown fields; a known field of the wrong JSON type is kInvalid, naming its path
// ("spec.ports[0].port"). encode leaves out absent and zero fields, as the API's omitempty does, and adds apiVersion
// and kind.
template <class T>
Result<T> decode(const json::value& document);
template <class T>
Result<T> decode(const json::object& document);  // the same, without a copy into a value
template <class T>
json::object encode(const T& object);

// The metadata of a document of any kind.
Result<ObjectMeta> metadata_of(const json::object& document);

// clang-format off: it never comes to rest here
#define CARRICK_K8S_KINDS(X)                                                      \
  X(Namespace) X(Node) X(Pod) X(Service) X(ConfigMap) X(EndpointSlice)            \
  X(NetworkPolicy) X(Deployment) X(ReplicaSet) X(StatefulSet) X(DaemonSet) X(Job) \
  X(ClusterNetworkPolicy)
// clang-format on

#define CARRICK_DECLARE_CODEC(T)                            \
  extern template Result<T> decode<T>(const json::value&);  \
  extern template Result<T> decode<T>(const json::object&); \
  extern template json::object encode<T>(const T&);
CARRICK_K8S_KINDS(CARRICK_DECLARE_CODEC)
#undef CARRICK_DECLARE_CODEC

}  // namespace carrick::k8s
