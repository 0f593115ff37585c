#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::kernel {

// A socket that has a peer. IPv4 in an IPv6 socket counts as IPv4.
struct ConnectedSocket {
  net::Protocol protocol = net::Protocol::kUdp;
  net::SocketAddress local, peer;
  uint64_t cookie = 0;  // as bpf_get_socket_cookie() says it
  bool v6_socket = false;
  uint32_t ifindex = 0;  // bound to that device; 0: to none
};

// Sockets of one network namespace, those of every process.
class Sockets {
 public:
  virtual ~Sockets() = default;
  // kUdp: all that were connected. kTcp: those that still want something of their peer (asked for it, established, or
  // closed by the peer alone).
  virtual Result<std::vector<ConnectedSocket>> connected(net::Protocol protocol) = 0;
  // It is no longer connected: who waits for an answer gets ECONNABORTED; who sends by UDP EDESTADDRREQ; a peer by TCP
  // is sent a RST. kNotFound: it is gone already, or another one has its place. kUnsupported: this kernel cannot
  // (CONFIG_INET_DIAG_DESTROY).
  virtual Result<void> abort(const ConnectedSocket& socket) = 0;
};

// Those of the calling thread's namespace at each call.
Sockets& linux_sockets();

}  // namespace carrick::kernel
