#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "dns/resolv_conf.h"
#include "net/ip.h"

// A stub resolver for probes and tests. Sockets are opened in the caller's network namespace.
namespace carrick::dns {

enum class Via { kUdp, kTcp };

struct ClientQuestion {
  net::SocketAddress server;
  std::string name;        // absolute, with or without trailing dot
  std::string type = "A";  // "AAAA", "SRV", "TYPE65"
  Via via = Via::kUdp;
  bool edns = true;  // OPT with 1232 bytes
  std::chrono::milliseconds timeout{5000};
};

struct ClientRecord {
  std::string name, type, data;  // text as dig prints it, the name without trailing dot
  uint32_t ttl = 0;
  std::optional<net::IpAddress> address;  // of A and AAAA
  bool operator==(const ClientRecord&) const = default;
};

struct ClientReply {
  std::string rcode;  // "NOERROR", "NXDOMAIN"
  bool authoritative = false, truncated = false, recursion_available = false;
  std::vector<ClientRecord> answer, authority, additional;
  std::vector<net::IpAddress> addresses() const;  // of answer
};

// One question over UDP, for an epoll loop: readable() when fd() is.
class PendingQuestion {
 public:
  // Sends it. kInvalid: bad name or type; kTransient: cannot be sent.
  static Result<PendingQuestion> start(const ClientQuestion& question);
  int fd() const { return socket_.get(); }
  // The reply, or an error when the server cannot be reached; nothing while there is only noise (wrong id or question).
  std::optional<Result<ClientReply>> readable();

 private:
  Fd socket_;
  uint16_t id_ = 0;
  net::SocketAddress server_;
  std::vector<uint8_t> sent_;
};

// Asks once and waits. Truncated answers are returned as such. kTransient: no answer in time or refused by the network.
Result<ClientReply> query(const ClientQuestion& question);

struct Lookup {
  std::string name;                       // the candidate of the search path that answered, absolute
  std::vector<net::IpAddress> addresses;  // IPv4 first; empty when every candidate was denied
  int questions = 0;                      // sent in all
};

// What getaddrinfo does with this resolv.conf: A and AAAA of every candidate of the search path until one has
// addresses. Servers are tried in order; a truncated answer is asked again over TCP.
Result<Lookup> lookup(const ResolvConf& conf, const std::string& name,
                      std::chrono::milliseconds timeout = std::chrono::milliseconds(5000));

}  // namespace carrick::dns
