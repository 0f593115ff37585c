#pragma once

#include <chrono>
#include <vector>

#include "explain/explain.h"
#include "lab/host/record.h"
#include "lab/prober/workers.h"

namespace carrick::lab {

// What a pod's resolver said about a name. Plain data, shared between processes.
struct NameAnswer {
  bool answered = false;  // false: silence
  uint32_t latency_us = 0;
  net::IpAddress address, address6;  // unspecified: none
};

struct NameAnswers {
  size_t targets = 0;
  std::vector<NameAnswer> answers;
  const NameAnswer& of(uint32_t source, uint32_t target) const { return answers[source * targets + target]; }
};

// Every source asks for every target, with its own resolv.conf, from its node's cgroup. A source that got no answer to
// its first name is taken to get none to the others; `patience` is what those have beyond `timeout` who should get one.
Result<NameAnswers> resolve_names(const RunningLab& lab, const std::vector<ProbeSource>& sources,
                                  const explain::Matrix& matrix, std::chrono::milliseconds timeout,
                                  std::chrono::milliseconds patience);

}  // namespace carrick::lab
