#include "net/packet.h"

#include <cctype>
#include <cstring>

namespace carrick::net {
namespace {

constexpr uint8_t kTcp = 6, kUdp = 17, kIcmp = 1, kIcmpV6 = 58, kSctp = 132, kFragmentHeader = 44;

void put16(std::string& out, uint32_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}
void put32(std::string& out, uint32_t value) {
  put16(out, value >> 16);
  put16(out, value);
}
uint16_t get16(std::string_view in, size_t at) {
  return static_cast<uint16_t>(static_cast<uint8_t>(in[at]) << 8 | static_cast<uint8_t>(in[at + 1]));
}
uint32_t get32(std::string_view in, size_t at) { return uint32_t{get16(in, at)} << 16 | get16(in, at + 2); }

// Ones' complement sum, RFC 1071.
uint64_t sum(std::string_view bytes, uint64_t start = 0) {
  for (size_t i = 0; i + 1 < bytes.size(); i += 2) start += get16(bytes, i);
  if (bytes.size() % 2) start += uint64_t{static_cast<uint8_t>(bytes.back())} << 8;
  return start;
}
uint16_t folded(uint64_t value) {
  while (value >> 16) value = (value & 0xffff) + (value >> 16);
  return static_cast<uint16_t>(~value);
}

std::string_view family_bytes(const IpAddress& address) {
  const auto* bytes = reinterpret_cast<const char*>(address.bytes().data());
  return address.is_v4() ? std::string_view(bytes + 12, 4) : std::string_view(bytes, 16);
}

uint64_t pseudo_header(const IpAddress& source, const IpAddress& destination, size_t length, uint8_t protocol) {
  return sum(family_bytes(destination), sum(family_bytes(source), length + protocol));
}

void store16(std::string& out, size_t at, uint16_t value) {
  out[at] = static_cast<char>(value >> 8);
  out[at + 1] = static_cast<char>(value);
}

IpAddress address(std::string_view text) {
  const auto parsed = IpAddress::parse(text);
  return parsed ? *parsed : IpAddress();
}

uint32_t crc32c(std::string_view bytes) {
  uint32_t state = 0xffffffff;
  for (const char byte : bytes) {
    state ^= static_cast<uint8_t>(byte);
    for (int i = 0; i < 8; ++i) state = state >> 1 ^ (state & 1 ? 0x82f63b78 : 0);
  }
  return ~state;
}

// Zero: left to a device.
bool sctp_checksum_right(std::string_view l4) {
  uint32_t said = 0;
  std::memcpy(&said, l4.data() + 8, sizeof said);
  std::string without(l4);
  without.replace(8, 4, 4, '\0');
  return said == 0 || said == crc32c(without);
}

}  // namespace

Frame& Frame::macs(const MacAddress& source, const MacAddress& destination) {
  source_mac_ = source;
  destination_mac_ = destination;
  return *this;
}
Frame& Frame::ip(std::string_view source, std::string_view destination) {
  return ip(address(source), address(destination));
}
Frame& Frame::ip(const IpAddress& source, const IpAddress& destination) {
  source_ = source;
  destination_ = destination;
  return *this;
}
Frame& Frame::ttl(uint8_t value) {
  ttl_ = value;
  return *this;
}
Frame& Frame::fragment(uint32_t id, uint16_t offset, bool more) {
  fragment_ = true;
  fragment_id_ = id;
  fragment_offset_ = offset;
  more_ = more;
  return *this;
}
Frame& Frame::ip_options(size_t words) {
  option_words_ = words;
  return *this;
}
Frame& Frame::hop_by_hop() {
  hop_by_hop_ = true;
  return *this;
}
Frame& Frame::tcp(uint16_t source_port, uint16_t destination_port, uint8_t flags, uint32_t sequence,
                  uint32_t acknowledged) {
  protocol_ = kTcp;
  ports_ = true;
  source_port_ = source_port;
  destination_port_ = destination_port;
  flags_ = flags;
  sequence_ = sequence;
  acknowledged_ = acknowledged;
  return *this;
}
Frame& Frame::udp(uint16_t source_port, uint16_t destination_port) {
  protocol_ = kUdp;
  ports_ = true;
  source_port_ = source_port;
  destination_port_ = destination_port;
  return *this;
}
Frame& Frame::udp_without_checksum(uint16_t source_port, uint16_t destination_port) {
  checksum_ = false;
  return udp(source_port, destination_port);
}
Frame& Frame::sctp(uint16_t source_port, uint16_t destination_port) {
  udp(source_port, destination_port);
  protocol_ = kSctp;
  return *this;
}
Frame& Frame::echo(uint16_t id, uint16_t sequence, bool reply) {
  const bool v4 = source_.is_v4();
  return icmp(v4 ? (reply ? 0 : 8) : (reply ? 129 : 128), 0, uint32_t{id} << 16 | sequence);
}
Frame& Frame::icmp(uint8_t type, uint8_t code, uint32_t rest) {
  protocol_ = source_.is_v4() ? kIcmp : kIcmpV6;
  icmp_ = true;
  type_ = type;
  code_ = code;
  rest_ = rest;
  return *this;
}
Frame& Frame::protocol(uint8_t number) {
  protocol_ = number;
  return *this;
}
Frame& Frame::ether_type(uint16_t type) {
  ether_type_ = type;
  return *this;
}
Frame& Frame::payload(std::string_view bytes) {
  payload_ = bytes;
  return *this;
}

std::string Frame::l4_bytes() const {
  std::string out;
  if (fragment_ && fragment_offset_) return payload_;
  size_t check = 0;
  if (protocol_ == kTcp && ports_) {
    put16(out, source_port_);
    put16(out, destination_port_);
    put32(out, sequence_);
    put32(out, acknowledged_);
    put16(out, 5u << 12 | flags_);
    put16(out, 65535);  // window
    put32(out, 0);
    check = 16;
  } else if (protocol_ == kUdp && ports_) {
    put16(out, source_port_);
    put16(out, destination_port_);
    put16(out, static_cast<uint32_t>(8 + payload_.size()));
    put16(out, 0);
    check = 6;
  } else if (protocol_ == kSctp && ports_) {
    put16(out, source_port_);
    put16(out, destination_port_);
    put32(out, 1);  // verification tag
    put32(out, 0);
    out += payload_;
    const uint32_t check_sum = crc32c(out);
    std::memcpy(out.data() + 8, &check_sum, sizeof check_sum);  // RFC 9260 appendix A: the low byte first
    return out;
  } else if (icmp_) {
    out += static_cast<char>(type_);
    out += static_cast<char>(code_);
    put16(out, 0);
    put32(out, rest_);
    check = 2;
  }
  out += payload_;
  if (!check || !checksum_) return out;
  uint64_t total = sum(out);
  if (protocol_ != kIcmp) total += pseudo_header(source_, destination_, out.size(), protocol_);
  uint16_t value = folded(total);
  if (protocol_ == kUdp && !value) value = 0xffff;  // RFC 768: 0 means none
  store16(out, check, value);
  return out;
}

std::string Frame::quoted(size_t size) const {
  std::string out;
  const std::string l4 = l4_bytes();
  if (source_.is_v4()) {
    const size_t header = 20 + 4 * option_words_;
    out += static_cast<char>(0x40 | header / 4);
    out += '\0';
    put16(out, static_cast<uint32_t>(header + l4.size()));
    put16(out, fragment_ ? fragment_id_ : 0);
    put16(out, fragment_ ? (more_ ? 0x2000u : 0u) | fragment_offset_ / 8u : 0x4000u);
    out += static_cast<char>(ttl_);
    out += static_cast<char>(protocol_);
    put16(out, 0);
    out += family_bytes(source_);
    out += family_bytes(destination_);
    out.append(4 * option_words_, '\1');
    store16(out, 10, folded(sum(out)));
  } else {
    std::string extensions;
    uint8_t first = protocol_;
    if (fragment_) {
      extensions += static_cast<char>(first);
      extensions += '\0';
      put16(extensions, fragment_offset_ | (more_ ? 1u : 0u));
      put32(extensions, fragment_id_);
      first = kFragmentHeader;
    }
    if (hop_by_hop_) {
      extensions.insert(0, std::string{static_cast<char>(first), 0, 1, 4, 0, 0, 0, 0});  // PadN
      first = 0;
    }
    put32(out, 6u << 28);
    put16(out, static_cast<uint32_t>(extensions.size() + l4.size()));
    out += static_cast<char>(first);
    out += static_cast<char>(ttl_);
    out += family_bytes(source_);
    out += family_bytes(destination_);
    out += extensions;
  }
  out += l4;
  return out.substr(0, size);
}

std::string Frame::bytes() const {
  std::string out(reinterpret_cast<const char*>(destination_mac_.bytes.data()), 6);
  out.append(reinterpret_cast<const char*>(source_mac_.bytes.data()), 6);
  if (ether_type_) {
    put16(out, ether_type_);
    return out + payload_;
  }
  put16(out, source_.is_v4() ? 0x0800 : 0x86dd);
  return out + quoted(65535);
}

namespace {

IpAddress v4_at(std::string_view bytes, size_t at) { return IpAddress::v4(get32(bytes, at)); }
IpAddress v6_at(std::string_view bytes, size_t at) {
  std::array<uint8_t, 16> raw;
  for (size_t i = 0; i < 16; ++i) raw[i] = static_cast<uint8_t>(bytes[at + i]);
  return IpAddress(raw);
}

// Reads the L4 header at the start of `l4`, the whole of what IP carries.
Result<void> parse_l4(FrameView& view, std::string_view l4) {
  const auto protocol = static_cast<uint8_t>(view.protocol);
  const bool v4 = view.source.is_v4();
  view.payload = l4;
  if (view.later_fragment) return {};
  size_t header = 8;
  bool checked = !view.fragment;
  uint64_t total = checked ? sum(l4) : 0;
  if (protocol == kTcp) {
    if (l4.size() < 20) return fail(ErrorKind::kInvalid, "TCP header cut short");
    header = size_t{static_cast<uint8_t>(l4[12])} / 16 * 4;
    if (header < 20 || header > l4.size()) return fail(ErrorKind::kInvalid, "TCP header of {} bytes", header);
    view.tcp_flags = static_cast<uint8_t>(l4[13]);
    view.sequence = get32(l4, 4);
    view.acknowledged = get32(l4, 8);
  } else if (protocol == kUdp || protocol == kSctp) {
    header = protocol == kSctp ? 12 : 8;
    if (l4.size() < header) return fail(ErrorKind::kInvalid, "header of protocol {} cut short", protocol);
    if (protocol == kSctp && checked) view.checksums_right = sctp_checksum_right(l4);
    if (protocol == kSctp || (v4 && get16(l4, 6) == 0)) checked = false;
  } else if (protocol == (v4 ? kIcmp : kIcmpV6)) {
    if (l4.size() < 8) return fail(ErrorKind::kInvalid, "ICMP header cut short");
    view.icmp_type = static_cast<uint8_t>(l4[0]);
    view.icmp_code = static_cast<uint8_t>(l4[1]);
    view.icmp_id = get16(l4, 4);
  } else {
    return {};
  }
  if (protocol == kTcp || protocol == kUdp || protocol == kSctp) {
    view.source_port = get16(l4, 0);
    view.destination_port = get16(l4, 2);
  }
  if (protocol != kIcmp) total += pseudo_header(view.source, view.destination, l4.size(), protocol);
  if (checked && folded(total) != 0) view.checksums_right = false;
  view.payload = l4.substr(header);
  return {};
}

Result<std::string_view> parse_v4(FrameView& view, std::string_view ip) {
  if (ip.size() < 20 || static_cast<uint8_t>(ip[0]) >> 4 != 4)
    return fail(ErrorKind::kInvalid, "IPv4 header cut short or of another version");
  const size_t header = (static_cast<uint8_t>(ip[0]) & 15u) * 4, total = get16(ip, 2);
  if (header < 20 || header > total || total > ip.size())
    return fail(ErrorKind::kInvalid, "IPv4 lengths {} and {} in {} bytes", header, total, ip.size());
  view.ttl = static_cast<uint8_t>(ip[8]);
  view.protocol = static_cast<Protocol>(ip[9]);
  view.source = v4_at(ip, 12);
  view.destination = v4_at(ip, 16);
  const uint16_t fragment = get16(ip, 6);
  view.fragment = (fragment & 0x3fff) != 0;
  view.later_fragment = (fragment & 0x1fff) != 0;
  view.checksums_right = folded(sum(ip.substr(0, header))) == 0;
  return ip.substr(header, total - header);
}

Result<std::string_view> parse_v6(FrameView& view, std::string_view ip) {
  if (ip.size() < 40 || static_cast<uint8_t>(ip[0]) >> 4 != 6)
    return fail(ErrorKind::kInvalid, "IPv6 header cut short or of another version");
  const size_t length = get16(ip, 4);
  if (40 + length > ip.size()) return fail(ErrorKind::kInvalid, "IPv6 payload of {} in {} bytes", length, ip.size());
  uint8_t next = static_cast<uint8_t>(ip[6]);
  view.ttl = static_cast<uint8_t>(ip[7]);
  view.source = v6_at(ip, 8);
  view.destination = v6_at(ip, 24);
  view.checksums_right = true;
  std::string_view rest = ip.substr(40, length);
  while (next == 0 || next == 43 || next == 60 || next == kFragmentHeader) {  // RFC 8200 section 4
    if (rest.size() < 8) return fail(ErrorKind::kInvalid, "IPv6 extension header cut short");
    const size_t size = next == kFragmentHeader ? 8 : (size_t{static_cast<uint8_t>(rest[1])} + 1) * 8;
    if (size > rest.size()) return fail(ErrorKind::kInvalid, "IPv6 extension header of {} bytes", size);
    if (next == kFragmentHeader) {
      view.fragment = true;
      view.later_fragment = (get16(rest, 2) & 0xfff8) != 0;
    }
    next = static_cast<uint8_t>(rest[0]);
    rest = rest.substr(size);
    if (view.later_fragment) break;
  }
  view.protocol = static_cast<Protocol>(next);
  return rest;
}

}  // namespace

Result<FrameView> parse_frame(std::string_view frame) {
  FrameView view;
  if (frame.size() < 14) return fail(ErrorKind::kInvalid, "Ethernet header cut short");
  for (size_t i = 0; i < 6; ++i) {
    view.destination_mac.bytes[i] = static_cast<uint8_t>(frame[i]);
    view.source_mac.bytes[i] = static_cast<uint8_t>(frame[6 + i]);
  }
  view.ether_type = get16(frame, 12);
  view.payload = frame.substr(14);
  view.checksums_right = true;
  if (view.ether_type != 0x0800 && view.ether_type != 0x86dd) return view;
  const auto l4 = TRY(view.ether_type == 0x0800 ? parse_v4(view, frame.substr(14)) : parse_v6(view, frame.substr(14)));
  TRY_VOID(parse_l4(view, l4));
  return view;
}

std::string FrameView::str() const {
  if (ether_type != 0x0800 && ether_type != 0x86dd)
    return fmt::format("ether type {:#06x}, {} bytes", ether_type, payload.size());
  std::string out;
  const bool ports = source_port || destination_port;
  out = ports ? SocketAddress{source, source_port}.str() + " > " + SocketAddress{destination, destination_port}.str()
              : source.str() + " > " + destination.str();
  switch (static_cast<uint8_t>(protocol)) {
    case kTcp: {
      out += " tcp ";
      constexpr std::string_view kLetters = "FSRPAU";
      for (size_t i = 0; i < kLetters.size(); ++i)
        if (tcp_flags & (1u << i)) out += kLetters[i];
      out += fmt::format(" seq {} ack {}", sequence, acknowledged);
      break;
    }
    case kUdp:
      out += " udp";
      break;
    case kSctp:
      out += " sctp";
      break;
    case kIcmp:
    case kIcmpV6:
      out += fmt::format(" icmp type {} code {} id {}", icmp_type, icmp_code, icmp_id);
      break;
    default:
      out += fmt::format(" protocol {}", static_cast<unsigned>(protocol));
  }
  if (fragment) out += later_fragment ? " later fragment" : " first fragment";
  out += fmt::format(" ttl {}{}", ttl, checksums_right ? "" : " BAD CHECKSUM");
  out += fmt::format(" {} > {}, {} bytes \"", source_mac.str(), destination_mac.str(), payload.size());
  for (const char c : payload.substr(0, 64)) out += std::isprint(static_cast<unsigned char>(c)) ? c : '.';
  return out + "\"";
}

}  // namespace carrick::net
