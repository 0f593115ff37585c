#include "realize/removed_connections.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "realize/encode.h"
#include "realize/fake_sockets.h"

namespace carrick::realize {
namespace {

class RemovedConnections : public ::testing::Test {
 protected:
  void realize(std::vector<net::SocketAddress> chosen, std::vector<net::SocketAddress> unchosen = {}) {
    desired::FrontendRow row;
    for (const auto& backend : chosen) row.backends.push_back({.address = backend.address, .port = backend.port});
    row.unchosen = unchosen;
    row.service_id = kService;
    tables.frontends = {};
    tables.frontends[{kFrontend.address, kFrontend.port, net::Protocol::kTcp}] = row;
    realize();
  }
  void realize() {
    tables.prune = true;
    ++tables.revision;
    auto status = realizer_->apply(tables, {});
    ASSERT_TRUE(status && status->settled);
    retired = status->retired_backends;
  }
  // A socket that asked for kFrontend and was led to `peer`.
  void connect(uint64_t cookie, const net::SocketAddress& peer, uint16_t protocol = IPPROTO_TCP) {
    socket_key key{};
    key.cookie = cookie;
    key.backend = wire_of(peer.address);
    key.port_be = htons(peer.port);
    socket_value value{};
    value.frontend = wire_of(kFrontend.address);
    value.port_be = htons(kFrontend.port);
    value.protocol = protocol;
    value.service = static_cast<uint32_t>(kService);
    ASSERT_TRUE(programs.map("sockets")->put(bytes_of(key), bytes_of(value)));
    sockets.sockets.push_back(
        {.protocol = net::Protocol::kTcp, .local = at("10.1.0.9", 40000), .peer = peer, .cookie = cookie});
  }
  std::vector<uint64_t> end() {
    sockets.aborted.clear();
    namespaces = 0;
    auto ended = end_removed_connections(programs, sockets, [&](const std::function<void()>& look) {
      ++namespaces;
      look();
    });
    EXPECT_TRUE(ended && *ended == sockets.aborted.size());
    return sockets.aborted;
  }
  static constexpr uint64_t kService = 0x1234567890abcdef;
  const net::SocketAddress kFrontend = at("10.96.0.10", 80);
  const net::SocketAddress one = at("10.1.0.2", 8080), two = at("10.1.0.3", 8080);
  kernel::FakePrograms programs;
  FakeSockets sockets;
  desired::Tables tables;
  std::unique_ptr<Realizer> realizer_ = Realizer::create(programs).value();
  uint64_t retired = 0;
  int namespaces = 0;
};

using Cookies = std::vector<uint64_t>;

TEST_F(RemovedConnections, AreEndedWhenTheirEndpointIsListedNoMore) {
  realize({one, two});
  connect(1, one);
  connect(2, two);
  connect(3, one, 0);            // of programs that did not say the protocol yet
  connect(4, one, IPPROTO_UDP);  // another file's affair
  sockets.sockets.push_back({.protocol = net::Protocol::kTcp, .local = at("10.1.0.9", 1), .peer = one, .cookie = 5});
  EXPECT_EQ(end(), Cookies());
  realize({two}, {one});
  EXPECT_GT(retired, 0u);
  EXPECT_EQ(end(), Cookies()) << "listed is enough";
  realize({}, {one, two});
  EXPECT_EQ(end(), Cookies());
  EXPECT_EQ(namespaces, 0) << "there was nobody to look for";
  const auto before = retired;
  realize({}, {two});
  EXPECT_GT(retired, before);
  EXPECT_EQ(end(), Cookies{1});
  EXPECT_EQ(end(), Cookies());
  EXPECT_EQ(namespaces, 0) << "it is forgotten";
  EXPECT_EQ(programs.map("sockets")->read_all()->size(), 3u);
}

TEST_F(RemovedConnections, ASocketThatWentElsewhereMeanwhileIsNotMeant) {
  realize({one});
  connect(1, one);
  sockets.sockets[0].peer = two;  // connected anew, by another way
  realize({});
  EXPECT_EQ(end(), Cookies());
  EXPECT_EQ(namespaces, 1);
}

TEST_F(RemovedConnections, WithoutTheirServiceItCountsWhetherAPodHasTheAddress) {
  tables.peers[net::Prefix::host(one.address)] = {.kind = desired::PeerKind::kRemotePod, .identity = 100};
  realize({one});
  connect(1, one);
  tables.frontends = {};
  realize();
  EXPECT_EQ(end(), Cookies()) << "the Service is gone, its pod lives";
  auto& other = tables.frontends[{kFrontend.address, kFrontend.port, net::Protocol::kTcp}];
  other.service_id = 99;
  realize();
  EXPECT_EQ(end(), Cookies()) << "its address is another Service's";
  tables.peers[net::Prefix::host(one.address)] = {.kind =
                                                      desired::PeerKind::kRemotePodCidr};  // as the trie says it then
  realize();
  EXPECT_EQ(end(), Cookies{1});
}

}  // namespace
}  // namespace carrick::realize
