#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/mailbox.h"
#include "base/result.h"
#include "desired/names/names.h"
#include "dns/stats.h"
#include "net/ip.h"

// dns: the node's DNS server. It answers from the NameTable that names compiles, and asks upstreams for everything
// else.
namespace carrick::dns {

struct DnsOptions {
  std::vector<net::SocketAddress> listen;     // for UDP and TCP; specific addresses, port 0 = a free one
  std::vector<net::SocketAddress> upstreams;  // for names outside of the zones; empty: SERVFAIL for them
  std::string zone = "cluster.local";         // until the first table says
  std::string server_id;                      // answered to NSID (RFC 5001): the node's name
  // A pod's first question of a walk through its search path is answered with what the walk would find (DNS-F4).
  bool autopath = true;
  std::vector<std::string> node_searches;  // of the node's resolv.conf, which pods inherit
  enum class PodRecords { kDisabled, kInsecure, kVerified } pod_records = PodRecords::kInsecure;
  std::chrono::milliseconds upstream_timeout{2000};
  size_t max_concurrent = 1000;  // questions at upstreams; more are refused
  size_t tcp_connections = 512;
  std::chrono::milliseconds tcp_idle{10'000};
};

class DnsServer {
 public:
  explicit DnsServer(DnsOptions options);
  ~DnsServer();  // stops; questions under way are not answered

  // Binds in the caller's network namespace and starts one thread, which asks upstreams from that namespace too.
  // kInvalid: a bad address or zone; kTransient: an address is not there (yet) or taken. After a failure the object can
  // only be destroyed.
  Result<void> start();
  // Where it listens, in the order of the options; after start().
  std::vector<net::SocketAddress> listening() const;

  // The newest table wins. May be used before start() and from any thread.
  Mailbox<desired::NameTable>& inbox();
  DnsStats stats() const;  // any thread

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace carrick::dns
