#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

namespace carrick::cni {

// A histogram with fixed bounds.
struct Durations {
  static constexpr std::array kBounds = {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05,
                                         0.1,    0.2,   0.5,   1.0,   2.0,  5.0,  10.0};  // seconds
  std::array<uint64_t, kBounds.size() + 1> counts{};                                      // of each bucket alone
  double sum = 0;

  void add(std::chrono::steady_clock::duration taken) {
    const double seconds = std::chrono::duration<double>(taken).count();
    size_t bucket = 0;
    while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
    ++counts[bucket];
    sum += seconds;
  }
};

// What the server has done since its start.
struct Stats {
  struct Verb {
    uint64_t done = 0, failed = 0;
    Durations durations;  // from the request's last byte to the answer's first; ADD waits for the data plane
  };
  std::map<std::string, Verb> verbs;  // "ADD"
  Durations plumbing;                 // of ADD: links, addresses, routes, programs
};

}  // namespace carrick::cni
