#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>

#include "dns/message/message.h"

namespace carrick::dns {

// Answers of upstreams, least recently used out first. Not thread-safe; time is given, so that tests need no clock.
class Cache {
 public:
  using Clock = std::chrono::steady_clock;
  struct Bounds {
    size_t entries = 4096;
    size_t bytes = 4 << 20;
    uint32_t positive_ttl = 3600, denial_ttl = 1800, failure_ttl = 5;  // most seconds that an answer is kept (DNS-T5)
  };

  explicit Cache(Bounds bounds) : bounds_(bounds) {}

  // TTLs of the result are what is left of them.
  std::optional<Message> find(const std::string& key, Clock::time_point now);
  // Keeps the answer as long as its records, or its SOA when it denies (RFC 2308 5), allow. Truncated ones are not
  // kept.
  void put(const std::string& key, const Message& message, Clock::time_point now);
  size_t size() const { return entries_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  struct Entry {
    std::string key;
    Message message;
    Clock::time_point from, until;
    size_t bytes;
  };
  uint32_t lifetime(const Message& message) const;  // 0: not kept
  void drop(std::list<Entry>::iterator entry);

  Bounds bounds_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
  size_t bytes_ = 0;
};

}  // namespace carrick::dns
