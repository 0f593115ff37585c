#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::kernel {

// A UDP socket that has been connected. IPv4 in an IPv6 socket counts as IPv4.
struct ConnectedUdp {
  net::SocketAddress local, peer;
  uint64_t cookie = 0;  // as bpf_get_socket_cookie() says it
  bool v6_socket = false;
  uint32_t ifindex = 0;  // bound to that device; 0: to none
};

// UDP sockets of one network namespace, those of every process.
class UdpSockets {
 public:
  virtual ~UdpSockets() = default;
  virtual Result<std::vector<ConnectedUdp>> connected() = 0;
  // It is no longer connected: who waits for an answer gets ECONNABORTED, who sends EDESTADDRREQ. kNotFound: it is gone
  // already, or another one has its place. kUnsupported: this kernel cannot (CONFIG_INET_DIAG_DESTROY).
  virtual Result<void> abort(const ConnectedUdp& socket) = 0;
};

// Those of the calling thread's namespace at each call.
UdpSockets& linux_udp_sockets();

}  // namespace carrick::kernel
