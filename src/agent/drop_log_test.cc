#include "agent/drop_log.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>
#include <cstring>

#include "agent/drop_reader.h"
#include "kernel/programs.h"

namespace carrick::agent {
namespace {

namespace json = boost::json;

void set(wire_address& out, const char* text) {
  auto address = net::IpAddress::parse(text).value();
  std::memcpy(out.bytes, address.bytes().data(), 16);
}

drop_event event(const char* from, uint16_t from_port, const char* to, uint16_t to_port,
                 uint8_t reason = DROP_EGRESS_DENIED) {
  drop_event out{};
  set(out.tuple.src, from);
  set(out.tuple.dst, to);
  out.tuple.sport_be = htons(from_port);
  out.tuple.dport_be = htons(to_port);
  out.reason = reason;
  out.hook = HOOK_FROM_POD;
  out.protocol = 6;
  out.length = 74;
  out.time = 1'500'000'000;
  return out;
}

std::string no_name(const net::SocketAddress&, net::Protocol) { return ""; }
int64_t same(uint64_t nanos) { return static_cast<int64_t>(nanos); }

TEST(DropLog, AnEntryHasNamesReasonAndTime) {
  DropLog log;
  log.add(event("10.1.0.2", 40000, "10.1.1.2", 5432), [](const net::SocketAddress& at, net::Protocol protocol) {
    EXPECT_EQ(protocol, net::Protocol::kTcp);
    return at.str() == "10.1.0.2:40000" ? "Pod shop/web" : "Pod shop/db";
  });
  auto document = log.since(0, same);
  auto entry = document.at("entries").as_array().at(0).as_object();
  EXPECT_EQ(entry.at("time").as_string(), "1970-01-01T00:00:01.500Z");
  EXPECT_EQ(entry.at("reason").as_string(), "egress_denied");
  EXPECT_EQ(entry.at("hook").as_string(), "from-pod");
  EXPECT_EQ(entry.at("protocol").as_string(), "TCP");
  EXPECT_EQ(entry.at("from").at("name").as_string(), "Pod shop/web");
  EXPECT_EQ(entry.at("to").at("address").as_string(), "10.1.1.2");
  EXPECT_EQ(entry.at("to").at("port").to_number<int>(), 5432);
  EXPECT_EQ(entry.at("packets").to_number<int>(), 1);
}

TEST(DropLog, PacketsOfOneKindAreOneEntryAndTheNewestStay) {
  DropLog log(3);
  int names = 0;
  auto namer = [&](const net::SocketAddress&, net::Protocol) {
    ++names;
    return std::string();
  };
  for (uint16_t port = 1; port <= 1000; ++port) log.add(event("10.1.0.2", port, "10.1.1.2", 80), namer);
  EXPECT_EQ(log.size(), 1u);
  EXPECT_EQ(names, 2);
  EXPECT_EQ(log.since(0, same).at("entries").as_array().at(0).at("packets").to_number<int>(), 1000);
  for (uint16_t port = 1; port <= 1000; ++port) log.add(event("10.1.0.2", 1, "10.1.1.2", port), namer);
  EXPECT_EQ(log.size(), 3u);
  EXPECT_EQ(log.events(), 2000u);
  std::vector<int> ports;
  auto document = log.since(0, same);
  for (const auto& entry : document.at("entries").as_array())
    ports.push_back(entry.at("to").at("port").to_number<int>());
  EXPECT_EQ(ports, (std::vector{998, 999, 1000}));
}

TEST(DropLog, AFollowerGetsWhatHasChanged) {
  DropLog log;
  log.add(event("10.1.0.2", 1, "10.1.1.2", 80), no_name);
  log.add(event("10.1.0.2", 1, "10.1.1.2", 81), no_name);
  auto seen = log.since(0, same).at("change").to_number<uint64_t>();
  EXPECT_TRUE(log.since(seen, same).at("entries").as_array().empty());
  log.add(event("10.1.0.2", 1, "10.1.1.2", 80), no_name);
  auto document = log.since(seen, same);
  ASSERT_EQ(document.at("entries").as_array().size(), 1u);
  EXPECT_EQ(document.at("entries").as_array().at(0).at("to").at("port").to_number<int>(), 80);
  EXPECT_EQ(document.at("entries").as_array().at(0).at("packets").to_number<int>(), 2);
}

TEST(DropLog, NamesComeFromTheTables) {
  desired::Tables tables;
  auto address = [](const char* text) { return net::IpAddress::parse(text).value(); };
  desired::PeerRow pod;
  pod.owner = {"Pod", "shop", "web", ""};
  tables.peers.insert_or_assign(net::Prefix::host(address("10.1.0.2")), pod);
  desired::FrontendRow service;
  service.owner = {"Service", "shop", "api", "spec.ports[0]"};
  tables.frontends.insert_or_assign({address("10.96.0.9"), 80, net::Protocol::kTcp, desired::FrontendScope::kInternal},
                                    service);
  EXPECT_EQ(name_of(tables, {address("10.1.0.2"), 1234}, net::Protocol::kUdp), "Pod shop/web");
  EXPECT_EQ(name_of(tables, {address("10.96.0.9"), 80}, net::Protocol::kTcp), "Service shop/api");
  EXPECT_EQ(name_of(tables, {address("10.96.0.9"), 80}, net::Protocol::kUdp), "");
  EXPECT_EQ(name_of(tables, {address("203.0.113.9"), 80}, net::Protocol::kTcp), "");
}

// A flood: at every read there is more than may be taken.
TEST(DropReader, AFloodIsReadAtItsOwnPace) {
  boost::asio::io_context io(1);
  kernel::FakePrograms programs;
  size_t taken = 0;
  for (size_t i = 0; i < DropReader::kBatch; ++i) programs.put_event(event("10.1.0.2", 1, "10.1.1.2", 80));
  DropReader reader(io, programs, [&](const drop_event& one) {
    ++taken;
    programs.put_event(one);  // another one has come meanwhile
  });
  EXPECT_EQ(taken, DropReader::kBatch) << "the first look";
  const auto begin = std::chrono::steady_clock::now();
  for (size_t rounds = 2; rounds <= 3; ++rounds) {
    while (taken < rounds * DropReader::kBatch) io.run_one();
    EXPECT_EQ(taken, rounds * DropReader::kBatch);
  }
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2 * DropReader::kLongPause);
}

TEST(DropReader, WhatComesLaterIsReadWhenItComes) {
  boost::asio::io_context io(1);
  kernel::FakePrograms programs;
  size_t taken = 0;
  DropReader reader(io, programs, [&](const drop_event&) { ++taken; });
  io.poll();
  EXPECT_EQ(taken, 0u);
  for (size_t i = 1; i <= 3; ++i) {
    programs.put_event(event("10.1.0.2", 1, "10.1.1.2", 80));
    while (taken < i) ASSERT_GT(io.run_one_for(std::chrono::seconds(10)), 0u);
  }
}

}  // namespace
}  // namespace carrick::agent
