#pragma once

#include "tests/judges/packet_walk.h"
#include "tests/judges/socket_door.h"
#include "tests/support/scenario_world.h"

// A client of a scenario that has nothing but packets: it asks DNS, opens a connection, and sees what becomes of it.
namespace carrick::testing {

class PacketClient {
 public:
  using Doors = std::map<std::string, std::unique_ptr<SocketDoor>>;  // by node
  PacketClient(const explain::World& world, const PacketWalk& walk, const Doors& doors)
      : world_(world), walk_(walk), doors_(doors) {}

  // Several connections to what is asked for, each translated per packet and each by the socket hooks, where the client
  // has them.
  Result<Seen> ask(const Asked& asked, int tries) const;

 private:
  struct Client;
  struct Attempt;
  Client client_of(const Asked& asked, bool v4) const;
  Result<std::vector<net::IpAddress>> targets(const Asked& asked, Seen& seen) const;
  Result<std::vector<net::IpAddress>> ask_dns(const Asked& asked, Seen& seen) const;
  Result<void> attempt(const Asked& asked, const Client& client, const net::IpAddress& target, Seen& seen) const;
  void exchange(const Client& client, const net::SocketAddress& target, net::Protocol protocol, uint16_t port,
                Seen& seen) const;
  End send(const Client& client, const net::Frame& frame) const;
  End answer(const End& from, const net::Frame& frame) const;
  bool listens(const End& end, const net::SocketAddress& at, net::Protocol protocol) const;

  const explain::World& world_;
  const PacketWalk& walk_;
  const Doors& doors_;
  mutable uint16_t next_port_ = 20000;  // each connection has a source port of its own
};

}  // namespace carrick::testing
