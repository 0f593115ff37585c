#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::dns {

// What a StaticResolver knows of one name.
struct StaticName {
  std::vector<net::IpAddress> addresses;
  std::string cname;  // then nothing else counts
  std::vector<std::string> texts;
  std::chrono::milliseconds delay{0};
  bool silent = false;   // never answered
  bool refuses = false;  // SERVFAIL
};

struct StaticOptions {
  std::vector<net::SocketAddress> listen;
  std::map<std::string, StaticName> names;  // absolute, lower case
  uint32_t ttl = 300;                       // seconds
};

// The test names of "the world": example.com and www (CNAME), one name of each family, big answers, slow and silent
// ones. `web` are the addresses that answer HTTP there.
std::map<std::string, StaticName> outside_names(const std::vector<net::IpAddress>& web);

// A resolver with a handful of names and NXDOMAIN for the rest, over UDP and TCP: what a lab's nodes find outside.
class StaticResolver {
 public:
  explicit StaticResolver(StaticOptions options);
  ~StaticResolver();

  // Binds in the caller's network namespace and starts one thread. Errors as DnsServer::start().
  Result<void> start();
  std::vector<net::SocketAddress> listening() const;
  uint64_t questions() const;  // received so far; any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace carrick::dns
