#include "kernel/udp_sockets.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/fd.h"
#include "kernel/netns.h"

namespace carrick::kernel {
namespace {

Fd connected_to(int family, const char* address, uint16_t port) {
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
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

TEST(UdpSockets, AreListedAndAborted) {
  auto ns = create_anonymous_netns();
  if (!ns) GTEST_SKIP() << "needs root: " << ns.error().message;
  auto scope = NetnsScope::enter(ns->get());
  ASSERT_TRUE(scope);
  Fd four = connected_to(AF_INET, "127.0.0.1", 53), six = connected_to(AF_INET6, "::1", 53),
     mapped = connected_to(AF_INET6, "::ffff:127.0.0.2", 54), other = connected_to(AF_INET, "127.0.0.1", 53);
  Fd unconnected(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  auto& door = linux_udp_sockets();
  auto found = door.connected();
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 4u);
  auto with = [&](const Fd& fd) {
    auto at = std::ranges::find(*found, cookie_of(fd), &ConnectedUdp::cookie);
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
  EXPECT_EQ(door.connected()->size(), 1u);
  EXPECT_GE(::send(other.get(), "x", 1, 0), 0) << "the same addresses, and not meant";
  EXPECT_FALSE(door.abort(with(four))) << "it is gone";
}

}  // namespace
}  // namespace carrick::kernel
