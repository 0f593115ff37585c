#include "realize/realize.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <random>

#include "realize/encode.h"

namespace carrick::realize {
namespace {

using net::IpAddress;
using net::Prefix;
using net::Protocol;
using std::chrono::milliseconds;

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }
Prefix cidr(std::string_view text) { return Prefix::parse(text).value(); }
const reconcile::Time kStart{};
const desired::FrontendKey kWeb{ip("10.96.0.10"), 80, Protocol::kTcp};
const NodeConfig kNode{.uplink_ifindex = 2, .addresses = {ip("192.0.2.11"), ip("2001:db8:2::11")}};

desired::Tables example() {
  desired::Tables tables;
  tables.revision = 7;
  tables.prune = true;
  auto& pod = tables.pods[20];
  pod.addresses = {ip("10.1.1.10"), ip("2001:db8:1:1::a")};
  pod.identity = 100;
  pod.ingress_isolated = true;
  tables.peers[cidr("10.1.1.10/32")] = {.kind = desired::PeerKind::kLocalPod, .identity = 100, .ifindex = 20};
  tables.policy.cidrs[cidr("203.0.113.0/24")] = 9;
  tables.policy
      .rows[{100, desired::Direction::kIngress, desired::PolicyPeerKind::kIdentity, 101, Protocol::kTcp, 80, 16}] = {};
  tables.policy
      .rows[{100, desired::Direction::kIngress, desired::PolicyPeerKind::kCidrClass, 9, Protocol::kAny, 0, 0}] = {};
  auto& frontend = tables.frontends[kWeb];
  frontend.service_id = 5;
  frontend.backends = {{.address = ip("10.1.1.10"), .port = 8080, .local = true},
                       {.address = ip("10.1.2.10"), .port = 8080}};
  frontend.owner = {.kind = "Service", .namespace_ = "default", .name = "web"};
  return tables;
}

std::map<std::string, std::map<std::string, std::string, std::less<>>> contents(kernel::FakePrograms& programs) {
  std::map<std::string, std::map<std::string, std::string, std::less<>>> all;
  for (const auto& map : programs.maps)
    if (map->shape().name != "config") all[map->shape().name] = map->rows;
  return all;
}

uint64_t writes(kernel::FakePrograms& programs) {
  uint64_t sum = 0;
  for (const auto& map : programs.maps) sum += map->writes;
  return sum;
}

TEST(Realize, TablesBecomeRowsAndARevision) {
  kernel::FakePrograms programs;
  auto realizer = Realizer::create(programs).value();
  const auto status = realizer->apply(example(), kNode, kStart).value();
  EXPECT_TRUE(status.settled);
  EXPECT_EQ(status.revision, 7u);
  EXPECT_EQ(status.epoch, 1u);
  EXPECT_EQ(programs.fake_map("pods").rows.size(), 1u);
  EXPECT_EQ(programs.fake_map("backends").rows.size(), 2u);
  EXPECT_EQ(programs.fake_map("policy").rows.size(), 2u);
  EXPECT_EQ(programs.fake_map("peers").rows.size(), 2u) << "with the guard row";
  EXPECT_TRUE(programs.fake_map("cidrs").rows.contains(bytes_of(wire_of(Prefix(IpAddress::v4(0), 96)))));
}

TEST(Realize, NothingIsWrittenWhenNothingChangesAndLittleWhenLittleDoes) {
  kernel::FakePrograms programs;
  auto realizer = Realizer::create(programs).value();
  auto tables = example();
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  const auto before = writes(programs);
  tables.revision = 8;
  EXPECT_EQ(realizer->apply(tables, kNode, kStart)->epoch, 1u) << "no flow is judged again for nothing";
  EXPECT_EQ(writes(programs), before);
  EXPECT_EQ(realizer->status().revision, 8u);
  tables.pods[20].ingress_isolated = false;
  EXPECT_EQ(realizer->apply(tables, kNode, kStart)->epoch, 2u);
  EXPECT_EQ(writes(programs), before + 2) << "the pod and the epoch";
}

TEST(Realize, RestartWritesNothing) {
  kernel::FakePrograms programs;
  ASSERT_TRUE(Realizer::create(programs).value()->apply(example(), kNode, kStart));
  const auto before = writes(programs);
  auto again = Realizer::create(programs).value();
  EXPECT_EQ(again->apply(example(), kNode, kStart)->epoch, 1u);
  EXPECT_EQ(writes(programs), before);
}

TEST(Realize, WhatARowPointsAtComesFirstAndGoesLast) {
  kernel::FakePrograms programs;
  std::vector<std::string> order;
  for (const auto& map : programs.maps) {
    map->on_write = [&](const std::string& name, bool removal) {
      const std::string step = (removal ? "-" : "+") + name;
      if (order.empty() || order.back() != step) order.push_back(step);
    };
  }
  auto tables = example();
  for (uint32_t i = 0; i < FEW_BACKENDS; ++i)
    tables.frontends[kWeb].backends.push_back({.address = IpAddress::v4(0x0a010300u + i), .port = 8080});
  auto realizer = Realizer::create(programs).value();
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  EXPECT_EQ(order, (std::vector<std::string>{"+backends", "+members", "+frontends", "+cidrs", "+policy", "+pods",
                                             "+peers", "+config"}));
  order.clear();
  desired::Tables empty;
  empty.prune = true;
  ASSERT_TRUE(realizer->apply(empty, kNode, kStart));
  EXPECT_EQ(order, (std::vector<std::string>{"-peers", "-pods", "-policy", "-cidrs", "-frontends", "-members",
                                             "-backends", "+config"}));
  // A changed list of endpoints: the new one is whole before the frontend names it, the old one goes afterwards.
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  order.clear();
  tables.frontends[kWeb].backends.pop_back();
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  EXPECT_EQ(order,
            (std::vector<std::string>{"+backends", "+members", "+frontends", "-members", "-backends", "+config"}));
  // A short list has no members of its own.
  order.clear();
  tables.frontends[kWeb].backends.resize(FEW_BACKENDS);
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  EXPECT_EQ(order, (std::vector<std::string>{"+backends", "+frontends", "-members", "-backends", "+config"}));
}

TEST(Realize, AFullMapFailsTheLastRowsAndSaysWhose) {
  kernel::MapSizes sizes;
  sizes.frontends = 1;
  kernel::FakePrograms programs(sizes);
  auto realizer = Realizer::create(programs).value();
  auto tables = example();
  tables.frontends[{ip("10.96.0.99"), 80, Protocol::kTcp}].owner = {
      .kind = "Service", .namespace_ = "default", .name = "late"};
  const auto status = realizer->apply(tables, kNode, kStart).value();
  EXPECT_FALSE(status.settled);
  EXPECT_EQ(status.revision, 0u);
  ASSERT_EQ(status.failures.size(), 1u);
  EXPECT_EQ(status.failures[0].owner, "Service default/late");
  EXPECT_EQ(status.failures[0].table, "frontends");
  EXPECT_EQ(programs.fake_map("pods").rows.size(), 1u) << "others are not held up";
  // Room is made, the retry heals it.
  tables.frontends.erase(tables.frontends.begin());
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart));
  const auto healed = realizer->retry(kStart + milliseconds(500)).value();
  EXPECT_TRUE(healed.settled);
  EXPECT_EQ(healed.revision, 7u);
}

TEST(Realize, RulesByIpBlockWaitForTheirCidrs) {
  kernel::FakePrograms programs;
  programs.fake_map("cidrs").fault = [] { return std::optional(Error{ErrorKind::kTransient, "no"}); };
  auto realizer = Realizer::create(programs).value();
  EXPECT_FALSE(realizer->apply(example(), kNode, kStart)->settled);
  EXPECT_EQ(programs.fake_map("policy").rows.size(), 1u) << "an address would be taken for one of a wider prefix";
  programs.fake_map("cidrs").fault = nullptr;
  EXPECT_TRUE(realizer->retry(kStart + milliseconds(1000))->settled);
  EXPECT_EQ(programs.fake_map("policy").rows.size(), 2u);
}

TEST(Realize, OneIpBlockMayTakeThePlaceOfAnother) {
  kernel::FakePrograms programs;
  auto realizer = Realizer::create(programs).value();
  auto tables = example();
  ASSERT_TRUE(realizer->apply(tables, kNode, kStart)->settled);
  tables.policy.cidrs = {{cidr("203.0.113.0/25"), 10}};
  tables.policy.rows.clear();
  tables.policy
      .rows[{100, desired::Direction::kIngress, desired::PolicyPeerKind::kCidrClass, 10, Protocol::kAny, 0, 0}] = {};
  EXPECT_TRUE(realizer->apply(tables, kNode, kStart)->settled) << "rows that go hold up none that come";
  EXPECT_EQ(programs.fake_map("policy").rows.size(), 1u);
}

TEST(Realize, CNP_6_PodsAreClosedWhileADenyIsMissing) {
  kernel::FakePrograms programs;
  auto realizer = Realizer::create(programs).value();
  auto tables = example();
  tables.pods[20].ingress_tiered = true;
  const auto flags = [&] {
    pod_value value;
    std::memcpy(&value, programs.fake_map("pods").rows.begin()->second.data(), sizeof value);
    return value.flags;
  };
  for (const char* map : {"policy", "cidrs"}) {
    programs.fake_map(map).fault = [] { return std::optional(Error{ErrorKind::kTransient, "full"}); };
    tables.policy.cidrs[cidr("198.51.100.0/24")] = 11;
    auto& row =
        tables.policy
            .rows[{100, desired::Direction::kIngress, desired::PolicyPeerKind::kCidrClass, 11, Protocol::kAny, 0, 0}];
    row.admin = {.order = static_cast<uint32_t>(map[0]), .action = desired::PolicyAction::kDeny, .owner = {}};
    EXPECT_FALSE(realizer->apply(tables, kNode, kStart)->settled);
    EXPECT_TRUE(flags() & POD_BLOCKED) << map;
    EXPECT_TRUE(flags() & POD_INGRESS_TIERED);
    programs.fake_map(map).fault = nullptr;
    EXPECT_TRUE(realizer->retry(kStart + milliseconds(60000))->settled);
    EXPECT_FALSE(flags() & POD_BLOCKED) << map;
    tables.policy.cidrs.erase(cidr("198.51.100.0/24"));
    ASSERT_TRUE(realizer->apply(tables, kNode, kStart + milliseconds(60000))->settled);
  }
}

TEST(Realize, WithoutSyncNothingIsRemoved) {
  kernel::FakePrograms programs;
  ASSERT_TRUE(Realizer::create(programs).value()->apply(example(), kNode, kStart));
  auto restarted = Realizer::create(programs).value();
  desired::Tables nothing_yet;
  ASSERT_TRUE(restarted->apply(nothing_yet, kNode, kStart));
  EXPECT_EQ(programs.fake_map("pods").rows.size(), 1u);
  EXPECT_EQ(programs.fake_map("frontends").rows.size(), 1u);
}

TEST(Realize, PortBlocksAreMasked) {
  desired::PolicyTable policy;
  policy.rows[{1, desired::Direction::kIngress, desired::PolicyPeerKind::kAny, 0, Protocol::kTcp, 8003, 13}] = {};
  const auto rows = encode_policy(policy);
  ASSERT_EQ(rows.size(), 1u);
  policy_lpm_key key;
  std::memcpy(&key, rows[0].key.data(), sizeof key);
  EXPECT_EQ(key.length, 96u + 13);
  EXPECT_EQ(ntohs(key.port_be), 8000);
}

TEST(Realize, AFrontendHasBackendsOfItsFamilyOnly) {
  desired::FrontendTable table;
  auto& row = table[{ip("2001:db8:96::10"), 80, Protocol::kTcp}];
  row.backends = {{.address = ip("10.1.1.10"), .port = 80}, {.address = ip("2001:db8:1:1::a"), .port = 80}};
  EXPECT_EQ(encode_services(table).backends.size(), 1u);
}

// Random tables, a tenth of all operations failing, restarts in between: the maps end as a fresh node's would.
TEST(Realize, ConvergesThroughFaultsAndRestarts) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    kernel::FakePrograms programs;
    programs.fail_one_in(10, random);
    auto realizer = Realizer::create(programs).value();
    auto tables = example();
    reconcile::Time now = kStart;
    for (int step = 0; step < 20; ++step) {
      const auto last = static_cast<uint8_t>(random() % 20);
      const IpAddress address = IpAddress::v4(0x0a010200u + last);
      if (random() % 2)
        tables.peers[Prefix::host(address)] = {.kind = desired::PeerKind::kRemotePod,
                                               .identity = static_cast<uint32_t>(random() % 50),
                                               .node = ip("192.0.2.12")};
      else
        tables.peers.erase(Prefix::host(address));
      auto& service = tables.frontends[{IpAddress::v4(0x0a600000u + last), 80, Protocol::kTcp}];
      service.service_id = last;
      service.backends.assign(random() % 4, {.address = address, .port = 80});
      for (size_t i = 0; i < service.backends.size(); ++i) service.backends[i].port = static_cast<uint16_t>(80 + i);
      service.source_ranges.assign(random() % 2, cidr(fmt::format("203.0.{}.0/24", random() % 3)));
      // Another frontend of the same service shares its list.
      if (random() % 2) {
        desired::FrontendRow twin = service;
        tables.frontends.insert_or_assign({IpAddress::v4(0x0a600000u + last), 81, Protocol::kTcp}, twin);
      } else {
        tables.frontends.erase({IpAddress::v4(0x0a600000u + random() % 20), 81, Protocol::kTcp});
      }
      tables.policy
          .rows[{last, desired::Direction::kEgress, desired::PolicyPeerKind::kAny, 0, Protocol::kAny, 0, 0}] = {};
      if (step % 6 == 5) realizer = Realizer::create(programs).value();
      (void)realizer->apply(tables, kNode, now);
      now += milliseconds(random() % 300);
    }
    for (int i = 0; i < 100; ++i) {
      now += milliseconds(30000);
      (void)realizer->retry(now);
    }
    kernel::FakePrograms fresh;
    ASSERT_TRUE(Realizer::create(fresh).value()->apply(tables, kNode, kStart));
    EXPECT_TRUE(realizer->status().settled);
    EXPECT_EQ(contents(programs), contents(fresh)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace carrick::realize
