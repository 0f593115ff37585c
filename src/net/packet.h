#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/ip.h"

// Ethernet frames with IPv4 or IPv6, built and read. Pure; for tests, probes and for showing what was seen.
namespace carrick::net {

// TCP flag bits.
inline constexpr uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10;

// Builds one frame, checksums right unless told otherwise:
//   eth().ip("10.1.0.9", "10.96.0.10").tcp(40000, 80).payload("hi").bytes()
// Addresses are texts that must be valid (an invalid one becomes ::).
class Frame {
 public:
  Frame& macs(const MacAddress& source, const MacAddress& destination);
  Frame& ip(std::string_view source, std::string_view destination);  // family by the addresses
  Frame& ip(const IpAddress& source, const IpAddress& destination);
  Frame& ttl(uint8_t ttl);  // or hop limit; 64 unless told
  // A fragment: offset in bytes (a multiple of 8). IPv6 gets a fragment header. With offset > 0 there is no L4 header.
  Frame& fragment(uint32_t id, uint16_t offset, bool more);
  Frame& ip_options(size_t words);  // IPv4: no-operation options
  Frame& hop_by_hop();              // IPv6: an extension header of padding
  Frame& tcp(uint16_t source_port, uint16_t destination_port, uint8_t flags = kSyn, uint32_t sequence = 1000,
             uint32_t acknowledged = 0);
  Frame& udp(uint16_t source_port, uint16_t destination_port);
  Frame& udp_without_checksum(uint16_t source_port, uint16_t destination_port);  // IPv4 only
  Frame& sctp(uint16_t source_port, uint16_t destination_port);
  Frame& echo(uint16_t id, uint16_t sequence = 1, bool reply = false);  // of the IP family in use
  Frame& icmp(uint8_t type, uint8_t code, uint32_t rest = 0);           // any other; quoted packet as payload
  Frame& protocol(uint8_t number);                                      // no header of ours behind IP
  Frame& ether_type(uint16_t type);                                     // instead of IP; payload follows Ethernet
  Frame& payload(std::string_view bytes);
  std::string bytes() const;
  // The same without Ethernet, cut to `size` bytes: what an ICMP error quotes.
  std::string quoted(size_t size = 1232) const;

 private:
  std::string l4_bytes() const;

  MacAddress source_mac_{{2, 0, 0, 0, 0, 1}}, destination_mac_{{2, 0, 0, 0, 0, 2}};
  IpAddress source_, destination_;
  uint16_t ether_type_ = 0;
  uint8_t ttl_ = 64, protocol_ = 0, flags_ = 0, type_ = 0, code_ = 0;
  bool fragment_ = false, more_ = false, hop_by_hop_ = false, checksum_ = true, ports_ = false, icmp_ = false;
  uint32_t fragment_id_ = 0, sequence_ = 0, acknowledged_ = 0, rest_ = 0;
  uint16_t fragment_offset_ = 0, source_port_ = 0, destination_port_ = 0;
  size_t option_words_ = 0;
  std::string payload_;
};

inline Frame eth() { return {}; }

// What a frame says. Fields that its protocol does not have are zero.
struct FrameView {
  MacAddress source_mac, destination_mac;
  uint16_t ether_type = 0;
  IpAddress source, destination;
  uint8_t ttl = 0;
  Protocol protocol = Protocol::kAny;
  bool fragment = false, later_fragment = false;
  uint16_t source_port = 0, destination_port = 0;
  uint8_t tcp_flags = 0;
  uint32_t sequence = 0, acknowledged = 0;
  uint8_t icmp_type = 0, icmp_code = 0;
  uint16_t icmp_id = 0;
  bool checksums_right = false;  // of IPv4 and of L4; true for what has none
  std::string_view payload;      // behind the last header that was understood; points into the frame
  std::string str() const;       // "10.1.0.9:40000 > 10.1.0.7:80 tcp S ttl 63 \"hi\""
};

// kInvalid for a frame that is cut short or contradicts itself. Never reads outside `frame`.
Result<FrameView> parse_frame(std::string_view frame);

}  // namespace carrick::net
