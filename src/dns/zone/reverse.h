#pragma once

#include <optional>
#include <vector>

#include "dns/message/name.h"
#include "net/ip.h"

namespace carrick::dns {

// A name below in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5).
struct ReverseName {
  bool v4 = false;
  size_t labels = 0;         // below the arpa zone
  net::Prefix prefix;        // what the well-formed labels, read from the right, say; a host when the name is complete
  bool well_formed = false;  // all labels are, and none is too many

  bool complete() const { return well_formed && prefix.length() == 128; }
};

// Nothing for names outside of both arpa zones.
std::optional<ReverseName> parse_reverse(const Name& name);

// Number of labels, below the arpa zone, of the zone that is cut for this prefix: octets or nibbles, rounded up, so
// that a question about an address outside of it is never answered for it.
size_t reverse_labels(const net::Prefix& zone);

// "10.0.96.10.in-addr.arpa" of an address.
Name reverse_name(const net::IpAddress& address);

}  // namespace carrick::dns
