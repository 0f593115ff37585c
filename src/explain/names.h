#pragma once

#include "explain/judge.h"

namespace carrick::explain {

// What a pod's resolver and the node's DNS server make of a name (search list of DNS-C1, CNAMEs inside the zone).
struct Lookup {
  bool found = false;
  std::string full_name;  // relative to the zone
  std::vector<net::IpAddress> addresses;
  std::string outside;  // a name outside the zone that it leads to
  desired::Owner owner;
};
Lookup look_up(const desired::NameTable& names, std::string_view asked, const std::string& namespace_);

}  // namespace carrick::explain
