#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

// Real connections from many pods, thousands in flight on one thread.
namespace carrick::lab {

enum class Verdict : uint8_t { kUnknown, kAllow, kDeny, kRefuse };
std::string_view verdict_word(Verdict verdict);

// One connection to be tried. For TCP the handshake and the identity of who answers, for UDP an echo.
struct ProbeTask {
  uint32_t source = 0;  // index of the namespace it starts in
  net::IpAddress address;
  uint16_t port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  net::IpAddress from = {};  // unspecified: as the kernel chooses
};

// Plain data: workers write it into memory shared with their parent.
struct ProbeOutcome {
  Verdict verdict = Verdict::kUnknown;
  int16_t error = 0;         // errno behind a deny or refuse, 0 = silence
  uint32_t latency_us = 0;   // until the answer
  uint64_t answered_by = 0;  // stable_hash of "namespace/pod"; 0 = nobody said who
  net::IpAddress seen_as;    // the client's address as who answered saw it; unspecified = not said
};

struct ProbeLimits {
  std::chrono::milliseconds timeout{300};  // silence for so long is a deny
  size_t in_flight = 512;
};

// Tries tasks[i] for each i of `order` (best grouped by source: changing it costs two system calls) and stores
// outcomes[i]. `namespaces`: paths, by source index. The calling thread ends in some pod's network namespace: call it
// in a process of its own.
Result<void> run_probes(std::span<const std::string> namespaces, std::span<const ProbeTask> tasks,
                        std::span<const uint32_t> order, const ProbeLimits& limits, std::span<ProbeOutcome> outcomes);

}  // namespace carrick::lab
