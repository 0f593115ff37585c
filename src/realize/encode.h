#pragma once

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "desired/desired.h"
#include "realize/realize.h"
#include "reconcile/reconcile.h"
#include "wire/choice.h"
#include "wire/config.h"
#include "wire/pods.h"
#include "wire/policy.h"
#include "wire/services.h"

// PURE: table rows to the bytes of bpf/wire, one function a map.
namespace carrick::realize {

using Rows = std::vector<reconcile::Row>;

// `tiered_closed`: pods that a ClusterNetworkPolicy has rules for are closed.
Rows encode_pods(const desired::PodTable& table, bool tiered_closed = false);
Rows encode_peers(const desired::PeerTable& table);
Rows encode_cidrs(const desired::CidrTable& table);
Rows encode_policy(const desired::PolicyTable& table);

reconcile::Row encode_peer(const net::Prefix& prefix, const desired::PeerRow& peer);
const net::Prefix& v4_guard();  // a row that encode_peers and encode_cidrs always have; see bpf/wire/pods.h

// The list of backends of a frontend. Its name is its content (see bpf/wire/services.h): frontends of one service with
// equal lists share the rows.
struct BackendSet {
  uint64_t name = 0;  // 0: no backends, no rows
  std::vector<backend_value> backends;
  std::vector<net::SocketAddress> unchosen;  // members, and no backends
};
BackendSet backend_set(const desired::FrontendKey& key, const desired::FrontendRow& frontend);
void encode_set(const BackendSet& set, const SharedText& owner, Rows& backends, Rows& members);

// The clients that a frontend is for, named in the same way; 0: everybody.
struct SourceList {
  uint64_t name = 0;
  std::set<net::Prefix> ranges;
};
SourceList source_list(const desired::FrontendRow& frontend);
void encode_sources(const SourceList& list, const SharedText& owner, Rows& sources);

// The table of the consistent choice among these backends, named in the same way: on every node that has equal ones it
// is the same. 0: choose without.
struct ChoiceTable {
  uint64_t name = 0;
  std::vector<net::SocketAddress> backends;
};
ChoiceTable choice_of(const desired::FrontendKey& key, const desired::FrontendRow& frontend);
void encode_choice(const ChoiceTable& table, const SharedText& owner, Rows& choices);

// The lists that one frontend's row names.
struct FrontendLists {
  BackendSet set;
  SourceList sources;
  ChoiceTable choice;
};
FrontendLists lists_of(const desired::FrontendKey& key, const desired::FrontendRow& frontend);
reconcile::Row encode_frontend(const desired::FrontendKey& key, const desired::FrontendRow& frontend,
                               const FrontendLists& lists);

struct ServiceRows {
  Rows frontends, backends, members, sources, choices;
};
ServiceRows encode_services(const desired::FrontendTable& table);

node_config encode_config(const NodeConfig& node, uint32_t epoch);

template <class T>
std::string bytes_of(const T& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}
wire_address wire_of(const net::IpAddress& address);
net::IpAddress address_of(const wire_address& wire);
address_lpm_key wire_of(const net::Prefix& prefix);

}  // namespace carrick::realize
