#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace carrick::net {

// One address of either family in 16 bytes; IPv4 as v4-mapped IPv6 (RFC 4291 2.5.5.2), as in every BPF map key.
class IpAddress {
 public:
  constexpr IpAddress() = default;
  constexpr explicit IpAddress(const std::array<uint8_t, 16>& bytes) : bytes_(bytes) {}
  static IpAddress v4(uint32_t host_order);
  // Textual IPv4 (dotted, no leading zeros) or IPv6 (RFC 4291, no scope). kInvalid otherwise.
  static Result<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  bool is_unspecified() const;  // 0.0.0.0 or ::
  bool is_loopback() const;
  bool is_link_local() const;
  bool is_multicast() const;
  uint32_t v4_host_order() const;  // only for is_v4()
  const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  IpAddress plus(uint64_t offset) const;  // arithmetic on the low 64 bits
  std::string str() const;                // RFC 5952 for IPv6
  auto operator<=>(const IpAddress&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

// CIDR block. length counts bits of the 16-byte form: an IPv4 /24 has length 120 here and family_length() 24.
class Prefix {
 public:
  Prefix() = default;
  Prefix(const IpAddress& address, int length);  // masks the host bits
  static Prefix host(const IpAddress& address) { return Prefix(address, 128); }
  // "10.1.0.0/16" or "2001:db8::/32"; host bits are masked. A bare address is kInvalid.
  static Result<Prefix> parse(std::string_view text);

  const IpAddress& address() const { return address_; }
  int length() const { return length_; }
  int family_length() const { return is_v4() ? length_ - 96 : length_; }
  bool is_v4() const { return length_ >= 96 && address_.is_v4(); }
  bool contains(const IpAddress& address) const;
  bool contains(const Prefix& other) const { return other.length_ >= length_ && contains(other.address_); }
  std::string str() const;
  auto operator<=>(const Prefix&) const = default;

 private:
  IpAddress address_;
  int length_ = 0;
};

struct MacAddress {
  std::array<uint8_t, 6> bytes{};
  static Result<MacAddress> parse(std::string_view text);
  // Locally administered address derived from a seed text, so that equal names give equal MACs on every run.
  static MacAddress derived_from(std::string_view seed);
  std::string str() const;
  auto operator<=>(const MacAddress&) const = default;
};

enum class Protocol : uint8_t { kAny = 0, kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpV6 = 58, kSctp = 132 };

// "TCP", "UDP", "SCTP" in any case; kInvalid otherwise.
Result<Protocol> parse_protocol(std::string_view text);
std::string_view protocol_name(Protocol protocol);  // upper case, as the API spells it

struct SocketAddress {
  IpAddress address;
  uint16_t port = 0;        // host order
  std::string str() const;  // "10.1.0.7:80", "[2001:db8::1]:80"
  auto operator<=>(const SocketAddress&) const = default;
};

// Stable 64-bit hash of a text (FNV-1a with a final mix): ids that must be equal on every node and after every restart.
uint64_t stable_hash(std::string_view text);

}  // namespace carrick::net

template <>
struct std::hash<carrick::net::IpAddress> {
  size_t operator()(const carrick::net::IpAddress& a) const noexcept {
    return carrick::net::stable_hash({reinterpret_cast<const char*>(a.bytes().data()), 16});
  }
};
