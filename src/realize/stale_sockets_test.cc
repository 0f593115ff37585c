#include "realize/stale_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "realize/encode.h"
#include "realize/fake_sockets.h"

namespace carrick::realize {
namespace {

class StaleSockets : public ::testing::Test {
 protected:
  void realize(std::vector<net::SocketAddress> backends, bool exists = true) {
    desired::Tables tables;
    tables.prune = true;
    tables.revision = ++revision_;
    if (exists) {
      desired::FrontendRow row;
      for (const auto& backend : backends) row.backends.push_back({.address = backend.address, .port = backend.port});
      row.service_id = 1;
      tables.frontends[{at("10.96.0.10", 0).address, 53, net::Protocol::kUdp}] = row;
      tables.frontends[{at("127.0.0.1", 0).address, 30053, net::Protocol::kUdp, desired::FrontendScope::kLoopback}] =
          row;
    }
    auto status = realizer_->apply(tables, {});
    ASSERT_TRUE(status && status->settled);
    retired = status->retired_backends;
  }
  // A socket that asked for `service` and was pointed at `peer`.
  void connect(uint64_t cookie, const net::SocketAddress& service, const net::SocketAddress& peer) {
    socket_key key{};
    key.cookie = cookie;
    key.backend = wire_of(peer.address);
    key.port_be = htons(peer.port);
    socket_value value{};
    value.frontend = wire_of(service.address);
    value.port_be = htons(service.port);
    ASSERT_TRUE(programs.map("sockets")->put(bytes_of(key), bytes_of(value)));
    sockets.sockets.push_back({.local = at("192.0.2.11", 40000), .peer = peer, .cookie = cookie});
  }
  std::vector<uint64_t> end() {
    sockets.aborted.clear();
    auto ended = end_stale_sockets(programs, sockets);
    EXPECT_TRUE(ended && *ended == sockets.aborted.size());
    return sockets.aborted;
  }
  kernel::FakePrograms programs;
  FakeSockets sockets;
  std::unique_ptr<Realizer> realizer_ = Realizer::create(programs).value();
  uint64_t revision_ = 0, retired = 0;
};

TEST_F(StaleSockets, AreToldWhenTheirBackendLeaves) {  // SVC-D16
  const auto one = at("10.1.0.2", 5353), two = at("10.1.0.3", 5353);
  realize({one, two});
  EXPECT_EQ(retired, 0u);
  connect(1, at("10.96.0.10", 53), one);
  connect(2, at("10.96.0.10", 53), two);
  connect(3, at("127.0.0.1", 30053), one);
  sockets.sockets.push_back({.local = at("192.0.2.11", 1), .peer = one, .cookie = 4});  // no service led it there
  EXPECT_EQ(end(), std::vector<uint64_t>());
  realize({two});
  EXPECT_GT(retired, 0u);
  EXPECT_EQ(end(), (std::vector<uint64_t>{1, 3}));
  sockets.gone = {1, 3};
  EXPECT_EQ(end(), std::vector<uint64_t>());
  realize({}, false);
  EXPECT_EQ(end(), std::vector<uint64_t>{2}) << "the Service is gone";
}

}  // namespace
}  // namespace carrick::realize
