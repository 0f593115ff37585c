// Real traffic: two nodes, their pods and the outside in network namespaces, joined by a routing fabric. The process
// forks for each test, so everything is gone with it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "kernel/netlink.h"
#include "kernel/netns.h"
#include "kernel/programs.h"
#include "realize/realize.h"

namespace carrick::realize {
namespace {

using namespace kernel;
using desired::PeerKind;
using net::IpAddress;
using net::Prefix;

IpAddress ip(const std::string& text) { return IpAddress::parse(text).value(); }
Prefix cidr(const std::string& text) { return Prefix::parse(text).value(); }
net::MacAddress mac(const std::string& seed) { return net::MacAddress::derived_from(seed); }

#define MUST(...)                                                     \
  do {                                                                \
    if (auto must_ = (__VA_ARGS__); !must_) {                         \
      ADD_FAILURE() << #__VA_ARGS__ << ": " << must_.error().message; \
      _exit(1);                                                       \
    }                                                                 \
  } while (false)

constexpr uint32_t kUplink = 2, kFirstPod = 20, kVxlan = 9;

struct Node {
  int number;
  Fd ns;
  std::unique_ptr<Netlink> netlink;
  std::unique_ptr<Programs> programs;
  std::unique_ptr<Realizer> realizer;
  desired::Tables tables;
  NodeConfig config;
  std::vector<Fd> pods;

  std::string v4() const { return fmt::format("192.0.2.{}", 10 + number); }
  std::string v6() const { return fmt::format("2001:db8:2::{}", 10 + number); }
  std::string pod4(int pod) const { return fmt::format("10.1.{}.{}", number, 10 + pod); }
  std::string pod6(int pod) const { return fmt::format("2001:db8:1:{}::{}", number, 10 + pod); }
};

class World {
 public:
  explicit World(bool vxlan, bool dsr = false) : vxlan_(vxlan), dsr_(dsr) {
    fabric_ = create_anonymous_netns().value();
    outside_ = create_anonymous_netns().value();
    fabric_links_ = open_netlink(fabric_.get()).value();
    forwarding(fabric_.get());
    join(outside_.get(), 2, "outside", "203.0.113.9", "2001:db8:203::9");
    for (int i = 0; i < 2; ++i) make_node(nodes[i], i + 1);
    for (auto& node : nodes) tell_about_others(node);
    apply();
  }

  void apply() {
    for (auto& node : nodes) {
      auto status = in_netns(node.ns.get(), [&] { return node.realizer->apply(node.tables, node.config); });
      MUST(status);
      EXPECT_TRUE(status->settled);
    }
  }

  Node nodes[2];
  int outside() const { return outside_.get(); }

 private:
  static void forwarding(int ns) {
    const std::vector<Sysctl> sysctls = {{"net/ipv4/ip_forward", "1"},
                                         {"net/ipv6/conf/all/forwarding", "1"},
                                         {"net/ipv4/conf/all/rp_filter", "0"},
                                         {"net/ipv4/conf/default/rp_filter", "0"}};
    MUST(write_sysctls(ns, sysctls));
  }

  // A stub with one link to the fabric, default route over it, permanent neighbours on both sides.
  void join(int ns, uint32_t ifindex, const std::string& name, const std::string& v4, const std::string& v6) {
    const uint32_t there = next_fabric_++;
    CreateVeth veth;
    veth.here = {.name = name, .ifindex = there, .mac = mac("f" + name)};
    veth.there = {.name = "eth0", .ifindex = ifindex, .mac = mac(name), .netns_fd = ns};
    MUST(fabric_links_->create_veth(veth));
    auto stub = open_netlink(ns).value();
    MUST(stub->apply(
        {SetLink{.link = "lo", .up = true}, AddAddress{{ifindex, ip(v4), 32}}, AddAddress{{ifindex, ip(v6), 128}},
         AddNeighbor{{ifindex, ip("192.0.2.1"), mac("f" + name)}},
         AddNeighbor{{ifindex, ip("fe80::1"), mac("f" + name)}},
         AddRoute{{.destination = cidr("0.0.0.0/0"), .ifindex = ifindex, .via = ip("192.0.2.1"), .onlink = true}},
         AddRoute{{.destination = cidr("::/0"), .ifindex = ifindex, .via = ip("fe80::1"), .onlink = true}}}));
    MUST(fabric_links_->apply({AddRoute{{.destination = Prefix::host(ip(v4)), .ifindex = there}},
                               AddRoute{{.destination = Prefix::host(ip(v6)), .ifindex = there}},
                               AddNeighbor{{there, ip(v4), mac(name)}}, AddNeighbor{{there, ip(v6), mac(name)}}}));
  }

  void make_node(Node& node, int number) {
    node.number = number;
    node.ns = create_anonymous_netns().value();
    forwarding(node.ns.get());
    const uint32_t fabric_link = next_fabric_;
    join(node.ns.get(), kUplink, fmt::format("node{}", number), node.v4(), node.v6());
    if (!vxlan_)  // the underlay knows the pods
      MUST(fabric_links_->apply({AddRoute{{.destination = cidr(fmt::format("10.1.{}.0/24", number)),
                                           .ifindex = fabric_link,
                                           .via = ip(node.v4()),
                                           .onlink = true}},
                                 AddRoute{{.destination = cidr(fmt::format("2001:db8:1:{}::/64", number)),
                                           .ifindex = fabric_link,
                                           .via = ip(node.v6()),
                                           .onlink = true}}}));
    node.netlink = open_netlink(node.ns.get()).value();
    node.config.uplink_ifindex = kUplink;
    node.config.uplink_peer = number % 2 == 1;  // both ways of leaving a node
    node.config.addresses = {ip(node.v4()), ip(node.v6())};
    node.tables.prune = true;
    node.config.native_routing = !vxlan_;
    node.config.dsr = dsr_;
    if (vxlan_ || dsr_) {
      CreateVxlan vxlan;
      vxlan.name = "carrick-vxlan";
      vxlan.ifindex = kVxlan;
      vxlan.mac = mac(fmt::format("vxlan{}", number));
      vxlan.mtu = 1450;
      MUST(node.netlink->apply({vxlan}));
      node.config.overlay_ifindex = kVxlan;
    }
    MUST(in_netns(node.ns.get(), [&]() -> Result<void> {
      node.programs = TRY(load_programs({.pin_directory = "", .sizes = MapSizes::lab()}));
      node.realizer = TRY(Realizer::create(*node.programs));
      if (node.config.overlay_ifindex) TRY_VOID(node.programs->attach(kVxlan, Attachment::kOverlay));
      return node.programs->attach(kUplink, Attachment::kUplink);
    }));
    for (int pod = 0; pod < 2; ++pod) make_pod(node, pod);
    peer(node, node.v4() + "/32", PeerKind::kThisNode, desired::kThisNodeIdentity);
    peer(node, node.v6() + "/128", PeerKind::kThisNode, desired::kThisNodeIdentity);
    peer(node, fmt::format("10.1.{}.0/24", number), PeerKind::kLocalPodCidr, 0);
    peer(node, fmt::format("2001:db8:1:{}::/64", number), PeerKind::kLocalPodCidr, 0);
  }

  void make_pod(Node& node, int pod) {
    node.pods.push_back(create_anonymous_netns().value());
    const int ns = node.pods.back().get();
    const uint32_t ifindex = kFirstPod + static_cast<uint32_t>(pod);
    const std::string name = fmt::format("n{}p{}", node.number, pod);
    CreateVeth veth;
    veth.here = {.name = name, .ifindex = ifindex, .mac = mac("h" + name)};
    veth.there = {.name = "eth0", .ifindex = 2, .mac = mac(name), .netns_fd = ns};
    veth.mtu = vxlan_ || dsr_ ? 1450 : 1500;
    MUST(node.netlink->create_veth(veth));
    const auto four = ip(node.pod4(pod)), six = ip(node.pod6(pod));
    MUST(node.netlink->apply({AddRoute{{.destination = Prefix::host(four), .ifindex = ifindex}},
                              AddRoute{{.destination = Prefix::host(six), .ifindex = ifindex}},
                              AddNeighbor{{ifindex, four, mac(name)}}, AddNeighbor{{ifindex, six, mac(name)}}}));
    auto inside = open_netlink(ns).value();
    MUST(inside->apply(
        {SetLink{.link = "lo", .up = true}, SetLink{.link = "eth0", .up = true}, AddAddress{{2, four, 32}},
         AddAddress{{2, six, 128}}, AddNeighbor{{2, ip("169.254.1.1"), mac("h" + name)}},
         AddNeighbor{{2, ip("fe80::1"), mac("h" + name)}},
         AddRoute{{.destination = cidr("0.0.0.0/0"), .ifindex = 2, .via = ip("169.254.1.1"), .onlink = true}},
         AddRoute{{.destination = cidr("::/0"), .ifindex = 2, .via = ip("fe80::1"), .onlink = true}}}));
    MUST(in_netns(node.ns.get(), [&] { return node.programs->attach(ifindex, Attachment::kPod); }));
    desired::PodRow row;
    row.addresses = {four, six};
    row.pod_mac = mac(name);
    row.host_mac = mac("h" + name);
    row.identity = identity(node, pod);
    node.tables.pods[ifindex] = row;
    node.tables.peers[Prefix::host(four)] = {.kind = PeerKind::kLocalPod, .identity = row.identity, .ifindex = ifindex};
    node.tables.peers[Prefix::host(six)] = {.kind = PeerKind::kLocalPod, .identity = row.identity, .ifindex = ifindex};
  }

  static desired::Identity identity(const Node& node, int pod) {
    return static_cast<desired::Identity>(node.number * 100 + pod);
  }

  static void peer(Node& node, const std::string& where, PeerKind kind, desired::Identity id,
                   const std::string& at = "") {
    node.tables.peers[cidr(where)] = {.kind = kind, .identity = id, .node = at.empty() ? IpAddress() : ip(at)};
  }

  void tell_about_others(Node& node) {
    for (const auto& other : nodes) {
      if (&other == &node) continue;
      peer(node, other.v4() + "/32", PeerKind::kRemoteNode, desired::kRemoteNodeIdentity);
      peer(node, other.v6() + "/128", PeerKind::kRemoteNode, desired::kRemoteNodeIdentity, other.v4());
      peer(node, fmt::format("10.1.{}.0/24", other.number), PeerKind::kRemotePodCidr, 0, other.v4());
      peer(node, fmt::format("2001:db8:1:{}::/64", other.number), PeerKind::kRemotePodCidr, 0, other.v4());
      for (int pod = 0; pod < 2; ++pod) {
        peer(node, other.pod4(pod) + "/32", PeerKind::kRemotePod, identity(other, pod), other.v4());
        peer(node, other.pod6(pod) + "/128", PeerKind::kRemotePod, identity(other, pod), other.v4());
      }
      if (!vxlan_) continue;
      // As the agent does: pod CIDRs of others through the tunnel device, next hop a permanent neighbour.
      MUST(node.netlink->apply({AddNeighbor{{kVxlan, ip("169.254.1.2"), mac("tunnel")}},
                                AddNeighbor{{kVxlan, ip("fe80::2"), mac("tunnel")}},
                                AddRoute{{.destination = cidr(fmt::format("10.1.{}.0/24", other.number)),
                                          .ifindex = kVxlan,
                                          .via = ip("169.254.1.2"),
                                          .onlink = true,
                                          .prefsrc = ip(node.v4())}},
                                AddRoute{{.destination = cidr(fmt::format("2001:db8:1:{}::/64", other.number)),
                                          .ifindex = kVxlan,
                                          .via = ip("fe80::2"),
                                          .onlink = true,
                                          .prefsrc = ip(node.v6())}}}));
    }
  }

  bool vxlan_, dsr_;
  Fd fabric_, outside_;
  std::unique_ptr<Netlink> fabric_links_;
  uint32_t next_fabric_ = 10;
};

// --- sockets ---

struct Socket {
  Fd fd;
  std::string peer;  // of an accepted connection
};

sockaddr_storage address_of(const std::string& text, uint16_t port, socklen_t& size) {
  sockaddr_storage out{};
  auto* four = reinterpret_cast<sockaddr_in*>(&out);
  auto* six = reinterpret_cast<sockaddr_in6*>(&out);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    size = sizeof *four;
  } else {
    inet_pton(AF_INET6, text.c_str(), &six->sin6_addr);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    size = sizeof *six;
  }
  return out;
}

std::string text_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN];
  if (address.ss_family == AF_INET)
    return inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, text, sizeof text);
  return inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, text, sizeof text);
}

Fd socket_in(int ns, int family, int type) {
  return in_netns(ns, [&]() -> Result<Fd> { return Fd(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); })
      .value();
}

Fd serve(int ns, const std::string& where, uint16_t port, int type = SOCK_STREAM) {
  socklen_t size;
  const auto address = address_of(where, port, size);
  Fd fd = socket_in(ns, address.ss_family, type);
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) ||
      (type == SOCK_STREAM && listen(fd.get(), 16)))
    ADD_FAILURE() << where << ": " << strerror(errno);
  return fd;
}

bool ready(const Fd& fd, short events, int milliseconds = 2000) {
  pollfd each{fd.get(), events, 0};
  return poll(&each, 1, milliseconds) == 1;
}

// 0, or errno; ETIMEDOUT after `milliseconds` without an answer.
int dial(int ns, const std::string& where, uint16_t port, Fd* keep = nullptr, int milliseconds = 2000) {
  socklen_t size;
  const auto address = address_of(where, port, size);
  Fd fd = socket_in(ns, address.ss_family, SOCK_STREAM);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) && errno != EINPROGRESS) return errno;
  if (!ready(fd, POLLOUT, milliseconds)) return ETIMEDOUT;
  int error = 0;
  size = sizeof error;
  getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (!error && keep) *keep = std::move(fd);
  return error;
}

// Address of the client that the server sees; the connection carries data both ways.
std::string served_client(const Fd& server, const Fd& client, size_t bytes = 3000) {
  if (!ready(server, POLLIN)) return "nobody came";
  sockaddr_storage peer{};
  socklen_t size = sizeof peer;
  Fd accepted(accept4(server.get(), reinterpret_cast<sockaddr*>(&peer), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
  const std::string sent(bytes, 'x');
  using Way = std::pair<const Fd*, const Fd*>;
  for (const auto& [from, to] : {Way(&client, &accepted), Way(&accepted, &client)}) {
    if (send(from->get(), sent.data(), sent.size(), 0) != static_cast<ssize_t>(bytes)) return "could not send";
    for (size_t got = 0; got < bytes;) {
      char buffer[65536];
      if (!ready(*to, POLLIN)) return "data did not arrive";
      const ssize_t n = recv(to->get(), buffer, sizeof buffer, 0);
      if (n <= 0) return "connection lost";
      got += static_cast<size_t>(n);
    }
  }
  return text_of(peer);
}

std::string tcp(const Fd& server, int from, const std::string& where, uint16_t port) {
  Fd client;
  if (const int error = dial(from, where, port, &client)) return strerror(error);
  return served_client(server, client);
}

// Source address a UDP server sees of a datagram, which it echoes.
std::string udp(const Fd& server, int from, const std::string& where, uint16_t port, size_t bytes = 100) {
  socklen_t size;
  const auto address = address_of(where, port, size);
  Fd client = socket_in(from, address.ss_family, SOCK_DGRAM);
  if (connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size)) return strerror(errno);
  std::string buffer(bytes, 'u');
  if (send(client.get(), buffer.data(), bytes, 0) < 0) return strerror(errno);
  if (!ready(server, POLLIN)) return "nothing came";
  sockaddr_storage peer{};
  size = sizeof peer;
  if (recvfrom(server.get(), buffer.data(), bytes, 0, reinterpret_cast<sockaddr*>(&peer), &size) !=
      static_cast<ssize_t>(bytes))
    return "cut";
  if (sendto(server.get(), buffer.data(), bytes, 0, reinterpret_cast<sockaddr*>(&peer), size) < 0)
    return strerror(errno);
  if (!ready(client, POLLIN)) return "no echo";
  if (recv(client.get(), buffer.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return "echo cut";
  return text_of(peer);
}

void alone(const std::function<void()>& body) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const pid_t child = fork();
  if (child == 0) {
    if (unshare(CLONE_NEWNET)) _exit(99);
    body();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "see the failures above";
}

void add_service(Node& node, const std::string& where, uint16_t port, net::Protocol protocol,
                 std::vector<desired::Backend> backends,
                 desired::FrontendScope scope = desired::FrontendScope::kInternal) {
  auto& row = node.tables.frontends[{ip(where), port, protocol, scope}];
  row.service_id = net::stable_hash(fmt::format("{}{}{}", where, port, int(protocol)));
  row.backends = std::move(backends);
  row.snat = true;
}

class Traffic : public testing::TestWithParam<bool> {};

TEST_P(Traffic, PodsNodesAndTheWorld) {
  alone([] {
    World world(GetParam());
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    const Fd same4 = serve(one.pods[1].get(), "0.0.0.0", 80), same6 = serve(one.pods[1].get(), "::", 86);
    const Fd far4 = serve(two.pods[0].get(), "0.0.0.0", 80), far6 = serve(two.pods[0].get(), "::", 86);
    EXPECT_EQ(tcp(same4, one.pods[0].get(), one.pod4(1), 80), one.pod4(0));
    EXPECT_EQ(tcp(same6, one.pods[0].get(), one.pod6(1), 86), one.pod6(0));
    EXPECT_EQ(tcp(far4, one.pods[0].get(), two.pod4(0), 80), one.pod4(0)) << "no NAT between pods";
    EXPECT_EQ(tcp(far6, one.pods[0].get(), two.pod6(0), 86), one.pod6(0));
    // Node to its pod and to the pod of another node, and back.
    EXPECT_EQ(tcp(same4, one.ns.get(), one.pod4(1), 80), one.v4());
    EXPECT_EQ(tcp(far4, one.ns.get(), two.pod4(0), 80), one.v4());
    EXPECT_EQ(tcp(far6, one.ns.get(), two.pod6(0), 86), one.v6());
    const Fd node_server = serve(one.ns.get(), "0.0.0.0", 6443), other_node = serve(two.ns.get(), "0.0.0.0", 6443);
    EXPECT_EQ(tcp(node_server, one.pods[0].get(), one.v4(), 6443), one.pod4(0));
    EXPECT_EQ(tcp(other_node, one.pods[0].get(), two.v4(), 6443), one.pod4(0));
    // The world sees the node.
    const Fd world4 = serve(world.outside(), "0.0.0.0", 443), world6 = serve(world.outside(), "::", 446);
    EXPECT_EQ(tcp(world4, one.pods[0].get(), "203.0.113.9", 443), one.v4());
    EXPECT_EQ(tcp(world6, one.pods[0].get(), "2001:db8:203::9", 446), one.v6());
    // Large datagrams are cut and put together again.
    const Fd far_udp = serve(two.pods[0].get(), "0.0.0.0", 53, SOCK_DGRAM),
             same_udp = serve(one.pods[1].get(), "0.0.0.0", 53, SOCK_DGRAM);
    EXPECT_EQ(udp(same_udp, one.pods[0].get(), one.pod4(1), 53, 2000), one.pod4(0));
    EXPECT_EQ(udp(far_udp, one.pods[0].get(), two.pod4(0), 53, 8000), one.pod4(0));
    const Fd world_udp = serve(world.outside(), "0.0.0.0", 53, SOCK_DGRAM);
    EXPECT_EQ(udp(world_udp, one.pods[0].get(), "203.0.113.9", 53, 4000), one.v4());
    // A closed port of a pod answers by itself, through every path.
    EXPECT_EQ(dial(one.pods[0].get(), one.pod4(1), 81), ECONNREFUSED);
    EXPECT_EQ(dial(one.pods[0].get(), two.pod6(0), 81), ECONNREFUSED);
    EXPECT_EQ(dial(one.pods[0].get(), "203.0.113.9", 81), ECONNREFUSED);
  });
}

TEST_P(Traffic, ServicesPerPacket) {
  alone([] {
    World world(GetParam());
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    const auto backend = [](const std::string& where, uint16_t port, bool local) {
      return desired::Backend{.address = ip(where), .port = port, .local = local};
    };
    using enum net::Protocol;
    add_service(one, "10.96.0.10", 80, kTcp, {backend(two.pod4(0), 8080, false)});
    add_service(one, "2001:db8:96::10", 80, kTcp, {backend(one.pod6(1), 8086, true)});
    add_service(one, "10.96.0.11", 80, kTcp, {});
    add_service(one, "10.96.0.11", 53, kUdp, {});
    add_service(one, "2001:db8:96::11", 80, kTcp, {});
    add_service(one, "2001:db8:96::11", 53, kUdp, {});
    add_service(one, "10.96.0.12", 80, kTcp, {backend(one.pod4(0), 8080, true)});
    add_service(one, "10.96.0.13", 53, kUdp, {backend(two.pod4(0), 5353, false)});
    add_service(one, one.v4(), 30080, kTcp, {backend(two.pod4(0), 8080, false)}, desired::FrontendScope::kExternal);
    add_service(one, one.v4(), 30081, kTcp, {backend(one.pod4(1), 8081, true)}, desired::FrontendScope::kExternal);
    add_service(one, one.v4(), 30082, kTcp, {}, desired::FrontendScope::kExternal);
    add_service(one, one.v4(), 30083, kTcp, {backend(one.v4(), 6443, true)}, desired::FrontendScope::kExternal);
    one.tables.frontends[{ip("10.96.0.10"), 0, kAny, desired::FrontendScope::kInternal}] = {
        .kind = desired::FrontendKind::kAddress};
    one.tables.peers[cidr("10.96.0.0/16")] = {.kind = PeerKind::kServiceCidr};
    world.apply();
    const Fd far = serve(two.pods[0].get(), "0.0.0.0", 8080), local6 = serve(one.pods[1].get(), "::", 8086),
             self = serve(one.pods[0].get(), "0.0.0.0", 8080);
    const Fd far_udp = serve(two.pods[0].get(), "0.0.0.0", 5353, SOCK_DGRAM),
             local = serve(one.pods[1].get(), "0.0.0.0", 8081);
    EXPECT_EQ(tcp(far, one.pods[0].get(), "10.96.0.10", 80), one.pod4(0)) << "the source is kept (SVC-D5)";
    EXPECT_EQ(tcp(local6, one.pods[0].get(), "2001:db8:96::10", 80), one.pod6(0));
    EXPECT_EQ(udp(far_udp, one.pods[0].get(), "10.96.0.13", 53, 5000), one.pod4(0));
    EXPECT_EQ(tcp(self, one.pods[0].get(), "10.96.0.12", 80), one.v4()) << "hairpin";
    // Refused at once (SVC-D3), TCP and UDP, both families.
    EXPECT_EQ(dial(one.pods[0].get(), "10.96.0.11", 80), ECONNREFUSED);
    EXPECT_EQ(dial(one.pods[0].get(), "2001:db8:96::11", 80), ECONNREFUSED);
    for (const char* where : {"10.96.0.11", "2001:db8:96::11"}) {
      socklen_t size;
      const auto address = address_of(where, 53, size);
      Fd client = socket_in(one.pods[0].get(), address.ss_family, SOCK_DGRAM);
      ASSERT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
      ASSERT_EQ(send(client.get(), "?", 1, 0), 1);
      char byte;
      EXPECT_TRUE(ready(client, POLLIN)) << where;
      EXPECT_EQ(recv(client.get(), &byte, 1, 0), -1);
      EXPECT_EQ(errno, ECONNREFUSED) << where;
    }
    // What is no port of a Service, and whose address is no Service's (SVC-D4); from pods, and from the node's
    // processes.
    for (const int client : {one.pods[0].get(), one.ns.get()}) {
      EXPECT_EQ(dial(client, "10.96.0.10", 81), ECONNREFUSED);
      EXPECT_EQ(dial(client, "10.96.0.99", 80, nullptr, 300), ETIMEDOUT);
    }
    EXPECT_EQ(dial(one.ns.get(), "10.96.0.11", 80), ECONNREFUSED) << "no endpoint, and no socket hook (SVC-D3)";
    // NodePorts, from the world.
    EXPECT_EQ(tcp(far, world.outside(), one.v4(), 30080), one.v4()) << "another node's pod sees the node (SVC-D8)";
    EXPECT_EQ(tcp(local, world.outside(), one.v4(), 30081), "203.0.113.9");
    EXPECT_EQ(dial(world.outside(), one.v4(), 30082), ECONNREFUSED);
    const Fd host_network = serve(one.ns.get(), "0.0.0.0", 6443);
    EXPECT_EQ(tcp(host_network, world.outside(), one.v4(), 30083), "203.0.113.9");
  });
}

TEST_P(Traffic, DirectServerReturn) {
  alone([] {
    World world(GetParam(), true);
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    const auto backend = [](const std::string& where, uint16_t port, bool local) {
      return desired::Backend{.address = ip(where), .port = port, .local = local};
    };
    using enum net::Protocol;
    using enum desired::FrontendScope;
    // A NodePort of node one, as both nodes' tables have it.
    const auto node_port = [&](uint16_t port, net::Protocol protocol, const std::string& to, uint16_t target) {
      const bool v4 = ip(to).is_v4();
      add_service(one, v4 ? one.v4() : one.v6(), port, protocol, {backend(to, target, false)}, kExternal);
      add_service(two, desired::any_node(v4).str(), port, protocol, {backend(to, target, true)}, kExternal);
    };
    node_port(30080, kTcp, two.pod4(0), 8080);
    node_port(30086, kTcp, two.pod6(0), 8086);
    node_port(30053, kUdp, two.pod4(0), 5353);
    node_port(30083, kTcp, two.v4(), 6443);
    // The nodes do not agree for a moment: handed on once, not back.
    node_port(30084, kTcp, two.pod4(0), 8080);
    add_service(two, "0.0.0.0", 30084, kTcp, {backend(one.pod4(1), 8081, false)}, kExternal);
    world.apply();
    const Fd far4 = serve(two.pods[0].get(), "0.0.0.0", 8080), far6 = serve(two.pods[0].get(), "::", 8086),
             far_udp = serve(two.pods[0].get(), "0.0.0.0", 5353, SOCK_DGRAM),
             host_network = serve(two.ns.get(), "0.0.0.0", 6443), local = serve(one.pods[1].get(), "0.0.0.0", 8081);
    EXPECT_EQ(tcp(far4, world.outside(), one.v4(), 30080), "203.0.113.9") << "the client's address is kept";
    EXPECT_EQ(tcp(far6, world.outside(), one.v6(), 30086), "2001:db8:203::9");
    EXPECT_EQ(udp(far_udp, world.outside(), one.v4(), 30053, 100), "203.0.113.9");
    EXPECT_EQ(udp(far_udp, world.outside(), one.v4(), 30053, 5000), "203.0.113.9");
    EXPECT_EQ(tcp(host_network, world.outside(), one.v4(), 30083), "203.0.113.9");
    EXPECT_EQ(tcp(local, world.outside(), one.v4(), 30084), two.v4());
    // Nothing is left there by the time it arrives: refused at once all the same, straight by the uplink.
    node_port(30085, kTcp, two.pod4(0), 8080);
    node_port(30087, kTcp, two.pod6(0), 8086);
    add_service(two, "0.0.0.0", 30085, kTcp, {}, kExternal);
    add_service(two, "::", 30087, kTcp, {}, kExternal);
    // And by the tunnel to a pod, where pods are reached so.
    add_service(two, two.v4(), 30088, kTcp, {}, kExternal);
    world.apply();
    EXPECT_EQ(dial(world.outside(), one.v4(), 30085), ECONNREFUSED);
    EXPECT_EQ(dial(world.outside(), one.v6(), 30087), ECONNREFUSED);
    EXPECT_EQ(dial(one.pods[0].get(), two.v4(), 30088), ECONNREFUSED);
    // By the tunnel only: who asks node two for it directly meets no such port.
    EXPECT_NE(dial(world.outside(), two.v4(), 30080, nullptr, 300), 0);
    // A connection stays where it is when the tables change (SVC-D18).
    Fd client;
    ASSERT_EQ(dial(world.outside(), one.v4(), 30080, &client), 0);
    ASSERT_TRUE(ready(far4, POLLIN));
    Fd server(accept4(far4.get(), nullptr, nullptr, SOCK_CLOEXEC));
    node_port(30080, kTcp, two.pod4(1), 8080);
    world.apply();
    char bytes[4];
    ASSERT_EQ(send(client.get(), "ask", 3, 0), 3);
    ASSERT_TRUE(ready(server, POLLIN));
    ASSERT_EQ(recv(server.get(), bytes, sizeof bytes, 0), 3);
    ASSERT_EQ(send(server.get(), "yes", 3, 0), 3);
    ASSERT_TRUE(ready(client, POLLIN));
    EXPECT_EQ(recv(client.get(), bytes, sizeof bytes, 0), 3);
    EXPECT_EQ(dial(world.outside(), one.v4(), 30080), ECONNREFUSED) << "a new one goes to the new endpoint";
  });
}

TEST_P(Traffic, NP_19_PolicyIsEnforcedAtTheReceiver) {
  alone([] {
    World world(GetParam());
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    two.tables.pods[kFirstPod].ingress_isolated = true;
    two.tables.policy
        .rows[{200, desired::Direction::kIngress, desired::PolicyPeerKind::kIdentity, 100, net::Protocol::kTcp, 80, 16}]
        .allowed_by = {{.kind = "NetworkPolicy", .namespace_ = "default", .name = "web", .clause = "spec.ingress[0]"}};
    world.apply();
    const Fd server = serve(two.pods[0].get(), "0.0.0.0", 80), other = serve(two.pods[0].get(), "0.0.0.0", 81);
    Fd kept;
    EXPECT_EQ(tcp(server, one.pods[0].get(), two.pod4(0), 80), one.pod4(0));
    EXPECT_EQ(dial(one.pods[0].get(), two.pod4(0), 81, nullptr, 300), ETIMEDOUT) << "dropped, not refused (NP-19)";
    EXPECT_EQ(dial(one.pods[1].get(), two.pod4(0), 80, nullptr, 300), ETIMEDOUT);
    EXPECT_EQ(dial(two.pods[1].get(), two.pod4(0), 80, nullptr, 300), ETIMEDOUT);
    EXPECT_EQ(dial(one.ns.get(), two.pod4(0), 80, nullptr, 300), ETIMEDOUT) << "another node is no friend";
    EXPECT_EQ(tcp(server, two.ns.get(), two.pod4(0), 80), two.v4()) << "its own is (NP-10)";
    // Established, then revoked: nothing goes through any more.
    ASSERT_EQ(dial(one.pods[0].get(), two.pod4(0), 80, &kept), 0);
    EXPECT_EQ(served_client(server, kept), one.pod4(0));
    two.tables.policy.rows.clear();
    world.apply();
    EXPECT_EQ(dial(one.pods[0].get(), two.pod4(0), 80, nullptr, 300), ETIMEDOUT);
    std::vector<std::string> reasons;
    for (int i = 0; i < 2; ++i)  // no more at a time than asked for, and none is lost
      EXPECT_EQ(
          two.programs->read_events([&](const drop_event& event) { reasons.emplace_back(drop_word(event.reason)); }, 1)
              .value(),
          1u);
    EXPECT_EQ(reasons.size(), 2u);
    ASSERT_TRUE(
        two.programs->read_events([&](const drop_event& event) { reasons.emplace_back(drop_word(event.reason)); }));
    EXPECT_GE(std::ranges::count(reasons, "ingress_denied"), 4);
  });
}

// A connection of which both ends are held: is it over at both?
struct Connection {
  Fd client, server;
  static Connection open(const Fd& listener, int from, const std::string& where, uint16_t port) {
    Connection out;
    EXPECT_EQ(dial(from, where, port, &out.client), 0);
    EXPECT_TRUE(ready(listener, POLLIN));
    out.server = Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    EXPECT_EQ(said(out.server, out.client), "x");
    EXPECT_EQ(said(out.client, out.server), "x");
    return out;
  }
  static std::string said(const Fd& from, const Fd& to, size_t bytes = 1) {
    if (send(from.get(), std::string(bytes, 'x').data(), bytes, MSG_NOSIGNAL) < 0) return strerror(errno);
    return heard(to);
  }
  static std::string heard(const Fd& fd) {
    char byte;
    if (!ready(fd, POLLIN, 1000)) return "nothing";
    const ssize_t size = recv(fd.get(), &byte, 1, 0);
    return size < 0 ? strerror(errno) : size ? "x" : "closed";
  }
};

// `--reset-removed-endpoints`, of connections that no socket hook has seen.
TEST_P(Traffic, ConnectionsToRemovedEndpointsAreResetAtBothEnds) {
  alone([] {
    World world(GetParam());
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    const auto services = [&](bool there) {
      const auto add = [&](const std::string& where, uint16_t port, const std::string& pod, bool local,
                           desired::FrontendScope scope) {
        std::vector<desired::Backend> backends;
        if (there) backends = {{.address = ip(pod), .port = 8080, .local = local}};
        add_service(one, where, port, net::Protocol::kTcp, backends, scope);
      };
      using enum desired::FrontendScope;
      add("10.96.0.10", 80, two.pod4(0), false, kInternal);
      add("10.96.0.11", 80, one.pod4(1), true, kInternal);
      add("2001:db8:96::10", 80, two.pod6(0), false, kInternal);
      add("2001:db8:96::11", 80, one.pod6(1), true, kInternal);
      add(one.v4(), 30080, two.pod4(0), false, kExternal);
      add(one.v4(), 30081, one.pod4(1), true, kExternal);
      add(one.v6(), 30081, one.pod6(1), true, kExternal);
      world.apply();
    };
    services(true);
    const Fd far = serve(two.pods[0].get(), "::", 8080), near = serve(one.pods[1].get(), "::", 8080);
    const int pod = one.pods[0].get();
    const auto all = [&] {
      std::vector<Connection> out;
      out.push_back(Connection::open(far, pod, "10.96.0.10", 80));
      out.push_back(Connection::open(near, pod, "10.96.0.11", 80));
      out.push_back(Connection::open(far, pod, "2001:db8:96::10", 80));
      out.push_back(Connection::open(near, pod, "2001:db8:96::11", 80));
      out.push_back(Connection::open(far, world.outside(), one.v4(), 30080));
      out.push_back(Connection::open(near, world.outside(), one.v4(), 30081));
      out.push_back(Connection::open(near, world.outside(), one.v6(), 30081));
      return out;
    };
    const auto kept = all();
    services(false);
    for (const auto& each : kept) EXPECT_EQ(Connection::said(each.client, each.server), "x") << "no switch (SVC-D18)";
    one.config.reset_removed = true;
    services(true);
    const auto ended = all();
    services(false);
    for (const auto& each : ended) {
      EXPECT_EQ(Connection::said(each.client, each.client, 4000), strerror(ECONNRESET)) << &each - ended.data();
      EXPECT_EQ(Connection::heard(each.server), strerror(ECONNRESET)) << &each - ended.data();
    }
    EXPECT_EQ(dial(pod, "10.96.0.10", 80), ECONNREFUSED);
  });
}

TEST_P(Traffic, WithDirectReturnTheEndpointsNodeResets) {
  alone([] {
    World world(GetParam(), true);
    auto& one = world.nodes[0];
    auto& two = world.nodes[1];
    one.config.reset_removed = two.config.reset_removed = true;
    const auto node_port = [&](const std::string& to) {
      const bool v4 = ip(to).is_v4();
      const std::vector<desired::Backend> far{{.address = ip(to), .port = 8080}};
      std::vector<desired::Backend> near = far;
      near[0].local = true;
      using enum desired::FrontendScope;
      add_service(one, v4 ? one.v4() : one.v6(), 30080, net::Protocol::kTcp, far, kExternal);
      add_service(two, desired::any_node(v4).str(), 30080, net::Protocol::kTcp, near, kExternal);
    };
    node_port(two.pod4(0));
    node_port(two.pod6(0));
    world.apply();
    const Fd server = serve(two.pods[0].get(), "::", 8080);
    const auto four = Connection::open(server, world.outside(), one.v4(), 30080);
    const auto six = Connection::open(server, world.outside(), one.v6(), 30080);
    node_port(two.pod4(1));
    node_port(two.pod6(1));
    world.apply();
    for (const auto* each : {&four, &six}) {
      EXPECT_EQ(Connection::said(each->client, each->client, 4000), strerror(ECONNRESET)) << (each == &six);
      EXPECT_EQ(Connection::heard(each->server), strerror(ECONNRESET)) << (each == &six);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(, Traffic, testing::Bool(), [](const auto& each) { return each.param ? "Vxlan" : "Native"; });

}  // namespace
}  // namespace carrick::realize
