#include <algorithm>

#include "dns/message/message.h"

namespace carrick::dns {
namespace {

void append16(std::string& out, uint16_t value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value & 0xff);
}

void append32(std::string& out, uint32_t value) {
  append16(out, static_cast<uint16_t>(value >> 16));
  append16(out, static_cast<uint16_t>(value & 0xffff));
}

}  // namespace

std::string address_data(const net::IpAddress& address) {
  const auto& bytes = address.bytes();
  size_t skip = address.is_v4() ? 12 : 0;
  return {reinterpret_cast<const char*>(bytes.data()) + skip, bytes.size() - skip};
}

std::string name_data(const Name& name) { return name.wire(); }

std::string srv_data(uint16_t priority, uint16_t weight, uint16_t port, const Name& target) {
  std::string out;
  out.reserve(6 + target.wire().size());
  append16(out, priority);
  append16(out, weight);
  append16(out, port);
  return out += target.wire();
}

std::string txt_data(std::string_view text) {
  std::string out;
  do {
    std::string_view part = text.substr(0, 255);
    out += static_cast<char>(part.size());
    out += part;
    text.remove_prefix(part.size());
  } while (!text.empty());
  return out;
}

std::string soa_data(const Name& mname, const Name& rname, uint32_t serial, uint32_t refresh, uint32_t retry,
                     uint32_t expire, uint32_t minimum) {
  std::string out = mname.wire() + rname.wire();
  for (uint32_t value : {serial, refresh, retry, expire, minimum}) append32(out, value);
  return out;
}

Record address_record(const Name& owner, const net::IpAddress& address, uint32_t ttl) {
  return {owner, address.is_v4() ? kA : kAaaa, ttl, address_data(address)};
}

std::optional<net::IpAddress> address_of(const Record& record) {
  std::array<uint8_t, 16> bytes{};
  if (record.type == kAaaa && record.data.size() == 16) {
    std::copy_n(record.data.begin(), 16, bytes.begin());
  } else if (record.type == kA && record.data.size() == 4) {
    bytes[10] = bytes[11] = 0xff;
    std::copy_n(record.data.begin(), 4, bytes.begin() + 12);
  } else {
    return std::nullopt;
  }
  return net::IpAddress(bytes);
}

std::optional<Name> target_of(const Record& record) {
  size_t skip = record.type == kSrv ? 6 : 0;
  if (record.type != kSrv && record.type != kCname && record.type != kNs && record.type != kPtr) return std::nullopt;
  if (record.data.size() <= skip) return std::nullopt;
  return Name::from_wire(reinterpret_cast<const uint8_t*>(record.data.data()) + skip, record.data.size() - skip);
}

std::optional<uint32_t> soa_minimum(const Record& record) {
  if (record.type != kSoa || record.data.size() < 22) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = record.data.size() - 4; i < record.data.size(); ++i)
    value = value << 8 | static_cast<unsigned char>(record.data[i]);
  return value;
}

}  // namespace carrick::dns
