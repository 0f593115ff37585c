#pragma once

#include <functional>
#include <memory>

#include "desired/desired.h"
#include "desired/listeners/listeners.h"

// explain: what will happen to a connection and which object decided it. PURE: reads the tables that the data plane
// reads, in the order in which it reads them.
namespace carrick::explain {

// kDeny: dropped, the client times out. kRefuse: answered at once (RST, ICMP, or a name that does not exist).
enum class Verdict : uint8_t { kAllow, kDeny, kRefuse };
std::string_view verdict_word(Verdict verdict);  // allow, deny, refuse

// "web.yaml:12" of the object and clause, or empty when it came from no file.
using Locate = std::function<std::string(const desired::Owner&)>;

// Everything explain reads. All nodes' tables are of one snapshot.
struct World {
  std::shared_ptr<const k8s::Snapshot> snapshot;
  std::map<std::string, desired::NodeView> views;  // by node
  std::map<std::string, desired::Tables> tables;   // by node
  desired::ListenerTable listeners;
  std::vector<net::IpAddress> node_resolvers;  // what a node's own resolv.conf names; outside the cluster
  Locate locate;
};

struct WorldOptions {
  desired::Routing routing = desired::Routing::kNative;
  bool dsr = false;
  std::string cluster_domain = "cluster.local";
  // Of the families that a node has. The ranges of the lab, and of the plan of manifests.
  std::vector<std::string> service_cidrs = {"10.96.0.0/16", "2001:db8:96::/112"};
  std::vector<std::string> node_resolvers = {"203.0.113.53", "2001:db8:203::53"};
};
// The tables that the nodes' agents will have when every pod that has an address is plumbed where it is bound.
World make_world(std::shared_ptr<const k8s::Snapshot> snapshot, const WorldOptions& options = {});

// ---- One question ----

enum class Family : uint8_t { kAny, kV4, kV6 };

struct Party {
  enum class Kind { kPod, kService, kName, kAddress } kind = Kind::kPod;
  k8s::NamespacedName object;  // kPod, kService
  std::string name;            // kName, as asked
  net::IpAddress address;      // kAddress: of a node, of the outside, of nobody
  std::string str() const;
};

struct Question {
  Party from, to;  // from: kPod or kAddress (a client outside the cluster, or a node)
  uint16_t port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  Family family = Family::kAny;  // kAny: IPv4 where both ends have it
};

// One step of the packet's way.
struct Decision {
  std::string stage;  // name, service, egress, route, ingress, listener
  bool passed = true;
  std::string sentence;
  std::vector<desired::Owner> owners;  // what decided it; for a default deny the policies that isolate the pod
  std::string nearest;  // default deny: the rule that would have needed the fewest changes, and what differs
  std::vector<desired::Owner> nearest_owner;
};

// One way a connection can go: to one pod, or to one endpoint of a service.
struct Path {
  net::SocketAddress target;
  std::string target_name;  // "shop/api-0", or the address
  net::IpAddress seen_as;   // the client as the target sees it: its own address, or that of a node
  Verdict verdict = Verdict::kAllow;
  std::vector<Decision> decisions;
};

struct Answer {
  Question question;
  Verdict verdict = Verdict::kAllow;  // of several paths the worst: deny, refuse, allow
  bool mixed = false;                 // the paths differ: it depends on the endpoint that is chosen
  std::string sentence;
  std::vector<Decision> decisions;  // common to all paths: name, service
  std::vector<Path> paths;          // empty when a common decision ended it
};
Answer explain(const World& world, const Question& question);

// What people type: `ns/pod`, `ns/deploy/NAME` (sts, ds, rs, job), `ns/svc/NAME`, a DNS name, an IP, `outside`; no
// slash = namespace default. Several pods when it names a workload. kInvalid with the nearest name when there is none.
// As the source of a connection a service stands for the pods behind it.
Result<std::vector<Party>> parse_party(const World& world, std::string_view text, bool as_source);
// "80", "80/tcp", "53/udp"; kInvalid otherwise.
Result<desired::Listener> parse_port(std::string_view text);
// The ports that a question without --port is about: what the pod listens on, what the service offers.
std::vector<desired::Listener> ports_of(const World& world, const Party& to);

// ---- The truth table ----

enum class Via : uint8_t { kPod, kService, kDns };

struct MatrixOptions {
  Via via = Via::kPod;
  Family family = Family::kAny;
  std::function<bool(const k8s::Pod&)> from,
      to;  // absent = all; with kService and kDns `to` must hold for a pod behind it
  bool sctp = true;
};

struct MatrixSource {
  k8s::NamespacedName pod;
  net::IpAddress address, address6;  // unspecified: none of that family
  std::string node;
};
struct MatrixTarget {
  std::string name;                    // "shop/api-0", or "shop/svc/api"
  net::IpAddress address;              // to connect to; unspecified for a headless service (kDns)
  std::string dns_name;                // kDns: fully qualified, without trailing dot
  std::set<k8s::NamespacedName> pods;  // who may answer
};
struct Cell {
  uint32_t from = 0, to = 0;  // indexes of sources and targets
  uint32_t owners = 0;        // index of owner_sets
  uint16_t port = 0;
  net::Protocol protocol = net::Protocol::kTcp;
  Verdict expected = Verdict::kAllow;
  uint8_t possible = 0;  // bit 1 << verdict of every endpoint; more than one bit: it depends on the endpoint
};
struct Matrix {
  Via via = Via::kPod;
  std::vector<MatrixSource> sources;
  std::vector<MatrixTarget> targets;
  std::vector<std::vector<desired::Owner>> owner_sets;
  std::vector<Cell> cells;
};
// Every pod to every listening port of every other pod (or every port of every Service whose endpoints are pods). A pod
// to itself is no cell: policies never judge it (NP-12).
Matrix matrix(const World& world, const MatrixOptions& options = {});

// ---- For people and programs ----

std::string to_text(const Answer& answer, const Locate& locate);
std::string to_json(const Answer& answer, const Locate& locate);
// One table for each destination port: rows are sources, columns destinations; "." allow, "X" deny, "r" refuse, "?"
// depends on the endpoint, blank no cell.
std::string to_text(const Matrix& matrix);
// {"pods":{"ns/name":{"ip","ip6","node"}},"cells":[{"from","to","port","protocol","expected","owners":[...]}]} in
// pieces, since a matrix of 1,000 pods is 100 MB and more.
void write_json(const Matrix& matrix, const Locate& locate, const std::function<void(std::string_view)>& write);

}  // namespace carrick::explain
