#include "dns/zone/reverse.h"

#include <array>

#include "base/text.h"

namespace carrick::dns {
namespace {

const Name& arpa(bool v4) {
  static const Name kV4 = *Name::parse("in-addr.arpa");
  static const Name kV6 = *Name::parse("ip6.arpa");
  return v4 ? kV4 : kV6;
}

// One octet in decimal without leading zeros, or one hex digit; -1 otherwise.
int label_value(std::string_view label, bool v4) {
  if (!v4) {
    if (label.size() != 1) return -1;
    char c = label[0];
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  }
  if (label.empty() || label.size() > 3 || (label.size() > 1 && label[0] == '0')) return -1;
  int value = 0;
  for (char c : label) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value <= 255 ? value : -1;
}

}  // namespace

std::optional<ReverseName> parse_reverse(const Name& name) {
  ReverseName out;
  out.v4 = name.is_below(arpa(true));
  if (!out.v4 && !name.is_below(arpa(false))) return std::nullopt;
  auto labels = name.labels();
  out.labels = labels.size() - 2;
  const size_t most = out.v4 ? 4 : 32, unit = out.v4 ? 8 : 4, first_bit = out.v4 ? 96 : 0;
  std::array<uint8_t, 16> bytes{};
  if (out.v4) bytes[10] = bytes[11] = 0xff;
  size_t taken = 0;
  for (; taken < out.labels && taken < most; ++taken) {
    int value = label_value(labels[out.labels - 1 - taken], out.v4);
    if (value < 0) break;
    size_t bit = first_bit + taken * unit;
    bytes[bit / 8] |= static_cast<uint8_t>(out.v4 || bit % 8 ? value : value << 4);
  }
  out.prefix = net::Prefix(net::IpAddress(bytes), static_cast<int>(first_bit + taken * unit));
  out.well_formed = taken == out.labels;
  return out;
}

size_t reverse_labels(const net::Prefix& zone) {
  size_t unit = zone.is_v4() ? 8 : 4;
  return (static_cast<size_t>(zone.family_length()) + unit - 1) / unit;
}

Name reverse_name(const net::IpAddress& address) {
  std::string text;
  const auto& bytes = address.bytes();
  if (address.is_v4()) {
    for (size_t i = 16; i-- > 12;) text += fmt::format("{}.", bytes[i]);
    text += "in-addr.arpa";
  } else {
    for (size_t i = 16; i-- > 0;) text += fmt::format("{:x}.{:x}.", bytes[i] & 0xf, bytes[i] >> 4);
    text += "ip6.arpa";
  }
  return *Name::parse(text);
}

}  // namespace carrick::dns
