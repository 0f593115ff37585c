#pragma once

#include <cstdint>

#include "net/ip.h"

namespace carrick::kernel {

struct Address {
  uint32_t ifindex = 0;
  net::IpAddress address;
  int length = 32;  // family length: 24 is an IPv4 /24
  auto operator<=>(const Address&) const = default;
};

// IPv6 without duplicate address detection: addresses are assigned by us, and a tentative one would not answer for a
// second.
struct AddAddress {
  Address address;  // already there is success
  // Scope host: the kernel never picks it as source of what goes elsewhere (IPv4). For service addresses on lo.
  bool host_scope = false;
};
struct RemoveAddress {
  Address address;  // missing is success
};

}  // namespace carrick::kernel
