#pragma once

#include <string>
#include <vector>

#include "base/result.h"

// What this kernel and machine have of what Carrick needs. Asked by trying, never by version numbers.
namespace carrick::kernel {

struct Feature {
  std::string name;      // "clsact", stable: it is in the JSON of `carrick doctor`
  bool required = true;  // without it nothing works; otherwise `consequence` says what does not
  bool present = false;
  std::string probed_by;    // "attach a clsact qdisc to a veth in a new network namespace"
  std::string consequence;  // of its absence, one sentence
  std::string detail;       // what the kernel said, when absent
  bool asked = true;        // false: something that it rests on is missing
};

// Makes and removes a network namespace and a cgroup folder of its own; nothing else on the machine changes. About 100
// ms. Call it before other threads exist: the calling thread visits that namespace.
std::vector<Feature> probe_features();

// kUnsupported naming every required feature that is missing, in one line; what rests on another one is not named.
Result<void> require_features(const std::vector<Feature>& features);

}  // namespace carrick::kernel
