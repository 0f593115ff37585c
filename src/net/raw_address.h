#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "net/ip.h"

namespace carrick::net {

// sockaddr_in or sockaddr_in6 of a SocketAddress and back.
class RawAddress {
 public:
  RawAddress() = default;
  explicit RawAddress(const SocketAddress& from) {
    if (from.address.is_v4()) {
      auto* in = reinterpret_cast<sockaddr_in*>(&storage_);
      in->sin_family = AF_INET;
      in->sin_port = htons(from.port);
      in->sin_addr.s_addr = htonl(from.address.v4_host_order());
      size_ = sizeof *in;
    } else {
      auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage_);
      in6->sin6_family = AF_INET6;
      in6->sin6_port = htons(from.port);
      std::memcpy(&in6->sin6_addr, from.address.bytes().data(), 16);
      size_ = sizeof *in6;
    }
  }

  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage_); }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  socklen_t* size_slot() { return &size_; }

  SocketAddress socket_address() const {
    if (storage_.sin6_family == AF_INET) {
      const auto* in = reinterpret_cast<const sockaddr_in*>(&storage_);
      return {IpAddress::v4(ntohl(in->sin_addr.s_addr)), ntohs(in->sin_port)};
    }
    std::array<uint8_t, 16> bytes;
    std::memcpy(bytes.data(), &storage_.sin6_addr, 16);
    return {IpAddress(bytes), ntohs(storage_.sin6_port)};
  }

 private:
  sockaddr_in6 storage_{};  // the larger of the two
  socklen_t size_ = sizeof(sockaddr_in6);
};

}  // namespace carrick::net
