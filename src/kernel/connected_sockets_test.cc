#include "kernel/connected_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/fd.h"
#include "kernel/netns.h"

namespace carrick::kernel {
namespace {

Fd connected_to(int family, const char* address, uint16_t port, int type = SOCK_DGRAM) {
  Fd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_port = htons(port)};
  sockaddr_in four{.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(family, address, family == AF_INET ? static_cast<void*>(&four.sin_addr) : &six.sin6_addr);
  const int failed = family == AF_INET ? ::connect(fd.get(), reinterpret_cast<sockaddr*>(&four), sizeof four)
                                       : ::connect(fd.get(), reinterpret_cast<sockaddr*>(&six), sizeof six);
  EXPECT_EQ(failed, 0) << address << ": " << strerror(errno);
  return fd;
}

uint64_t cookie_of(const Fd& fd) {
  uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  EXPECT_EQ(::getsockopt(fd.get(), SOL_SOCKET, SO_COOKIE, &cookie, &size), 0);
  return cookie;
}

TEST(ConnectedSockets, OfUdpAreListedAndAborted) {
  auto ns = create_anonymous_netns();
  if (!ns) GTEST_SKIP() << "needs root: " << ns.error().message;
  auto scope = NetnsScope::enter(ns->get());
  ASSERT_TRUE(scope);
  Fd four = connected_to(AF_INET, "127.0.0.1", 53), six = connected_to(AF_INET6, "::1", 53),
     mapped = connected_to(AF_INET6, "::ffff:127.0.0.2", 54), other = connected_to(AF_INET, "127.0.0.1", 53);
  Fd unconnected(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto& door = linux_sockets();
  auto found = door.connected(net::Protocol::kUdp);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 4u);
  auto with = [&](const Fd& fd) {
    auto at = std::ranges::find(*found, cookie_of(fd), &ConnectedSocket::cookie);
    EXPECT_NE(at, found->end());
    return *at;
  };
  EXPECT_EQ(with(four).peer.str(), "127.0.0.1:53");
  EXPECT_EQ(with(six).peer.str(), "[::1]:53");
  EXPECT_EQ(with(mapped).peer.str(), "127.0.0.2:54");
  for (const Fd* fd : {&four, &six, &mapped}) {
    auto aborted = door.abort(with(*fd));
    if (!aborted && aborted.error().kind == ErrorKind::kUnsupported) GTEST_SKIP() << aborted.error().message;
    ASSERT_TRUE(aborted) << aborted.error().message;
    char byte;
    EXPECT_EQ(::recv(fd->get(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNABORTED);
    EXPECT_EQ(::send(fd->get(), "x", 1, 0), -1);
    EXPECT_EQ(errno, EDESTADDRREQ);
  }
  EXPECT_EQ(door.connected(net::Protocol::kUdp)->size(), 1u);
  EXPECT_GE(::send(other.get(), "x", 1, 0), 0) << "the same addresses, and not meant";
  EXPECT_FALSE(door.abort(with(four))) << "it is gone";
}

TEST(ConnectedSockets, OfTcpAreListedAndAborted) {
  auto ns = create_anonymous_netns();
  if (!ns) GTEST_SKIP() << "needs root: " << ns.error().message;
  auto scope = NetnsScope::enter(ns->get());
  ASSERT_TRUE(scope);
  auto& door = linux_sockets();
  for (const char* address : {"127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
    Fd listener(::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{.sin6_family = AF_INET6, .sin6_port = htons(80)};
    const int yes = 1;
    ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    ASSERT_EQ(::listen(listener.get(), 4), 0);
    Fd client = connected_to(std::string(address).contains(':') ? AF_INET6 : AF_INET, address, 80, SOCK_STREAM);
    Fd server(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    auto found = door.connected(net::Protocol::kTcp);
    ASSERT_TRUE(found) << found.error().message;
    EXPECT_EQ(found->size(), 2u) << "both ends, and no listener";
    auto meant = std::ranges::find(*found, cookie_of(client), &ConnectedSocket::cookie);
    ASSERT_NE(meant, found->end());
    EXPECT_EQ(meant->peer.port, 80);
    auto aborted = door.abort(*meant);
    if (!aborted && aborted.error().kind == ErrorKind::kUnsupported) GTEST_SKIP() << aborted.error().message;
    ASSERT_TRUE(aborted) << aborted.error().message;
    char byte;
    EXPECT_EQ(::recv(client.get(), &byte, 1, MSG_DONTWAIT), -1);
    EXPECT_EQ(errno, ECONNABORTED);
    EXPECT_EQ(::recv(server.get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, ECONNRESET) << address;
    auto again = door.abort(*meant);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().kind, ErrorKind::kNotFound);
  }
}

}  // namespace
}  // namespace carrick::kernel
