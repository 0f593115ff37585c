#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "desired/desired.h"
#include "realize/realize.h"
#include "reconcile/reconcile.h"
#include "wire/config.h"
#include "wire/pods.h"
#include "wire/policy.h"
#include "wire/services.h"

// PURE: table rows to the bytes of bpf/wire, one function a map.
namespace carrick::realize {

using Rows = std::vector<reconcile::Row>;

Rows encode_pods(const desired::PodTable& table);
Rows encode_peers(const desired::PeerTable& table);
Rows encode_cidrs(const desired::CidrTable& table);
Rows encode_policy(const desired::PolicyTable& table);

struct ServiceRows {
  Rows frontends, backends, members, sources;
};
ServiceRows encode_services(const desired::FrontendTable& table);

node_config encode_config(const NodeConfig& node, uint32_t epoch);

template <class T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
wire_address wire_of(const net::IpAddress& address);
address_lpm_key wire_of(const net::Prefix& prefix);

}  // namespace carrick::realize
