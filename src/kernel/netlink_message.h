#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <functional>
#include <string_view>
#include <vector>

#include "net/ip.h"

// Wire form of rtnetlink: a buffer of messages to send, and a walk over attributes received. Private to the netlink
// door.
namespace carrick::kernel {

class MessageBuffer {
 public:
  // Starts a message; its length is kept up to date by every put.
  template <class Body>
  Body& begin(uint16_t type, uint16_t flags, uint32_t sequence, const Body& body) {
    start_ = bytes_.size();
    nlmsghdr header{.nlmsg_len = 0,
                    .nlmsg_type = type,
                    .nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST),
                    .nlmsg_seq = sequence,
                    .nlmsg_pid = 0};
    append(&header, sizeof header);
    size_t at = bytes_.size();
    append(&body, sizeof body);
    finish();
    return *reinterpret_cast<Body*>(bytes_.data() + at);
  }
  void put(uint16_t type, const void* data, size_t size) {
    rtattr attribute{.rta_len = static_cast<uint16_t>(RTA_LENGTH(size)), .rta_type = type};
    append(&attribute, sizeof attribute);
    append(data, size);
    finish();
  }
  void put_raw(const void* data, size_t size) { append(data, size), finish(); }
  void put_u8(uint16_t type, uint8_t value) { put(type, &value, sizeof value); }
  void put_u32(uint16_t type, uint32_t value) { put(type, &value, sizeof value); }
  void put_text(uint16_t type, std::string_view text) {
    std::vector<char> copy(text.begin(), text.end());
    copy.push_back(0);
    put(type, copy.data(), copy.size());
  }
  void put_address(uint16_t type, const net::IpAddress& a) {
    a.is_v4() ? put(type, a.bytes().data() + 12, 4) : put(type, a.bytes().data(), 16);
  }
  void put_mac(uint16_t type, const net::MacAddress& mac) { put(type, mac.bytes.data(), 6); }
  void nest(uint16_t type, const std::function<void()>& fill) {
    size_t at = bytes_.size();
    put(type, nullptr, 0);
    fill();
    reinterpret_cast<rtattr*>(bytes_.data() + at)->rta_len = static_cast<uint16_t>(bytes_.size() - at);
  }
  void or_flags(uint16_t flags) { reinterpret_cast<nlmsghdr*>(bytes_.data() + start_)->nlmsg_flags |= flags; }

  const std::vector<char>& bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  void append(const void* data, size_t size) {
    const char* from = static_cast<const char*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
    bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  }
  void finish() {
    reinterpret_cast<nlmsghdr*>(bytes_.data() + start_)->nlmsg_len = static_cast<uint32_t>(bytes_.size() - start_);
  }

  std::vector<char> bytes_;
  size_t start_ = 0;
};

// Calls f(type, payload) for each well-formed attribute.
template <class F>
void for_each_attribute(std::string_view attributes, F&& f) {
  while (attributes.size() >= sizeof(rtattr)) {
    rtattr header;
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.rta_len < sizeof header || header.rta_len > attributes.size()) return;
    f(static_cast<uint16_t>(header.rta_type & NLA_TYPE_MASK),
      attributes.substr(sizeof header, header.rta_len - sizeof header));
    attributes.remove_prefix(std::min<size_t>(RTA_ALIGN(header.rta_len), attributes.size()));
  }
}

inline uint32_t read_u32(std::string_view payload) {
  uint32_t value = 0;
  std::memcpy(&value, payload.data(), std::min<size_t>(payload.size(), 4));
  return value;
}

inline net::IpAddress read_address(std::string_view payload) {
  std::array<uint8_t, 16> bytes{};
  if (payload.size() == 4) {
    uint32_t be;
    std::memcpy(&be, payload.data(), 4);
    return net::IpAddress::v4(__builtin_bswap32(be));
  }
  std::memcpy(bytes.data(), payload.data(), std::min<size_t>(payload.size(), 16));
  return net::IpAddress(bytes);
}

}  // namespace carrick::kernel
