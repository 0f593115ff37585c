#include "tests/judges/packet_client.h"

#include <algorithm>

#include "desired/object_facts.h"
#include "dns/resolv_conf.h"
#include "dns/zone/zone.h"

namespace carrick::testing {
namespace {

using net::Protocol;

constexpr uint16_t kDnsPort = 53;
constexpr size_t kIpQuote = 48;  // of an ICMP error: the IP header and 8 bytes are enough
constexpr size_t kEthernet = 14;

net::Frame segment(const net::SocketAddress& from, const net::SocketAddress& to, Protocol protocol, uint8_t flags) {
  net::Frame out = net::eth().ip(from.address, to.address);
  if (protocol == Protocol::kTcp) return out.tcp(from.port, to.port, flags);
  if (protocol == Protocol::kSctp) return out.sctp(from.port, to.port).payload("chunk");
  return out.udp(from.port, to.port).payload("datagram");
}

// What a machine says of a datagram to a port where nobody listens.
net::Frame unreachable(const net::FrameView& datagram, const std::string& frame) {
  bool v4 = datagram.source.is_v4();
  return net::eth()
      .ip(datagram.destination, datagram.source)
      .icmp(v4 ? 3 : 1, v4 ? 3 : 4)
      .payload(std::string_view(frame).substr(kEthernet, kIpQuote));
}

bool of_family(const net::IpAddress& address, explain::Family family) {
  return family == explain::Family::kAny || address.is_v4() == (family == explain::Family::kV4);
}

}  // namespace

// Of one family.
struct PacketClient::Client {
  std::string node;   // empty: outside
  uint32_t link = 0;  // of a pod
  net::IpAddress address;
};

PacketClient::Client PacketClient::client_of(const Asked& asked, bool v4) const {
  if (!asked.source.is_unspecified()) return {asked.node, 0, asked.source};
  for (const auto& [name, view] : world_.views)
    for (const auto& [id, pod] : view.pods)
      if (pod.pod == asked.question.from.object)
        for (const auto& address : pod.addresses)
          if (address.is_v4() == v4) return {name, pod.ifindex, address};
  return {};
}

Result<Seen> PacketClient::ask(const Asked& asked, int tries) const {
  Seen seen;
  auto all = TRY(targets(asked, seen));
  // As programs do: IPv4 where both ends have it.
  std::erase_if(all, [&](const auto& target) {
    return !of_family(target, asked.question.family) || client_of(asked, target.is_v4()).address.is_unspecified() ||
           client_of(asked, target.is_v4()).address.is_v4() != target.is_v4();
  });
  if (std::ranges::any_of(all, [](const auto& a) { return a.is_v4(); }))
    std::erase_if(all, [](const auto& a) { return !a.is_v4(); });
  if (all.empty() && seen.verdicts.empty()) {
    seen.verdicts.insert("refuse");
    seen.story += "  no address\n";
  }
  for (const auto& target : all)
    for (int i = 0; i < tries; ++i) TRY_VOID(attempt(asked, client_of(asked, target.is_v4()), target, seen));
  return seen;
}

// A verdict in `seen` when it ends before there is an address.
Result<std::vector<net::IpAddress>> PacketClient::targets(const Asked& asked, Seen& seen) const {
  const auto& to = asked.question.to;
  switch (to.kind) {
    case explain::Party::Kind::kAddress:
      return std::vector{to.address};
    case explain::Party::Kind::kPod: {
      auto pod = world_.snapshot->pods.find(to.object);
      if (pod == world_.snapshot->pods.end()) return fail(ErrorKind::kInvalid, "there is no pod {}", to.str());
      return desired::addresses_of(*pod->second);
    }
    case explain::Party::Kind::kService: {
      auto service = world_.snapshot->services.find(to.object);
      if (service == world_.snapshot->services.end())
        return fail(ErrorKind::kInvalid, "there is no Service {}", to.str());
      std::vector<net::IpAddress> out;
      for (const auto& text : service->second->spec.clusterIPs)
        if (auto address = net::IpAddress::parse(text)) out.push_back(*address);
      if (!out.empty()) return out;
      Asked by_name = asked;
      by_name.question.to.name = fmt::format("{}.{}.svc.cluster.local.", to.object.name, to.object.namespace_);
      return ask_dns(by_name, seen);
    }
    case explain::Party::Kind::kName:
      break;
  }
  return ask_dns(asked, seen);
}

// The question goes as packets; the answer is read from the zone that the node's DNS server has.
Result<std::vector<net::IpAddress>> PacketClient::ask_dns(const Asked& asked, Seen& seen) const {
  std::vector<net::IpAddress> servers, out;
  dns::PodDns wishes{.namespace_ = "default", .host_network = asked.question.from.kind != explain::Party::Kind::kPod};
  if (!wishes.host_network) {
    const auto& pod = *world_.snapshot->pods.at(asked.question.from.object);
    wishes = {
        .namespace_ = pod.metadata.namespace_, .policy = pod.spec.dnsPolicy, .host_network = pod.spec.hostNetwork};
  }
  if (auto dns = world_.snapshot->services.find({"kube-system", "kube-dns"}); dns != world_.snapshot->services.end())
    for (const auto& text : dns->second->spec.clusterIPs)
      if (auto address = net::IpAddress::parse(text)) servers.push_back(*address);
  auto conf = TRY(dns::pod_resolv_conf(wishes, servers, "cluster.local", {})).conf;
  auto server = conf.nameservers.empty() ? Result<net::IpAddress>() : net::IpAddress::parse(conf.nameservers.front());
  if (conf.nameservers.empty() || !server) {
    seen.verdicts.insert("refuse");
    seen.story += "  the client has no DNS server that knows the cluster\n";
    return out;
  }
  Asked dns = asked;
  dns.question.port = kDnsPort;
  dns.question.protocol = Protocol::kUdp;
  Seen asking;
  TRY_VOID(attempt(dns, client_of(asked, server->is_v4()), *server, asking));
  if (asking.verdicts != std::set<std::string>{"allow"}) {
    seen = std::move(asking);
    return out;
  }
  const auto& node = client_of(asked, server->is_v4()).node;
  dns::Zone zone(std::make_shared<const desired::NameTable>(world_.tables.at(node).names));
  for (const auto& candidate : dns::search_candidates(conf, asked.question.to.name)) {
    for (uint16_t type : {dns::kA, dns::kAaaa}) {
      auto answer = zone.resolve({TRY(dns::Name::parse(candidate)), type});
      for (const auto& record : answer.answer)
        if (auto address = dns::address_of(record)) out.push_back(*address);
    }
    if (!out.empty()) return out;
  }
  seen.verdicts.insert("refuse");
  seen.story += "  the name does not exist, or has no address\n";
  return out;
}

Result<void> PacketClient::attempt(const Asked& asked, const Client& client, const net::IpAddress& target,
                                   Seen& seen) const {
  const Protocol protocol = asked.question.protocol;
  const net::SocketAddress wanted{target, asked.question.port};
  // A process without packets of a translating hook in between; only pods and the outside send service addresses.
  bool packets = client.link || client.node.empty();
  if (packets) exchange(client, wanted, protocol, next_port_++, seen);
  auto door = doors_.find(client.node);
  if (door == doors_.end() || protocol == Protocol::kSctp) return {};
  auto aim = TRY(door->second->connect(wanted, protocol, client.link != 0));
  if (aim.refused) {
    if (seen.verdicts.insert("refuse").second)
      seen.story += fmt::format("  the socket hook refuses {}\n", wanted.str());
    return {};
  }
  if (packets && aim.target == wanted) return {};
  exchange(client, aim.target, protocol, next_port_++, seen);
  return {};
}

End PacketClient::send(const Client& client, const net::Frame& frame) const {
  if (client.node.empty()) return walk_.from_outside(frame);
  return client.link ? walk_.from_pod(client.node, client.link, frame) : walk_.from_process(client.node, frame);
}

End PacketClient::answer(const End& from, const net::Frame& frame) const {
  if (from.kind == EndKind::kPod) return walk_.from_pod(from.node, from.link, frame);
  return from.kind == EndKind::kNode ? walk_.from_process(from.node, frame) : walk_.from_outside(frame);
}

bool PacketClient::listens(const End& end, const net::SocketAddress& at, Protocol protocol) const {
  const desired::Listener port{at.port, protocol};
  if (end.kind == EndKind::kOutside) return true;
  if (end.kind == EndKind::kNode) {
    const auto& servers = world_.views.at(end.node).dns_addresses;
    if (std::ranges::find(servers, at.address) != servers.end()) return at.port == kDnsPort;
  }
  // The address itself is what who_has() says of an address where nobody listens.
  const std::string who = who_has(world_, at.address, port);
  for (const auto& [pod, listeners] : world_.listeners)
    if (pod.str() == who) return listeners.contains(port);
  return false;
}

void PacketClient::exchange(const Client& client, const net::SocketAddress& target, Protocol protocol, uint16_t port,
                            Seen& seen) const {
  const net::SocketAddress own{client.address, port};
  // The first of each kind is story enough.
  auto say = [&](std::string verdict, const std::string& story) {
    if (seen.verdicts.insert(std::move(verdict)).second) seen.story += story;
  };
  if (target.address.is_loopback() || (client.link && target.address == client.address)) {
    End here{.kind = client.link ? EndKind::kPod : EndKind::kNode, .node = client.node, .link = client.link};
    bool open = listens(here, {client.address, target.port}, protocol);
    if (open) seen.reached.insert(who_has(world_, client.address, {target.port, protocol}));
    if (open) seen.clients.insert(target.address.str());
    return say(open ? "allow" : "refuse", "  its own address: no packet leaves\n");
  }
  End there = send(client, segment(own, target, protocol, net::kSyn));
  if (!there.reason.empty()) seen.reasons.insert(there.reason);
  if (there.kind == EndKind::kDropped || there.kind == EndKind::kNowhere) return say("deny", there.story);
  if (there.kind == EndKind::kBroken) return say("broken", there.story);

  const auto arrived = there.view();
  bool open =
      there.kind != EndKind::kRefused && listens(there, {arrived.destination, arrived.destination_port}, protocol);
  End back = there;
  if (there.kind != EndKind::kRefused)
    back = answer(there, !open && protocol != Protocol::kTcp ? unreachable(arrived, there.frame)
                                                             : segment({arrived.destination, arrived.destination_port},
                                                                       {arrived.source, arrived.source_port}, protocol,
                                                                       (open ? net::kSyn : net::kRst) | net::kAck));
  else if (there.at_uplink)
    back = walk_.from_outside_bytes(there.frame);
  const std::string story = there.story + (back.story == there.story ? "" : back.story);
  const auto view = back.view();
  bool home = there.kind == EndKind::kRefused && !there.at_uplink ? true
              : client.node.empty()                               ? back.kind == EndKind::kOutside
              : client.link ? back.kind == EndKind::kPod && back.node == client.node && back.link == client.link
                            : back.kind == EndKind::kNode && back.node == client.node;
  bool icmp = view.protocol == Protocol::kIcmp || view.protocol == Protocol::kIcmpV6;
  bool mine =
      view.destination == own.address &&
      (icmp || (view.destination_port == own.port && view.source == target.address && view.source_port == target.port));
  if (!home || !mine) return say("answer lost", story);
  if (!open) return say("refuse", story);

  // The third packet of the handshake goes where the first went.
  if (protocol == Protocol::kTcp) {
    End again = send(client, segment(own, target, protocol, net::kAck));
    if (again.kind != there.kind || again.view().destination != arrived.destination ||
        again.view().source != arrived.source)
      return say("second packet astray", story + again.story);
  }
  seen.reached.insert(there.kind == EndKind::kOutside
                          ? arrived.destination.str()
                          : who_has(world_, arrived.destination, {arrived.destination_port, protocol}));
  seen.clients.insert(arrived.source.str());
  say("allow", story);
}

}  // namespace carrick::testing
