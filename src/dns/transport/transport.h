#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <vector>

#include "dns/counters.h"
#include "dns/transport/responder.h"

namespace carrick::dns {

struct TransportLimits {
  size_t tcp_connections = 512;                // more are closed at once; one client address gets at most a quarter
  std::chrono::milliseconds tcp_idle{10'000};  // without a whole question read or an answer written (RFC 7766 6.2.3)
  size_t tcp_pending = 64;   // questions of one connection that wait for upstreams; then it is not read
  uint16_t udp_size = 1232;  // own limit of an answer over UDP with EDNS0: fits the minimum MTU of IPv6
};

// Questions in, answers out, over UDP and TCP on the same addresses. Everything runs on the io_context's one thread.
class Transport {
 public:
  Transport(boost::asio::io_context& io, std::shared_ptr<Responder> responder, TransportLimits limits,
            std::shared_ptr<Counters> counters);
  ~Transport();

  // Binds every address for UDP and TCP in the caller's network namespace. Port 0 takes a free one. Addresses must be
  // specific: then an answer comes from the address that was asked.
  Result<void> listen(const std::vector<net::SocketAddress>& addresses);
  const std::vector<net::SocketAddress>& bound() const { return bound_; }
  // Before the io_context runs.
  void start();

 private:
  class UdpPort;
  class TcpPort;
  class TcpSession;
  struct Shared;
  Result<void> listen_at(net::SocketAddress address);

  std::shared_ptr<Shared> shared_;
  std::vector<std::shared_ptr<UdpPort>> udp_;
  std::vector<std::shared_ptr<TcpPort>> tcp_;
  std::vector<net::SocketAddress> bound_;
};

}  // namespace carrick::dns
