#include "net/ip.h"

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "base/text.h"

namespace carrick::net {
namespace {
constexpr std::array<uint8_t, 12> kV4MappedHead = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

IpAddress IpAddress::v4(uint32_t host_order) {
  IpAddress out;
  std::memcpy(out.bytes_.data(), kV4MappedHead.data(), 12);
  uint32_t be = htonl(host_order);
  std::memcpy(out.bytes_.data() + 12, &be, 4);
  return out;
}

Result<IpAddress> IpAddress::parse(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN];
  if (text.size() < sizeof buffer) {
    if (!text.empty()) std::memcpy(buffer, text.data(), text.size());  // an empty view may have no data
    buffer[text.size()] = 0;
    in_addr a4;
    bool whole = text.size() == std::strlen(buffer);  // no byte after an embedded NUL
    if (whole && inet_pton(AF_INET, buffer, &a4) == 1) return v4(ntohl(a4.s_addr));
    IpAddress out;
    if (whole && inet_pton(AF_INET6, buffer, out.bytes_.data()) == 1) return out;
  }
  return fail(ErrorKind::kInvalid, "\"{}\" is not a valid IP address", text.substr(0, 64));
}

bool IpAddress::is_v4() const { return std::memcmp(bytes_.data(), kV4MappedHead.data(), 12) == 0; }

uint32_t IpAddress::v4_host_order() const {
  uint32_t be;
  std::memcpy(&be, bytes_.data() + 12, 4);
  return ntohl(be);
}

bool IpAddress::is_unspecified() const { return is_v4() ? v4_host_order() == 0 : *this == IpAddress(); }

bool IpAddress::is_loopback() const {
  if (is_v4()) return bytes_[12] == 127;
  IpAddress one;
  one.bytes_[15] = 1;
  return *this == one;
}

bool IpAddress::is_link_local() const {
  if (is_v4()) return bytes_[12] == 169 && bytes_[13] == 254;
  return bytes_[0] == 0xfe && (bytes_[1] & 0xc0) == 0x80;
}

bool IpAddress::is_multicast() const { return is_v4() ? (bytes_[12] & 0xf0) == 0xe0 : bytes_[0] == 0xff; }

IpAddress IpAddress::plus(uint64_t offset) const {
  IpAddress out = *this;
  if (is_v4()) return v4(v4_host_order() + static_cast<uint32_t>(offset));
  for (int i = 15; i >= 8 && offset; --i) {
    offset += out.bytes_[i];
    out.bytes_[i] = static_cast<uint8_t>(offset);
    offset >>= 8;
  }
  return out;
}

std::string IpAddress::str() const {
  char buffer[INET6_ADDRSTRLEN];
  if (is_v4()) return inet_ntop(AF_INET, bytes_.data() + 12, buffer, sizeof buffer);
  return inet_ntop(AF_INET6, bytes_.data(), buffer, sizeof buffer);
}

Prefix::Prefix(const IpAddress& address, int length) : length_(length) {
  auto bytes = address.bytes();
  for (int bit = length; bit < 128; ++bit) bytes[bit / 8] &= static_cast<uint8_t>(~(0x80 >> (bit % 8)));
  address_ = IpAddress(bytes);
}

Result<Prefix> Prefix::parse(std::string_view text) {
  size_t slash = text.find('/');
  auto invalid = [&] {
    return fail(ErrorKind::kInvalid, "\"{}\" is not a valid CIDR block, for example 10.9.8.0/24 or 2001:db8::/64",
                text.substr(0, 64));
  };
  if (slash == std::string_view::npos) return invalid();
  auto address = IpAddress::parse(text.substr(0, slash));
  std::string_view digits = text.substr(slash + 1);
  int length = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (!address || digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return invalid();
  if (digits.size() > 1 && digits[0] == '0') return invalid();
  bool v4 = text.find(':') == std::string_view::npos;
  if (length < 0 || length > (v4 ? 32 : 128)) return invalid();
  return Prefix(*address, v4 ? length + 96 : length);
}

bool Prefix::contains(const IpAddress& address) const {
  if (address.is_v4() != is_v4()) return false;  // ::/0 does not cover the v4-mapped form of an IPv4 address
  return Prefix(address, length_).address_ == address_;
}

std::string Prefix::str() const { return fmt::format("{}/{}", address_.str(), family_length()); }

Result<MacAddress> MacAddress::parse(std::string_view text) {
  MacAddress out;
  auto parts = split(text, ':');
  bool good = parts.size() == 6;
  for (size_t i = 0; good && i < 6; ++i) {
    auto [end, error] = std::from_chars(parts[i].data(), parts[i].data() + parts[i].size(), out.bytes[i], 16);
    good = parts[i].size() == 2 && error == std::errc() && end == parts[i].data() + 2;
  }
  if (!good) return fail(ErrorKind::kInvalid, "\"{}\" is not a valid MAC address", text.substr(0, 64));
  return out;
}

MacAddress MacAddress::derived_from(std::string_view seed) {
  uint64_t hash = stable_hash(seed);
  MacAddress out;
  std::memcpy(out.bytes.data(), &hash, 6);
  out.bytes[0] = static_cast<uint8_t>((out.bytes[0] & 0xfe) | 0x02);
  return out;
}

std::string MacAddress::str() const {
  return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
                     bytes[5]);
}

Result<Protocol> parse_protocol(std::string_view text) {
  std::string name = lower(text);
  if (name == "tcp") return Protocol::kTcp;
  if (name == "udp") return Protocol::kUdp;
  if (name == "sctp") return Protocol::kSctp;
  return fail(ErrorKind::kInvalid, "\"{}\" is not a protocol; supported values: \"TCP\", \"UDP\", \"SCTP\"", text);
}

std::string_view protocol_name(Protocol protocol) {
  switch (protocol) {
    case Protocol::kAny:
      return "ANY";
    case Protocol::kIcmp:
      return "ICMP";
    case Protocol::kTcp:
      return "TCP";
    case Protocol::kUdp:
      return "UDP";
    case Protocol::kIcmpV6:
      return "ICMPv6";
    case Protocol::kSctp:
      return "SCTP";
  }
  return "?";
}

std::string SocketAddress::str() const {
  return address.is_v4() ? fmt::format("{}:{}", address.str(), port) : fmt::format("[{}]:{}", address.str(), port);
}

uint64_t stable_hash(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

}  // namespace carrick::net
