#include "tests/packets/packet_fixture.h"

#include <bpf/bpf.h>
#include <sched.h>
#include <unistd.h>

#include <ostream>

#include "kernel/netlink.h"
#include "wire/flows.h"
#include "wire/services.h"

namespace carrick::packets {
namespace {

// One load for all tests, in a network namespace of this process alone.
class Environment : public testing::Environment {
 public:
  void SetUp() override {
    if (geteuid() != 0) {
      skip = "not root";
      return;
    }
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    auto netlink = kernel::open_netlink();
    ASSERT_TRUE(netlink) << netlink.error().message;
    uint32_t other = 100;
    for (const uint32_t ifindex : {kPodA, kPodB, kPodC, kUplink, kOverlay}) {
      kernel::CreateVeth veth;
      veth.here = {.name = fmt::format("t{}", ifindex), .ifindex = ifindex, .mac = host_mac(ifindex)};
      veth.there = {.name = fmt::format("p{}", ifindex), .ifindex = other++};
      const auto made = (*netlink)->create_veth(veth);
      ASSERT_TRUE(made) << made.error().message;
    }
    // bpf_fib_lookup answers only where the link may forward, as every node's may.
    ASSERT_TRUE(kernel::write_sysctls(
        -1, std::vector<kernel::Sysctl>{{"net/ipv4/ip_forward", "1"}, {"net/ipv6/conf/all/forwarding", "1"}}));
    kernel::MapSizes sizes = kernel::MapSizes::lab();
    auto loaded = kernel::load_programs({.pin_directory = "", .sizes = sizes});
    ASSERT_TRUE(loaded) << loaded.error().message;
    programs = std::move(*loaded);
  }
  void TearDown() override { programs.reset(); }

  std::unique_ptr<kernel::Programs> programs;
  std::string skip;
};
Environment* const environment = static_cast<Environment*>(testing::AddGlobalTestEnvironment(new Environment));

}  // namespace

void PrintTo(Verdict verdict, std::ostream* out) {
  *out << (verdict == Verdict::kPass       ? "pass"
           : verdict == Verdict::kDrop     ? "drop"
           : verdict == Verdict::kRedirect ? "redirect"
                                           : "?");
}

net::MacAddress pod_mac(uint32_t ifindex) { return {{2, 0, 0, 0, 1, static_cast<uint8_t>(ifindex)}}; }
net::MacAddress host_mac(uint32_t ifindex) { return {{2, 0, 0, 0, 2, static_cast<uint8_t>(ifindex)}}; }
net::IpAddress address(std::string_view text) { return net::IpAddress::parse(text).value(); }
net::Prefix prefix(std::string_view text) { return net::Prefix::parse(text).value(); }

kernel::Programs& PacketTest::programs() { return *environment->programs; }

void PacketTest::clear(std::string_view name) {
  auto* map = programs().map(name);
  std::vector<std::string> keys;
  for (auto& entry : map->read_all().value()) keys.push_back(std::move(entry.key));
  ASSERT_FALSE(map->remove(keys).error);
}

void PacketTest::age_affinity(uint32_t seconds) {
  auto* map = programs().map("affinity");
  for (const auto& entry : map->read_all().value()) {
    affinity_value value;
    std::memcpy(&value, entry.value.data(), sizeof value);
    value.seen -= seconds;
    ASSERT_TRUE(map->put(entry.key, std::string(reinterpret_cast<const char*>(&value), sizeof value)));
  }
}

void PacketTest::change_flows(const std::function<bool(const flow_key&, flow_value&)>& change) {
  auto* map = programs().map("flows");
  for (const auto& entry : map->read_all().value()) {
    flow_key key;
    flow_value value;
    std::memcpy(&key, entry.key.data(), sizeof key);
    std::memcpy(&value, entry.value.data(), sizeof value);
    if (change(key, value))
      ASSERT_TRUE(map->put(entry.key, std::string(reinterpret_cast<const char*>(&value), sizeof value)));
    else
      map->remove(std::span(&entry.key, 1));
  }
}

void PacketTest::age_flows(uint32_t units) {
  change_flows([&](const flow_key&, flow_value& value) {
    value.last_seen -= units;
    return true;
  });
}

size_t PacketTest::rows(std::string_view map) { return programs().map(map)->read_all().value().size(); }

void PacketTest::SetUp() {
  if (!environment->skip.empty()) GTEST_SKIP() << environment->skip;
  ASSERT_TRUE(environment->programs) << "the data plane was not loaded";
  for (const char* map : {"flows", "fragments", "affinity"}) clear(map);
  tables.prune = true;
  node.uplink_ifindex = kUplink;
  node.addresses = {address("192.0.2.11"), address("2001:db8:2::11")};
  const auto pod = [&](uint32_t ifindex, const char* v4, const char* v6, desired::Identity identity) {
    desired::PodRow row;
    row.addresses = {address(v4), address(v6)};
    row.pod_mac = pod_mac(ifindex);
    row.host_mac = host_mac(ifindex);
    row.identity = identity;
    row.owner = {.kind = "Pod", .namespace_ = "default", .name = fmt::format("pod{}", ifindex)};
    for (const auto& each : row.addresses)
      tables.peers[net::Prefix::host(each)] = {
          .kind = desired::PeerKind::kLocalPod, .identity = identity, .ifindex = ifindex, .owner = row.owner};
    tables.pods[ifindex] = std::move(row);
  };
  pod(kPodA, "10.1.1.10", "2001:db8:1:1::a", kIdentityA);
  pod(kPodB, "10.1.1.11", "2001:db8:1:1::b", kIdentityB);
  pod(kPodC, "10.1.1.12", "2001:db8:1:1::c", kIdentityC);
  using enum desired::PeerKind;
  const auto peer = [&](const char* where, desired::PeerKind kind, desired::Identity identity,
                        const char* node_address) {
    desired::PeerRow row{.kind = kind, .identity = identity};
    if (node_address) row.node = address(node_address);
    tables.peers[prefix(where)] = row;
  };
  peer("10.1.1.0/24", kLocalPodCidr, 0, nullptr);
  peer("2001:db8:1:1::/64", kLocalPodCidr, 0, nullptr);
  peer("10.1.2.0/24", kRemotePodCidr, 0, "192.0.2.12");
  peer("2001:db8:1:2::/64", kRemotePodCidr, 0, "192.0.2.12");
  peer("10.1.2.10/32", kRemotePod, kIdentityRemote, "192.0.2.12");
  peer("2001:db8:1:2::a/128", kRemotePod, kIdentityRemote, "192.0.2.12");
  peer("10.96.0.0/16", kServiceCidr, 0, nullptr);
  peer("2001:db8:96::/112", kServiceCidr, 0, nullptr);
  peer("192.0.2.11/32", kThisNode, desired::kThisNodeIdentity, nullptr);
  peer("2001:db8:2::11/128", kThisNode, desired::kThisNodeIdentity, nullptr);
  peer("192.0.2.12/32", kRemoteNode, desired::kRemoteNodeIdentity, nullptr);
  peer("2001:db8:2::12/128", kRemoteNode, desired::kRemoteNodeIdentity, "192.0.2.12");
  peer("169.254.20.10/32", kNodeDns, desired::kNodeDnsIdentity, nullptr);
  peer("fd00:ca22:1c::10/128", kNodeDns, desired::kNodeDnsIdentity, nullptr);
  realize();
}

void PacketTest::realize() {
  if (!realizer_) realizer_ = realize::Realizer::create(programs()).value();
  tables.revision = ++revision_;
  // Tests change rows through references: what the realizer remembers must not be these rows.
  desired::Tables handed = tables;
  handed.frontends = {};
  handed.peers = {};
  for (const auto& [key, row] : tables.frontends) handed.frontends.emplace(key, row);
  for (const auto& [key, row] : tables.peers) handed.peers.emplace(key, row);
  const auto status = realizer_->apply(handed, node);
  ASSERT_TRUE(status) << status.error().message;
  for (const auto& failure : status->failures) ADD_FAILURE() << failure.table << ": " << failure.error.message;
  ASSERT_TRUE(status->settled);
}

void PacketTest::use_vxlan() {
  node.overlay_ifindex = kOverlay;
  node.vni = 7;
}

desired::FrontendRow& PacketTest::frontend(std::string_view where, net::Protocol protocol,
                                           desired::FrontendScope scope) {
  const size_t colon = where.rfind(':');
  std::string host(where.substr(0, colon));
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  const auto port = static_cast<uint16_t>(std::stoi(std::string(where.substr(colon + 1))));
  auto& row = tables.frontends[{address(host), port, protocol, scope}];
  row.service_id = net::stable_hash(fmt::format("{}{}{}", where, static_cast<int>(protocol), static_cast<int>(scope)));
  row.owner = {.kind = "Service", .namespace_ = "default", .name = "web"};
  return row;
}

void PacketTest::cluster_ip(std::string_view where) {
  tables.frontends[{address(where), 0, net::Protocol::kAny, desired::FrontendScope::kInternal}] = {
      .kind = desired::FrontendKind::kAddress, .owner = {.kind = "Service", .namespace_ = "default", .name = "web"}};
}

desired::Backend PacketTest::backend(std::string_view where, bool local) {
  const size_t colon = where.rfind(':');
  std::string host(where.substr(0, colon));
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  return {.address = address(host),
          .port = static_cast<uint16_t>(std::stoi(std::string(where.substr(colon + 1)))),
          .local = local};
}

void PacketTest::isolate(uint32_t ifindex, bool ingress, bool egress) {
  tables.pods[ifindex].ingress_isolated = ingress;
  tables.pods[ifindex].egress_isolated = egress;
}

void PacketTest::allow(desired::PolicyKey key, std::string_view rule) {
  tables.policy.rows[key].allowed_by.push_back(
      {.kind = "NetworkPolicy", .namespace_ = "default", .name = std::string(rule), .clause = "spec.ingress[0]"});
}

Outcome PacketTest::send(std::string_view program, const std::string& frame, uint32_t ifindex,
                         uint32_t ingress_ifindex) {
  auto& all = programs();
  (void)all.read_events([](const drop_event&) {});
  __sk_buff context{};
  context.ifindex = ifindex;
  context.ingress_ifindex = ingress_ifindex;
  std::string out(frame.size() + 256, '\0');
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = frame.data(), .data_out = out.data(),
              .data_size_in = static_cast<uint32_t>(frame.size()), .data_size_out = static_cast<uint32_t>(out.size()),
              .ctx_in = &context, .ctx_size_in = sizeof context);
  const int failed = bpf_prog_test_run_opts(kernel::program_fd(all, program), &options);
  if (failed) ADD_FAILURE() << "BPF_PROG_TEST_RUN of " << program << ": " << strerror(-failed);
  out.resize(options.data_size_out);
  Outcome outcome{static_cast<Verdict>(options.retval), std::move(out), {}};
  (void)all.read_events([&](const drop_event& event) { outcome.drop = kernel::drop_word(event.reason); });
  return outcome;
}

double PacketTest::nanoseconds(std::string_view program, const net::Frame& frame, uint32_t ifindex, uint32_t repeat) {
  const std::string bytes = frame.bytes();
  __sk_buff context{};
  context.ifindex = ifindex;
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(), .data_size_in = static_cast<uint32_t>(bytes.size()),
              .ctx_in = &context, .ctx_size_in = sizeof context, .repeat = static_cast<int>(repeat));
  if (bpf_prog_test_run_opts(kernel::program_fd(programs(), program), &options)) return -1;
  return options.duration;
}

net::Frame PacketTest::from(uint32_t ifindex) { return eth().macs(pod_mac(ifindex), host_mac(ifindex)); }
net::Frame PacketTest::to_pod(uint32_t ifindex) { return eth().macs(host_mac(ifindex), pod_mac(ifindex)).ttl(63); }

uint16_t source_port(const Outcome& outcome) { return net::parse_frame(outcome.frame).value().source_port; }
std::string destination(const Outcome& outcome) {
  const auto view = net::parse_frame(outcome.frame).value();
  return net::SocketAddress{view.destination, view.destination_port}.str();
}

void expect_frame(const Outcome& outcome, Verdict verdict, const net::Frame& expected, const char* file, int line) {
  const testing::ScopedTrace trace(file, line, "");
  EXPECT_EQ(outcome.verdict, verdict) << "drop reason: " << outcome.drop;
  const std::string want = expected.bytes();
  if (outcome.frame == want) return;
  const auto got_view = net::parse_frame(outcome.frame), want_view = net::parse_frame(want);
  ADD_FAILURE() << "frame      " << (got_view ? got_view->str() : got_view.error().message) << "\nwanted     "
                << (want_view ? want_view->str() : want_view.error().message) << "\n"
                << fmt::format(
                       "{} bytes, wanted {}; first difference at {}", outcome.frame.size(), want.size(),
                       std::mismatch(want.begin(), want.end(), outcome.frame.begin(), outcome.frame.end()).first -
                           want.begin());
}

}  // namespace carrick::packets
