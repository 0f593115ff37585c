#pragma once

#include <boost/describe.hpp>
#include <boost/json.hpp>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

// API objects as plain structs, spelled as in the Kubernetes API (a trailing underscore only where C++ has the word).
// Structs carry what the network needs; the API server stores whole JSON documents, so nothing a user wrote is lost.
// Absent scalars are std::nullopt, or the zero value where the API gives absence and zero one meaning.
namespace carrick::k8s {

namespace json = boost::json;

using StringMap = std::map<std::string, std::string>;  // labels, annotations, nodeSelector

struct NamespacedName {
  std::string namespace_;  // empty for cluster-scoped objects
  std::string name;
  std::string str() const { return namespace_.empty() ? name : namespace_ + "/" + name; }
  auto operator<=>(const NamespacedName&) const = default;
};

// Either a number or a name, as Service targetPort and NetworkPolicy port.
using IntOrString = std::variant<int32_t, std::string>;

struct OwnerReference {
  std::string apiVersion, kind, name, uid;
  std::optional<bool> controller, blockOwnerDeletion;
  bool operator==(const OwnerReference&) const = default;
};
BOOST_DESCRIBE_STRUCT(OwnerReference, (), (apiVersion, kind, name, uid, controller, blockOwnerDeletion))

struct ObjectMeta {
  std::string name, generateName, namespace_, uid, resourceVersion;
  int64_t generation = 0;
  std::optional<std::string> creationTimestamp, deletionTimestamp;  // RFC 3339
  std::optional<int64_t> deletionGracePeriodSeconds;
  StringMap labels, annotations;
  std::vector<OwnerReference> ownerReferences;
  std::vector<std::string> finalizers;
  bool operator==(const ObjectMeta&) const = default;
  NamespacedName key() const { return {namespace_, name}; }
};
BOOST_DESCRIBE_STRUCT(ObjectMeta, (),
                      (name, generateName, namespace_, uid, resourceVersion, generation, creationTimestamp,
                       deletionTimestamp, deletionGracePeriodSeconds, labels, annotations, ownerReferences, finalizers))

struct LabelSelectorRequirement {
  std::string key, operator_;  // In, NotIn, Exists, DoesNotExist
  std::vector<std::string> values;
  bool operator==(const LabelSelectorRequirement&) const = default;
};
BOOST_DESCRIBE_STRUCT(LabelSelectorRequirement, (), (key, operator_, values))

struct LabelSelector {
  StringMap matchLabels;
  std::vector<LabelSelectorRequirement> matchExpressions;
  bool operator==(const LabelSelector&) const = default;
};
BOOST_DESCRIBE_STRUCT(LabelSelector, (), (matchLabels, matchExpressions))

// NP-8: NotIn and DoesNotExist also match objects without the key. An empty selector matches everything.
bool matches(const LabelSelector& selector, const StringMap& labels);
bool matches(const StringMap& equalities, const StringMap& labels);

struct Condition {
  std::string type, status, reason, message;
  std::optional<std::string> lastTransitionTime, lastProbeTime;
  bool operator==(const Condition&) const = default;
};
BOOST_DESCRIBE_STRUCT(Condition, (), (type, status, reason, message, lastTransitionTime, lastProbeTime))

}  // namespace carrick::k8s
