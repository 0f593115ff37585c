#pragma once

#include <map>
#include <string>
#include <vector>

#include "desired/services/services.h"

// What in a Service and its EndpointSlices leads nowhere, in one sentence each. A field that cannot be understood costs
// its own rows only, and here it is said. PURE.
namespace carrick::desired {

struct Finding {
  Owner owner;  // the object and the field
  std::string sentence;
  bool operator==(const Finding&) const = default;
};
using Findings = std::vector<Finding>;
using FindingTable = std::map<k8s::NamespacedName, Findings>;  // by Service; only those that have any

// At most so many of one object; the last one counts the others.
inline constexpr size_t kMostFindings = 10;

// Nothing where the Service is not forwarded.
Findings service_findings(const k8s::Service& service, const SliceList& slices);
FindingTable compile_findings(const k8s::Snapshot& snapshot);

}  // namespace carrick::desired
