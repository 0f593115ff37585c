#pragma once

#include <set>
#include <string>
#include <vector>

#include "kernel/connected_sockets.h"

// For tests of what ends sockets that connect() led.
namespace carrick::realize {

inline net::SocketAddress at(const std::string& address, uint16_t port) {
  return {net::IpAddress::parse(address).value(), port};
}

class FakeSockets : public kernel::Sockets {
 public:
  Result<std::vector<kernel::ConnectedSocket>> connected(net::Protocol) override { return sockets; }
  Result<void> abort(const kernel::ConnectedSocket& socket) override {
    if (gone.contains(socket.cookie)) return fail(ErrorKind::kNotFound, "gone");
    aborted.push_back(socket.cookie);
    return {};
  }
  std::vector<kernel::ConnectedSocket> sockets;
  std::set<uint64_t> gone;
  std::vector<uint64_t> aborted;
};

}  // namespace carrick::realize
