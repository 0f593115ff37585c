#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <functional>
#include <thread>

#include "base/fd.h"
#include "base/text.h"
#include "dns/client.h"
#include "dns/dns.h"
#include "dns/forward/cache.h"
#include "dns/static_resolver.h"
#include "net/raw_address.h"

namespace carrick::dns {
namespace {

using namespace std::chrono_literals;

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }
const net::SocketAddress kAny4{ip("127.0.0.1"), 0};

using Wires = std::vector<std::vector<uint8_t>>;

// An upstream that answers as the test says, over UDP only.
class FakeUpstream {
 public:
  using Script = std::function<Wires(const Message& query)>;
  explicit FakeUpstream(Script script)
      : script_(std::move(script)), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    net::RawAddress at(kAny4);
    EXPECT_EQ(::bind(fd_.get(), at.get(), at.size()), 0);
    net::RawAddress bound;
    ::getsockname(fd_.get(), bound.get(), bound.size_slot());
    address_ = bound.socket_address();
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeUpstream() {
    stop_ = true;
    thread_.join();
  }
  net::SocketAddress address() const { return address_; }
  int questions() const { return questions_; }
  std::vector<uint16_t> ports, ids;  // of the questions; read after the last answer

 private:
  void serve() {
    std::vector<uint8_t> buffer(4096);
    while (!stop_) {
      pollfd entry{fd_.get(), POLLIN, 0};
      if (::poll(&entry, 1, 20) != 1) continue;
      net::RawAddress from;
      ssize_t size = ::recvfrom(fd_.get(), buffer.data(), buffer.size(), 0, from.get(), from.size_slot());
      auto query = decode_query(std::span(buffer.data(), static_cast<size_t>(size)));
      if (!query || query->question->type == kHinfo) continue;  // the loop probe
      ports.push_back(from.socket_address().port);
      ids.push_back(query->id);
      ++questions_;
      for (const auto& wire : script_(*query))
        ::sendto(fd_.get(), wire.data(), wire.size(), 0, from.get(), from.size());
    }
  }
  Script script_;
  Fd fd_;
  net::SocketAddress address_;
  std::atomic<bool> stop_{false};
  std::atomic<int> questions_{0};
  std::thread thread_;
};

Message reply_to(const Message& query, const char* address = "203.0.113.1") {
  Message reply;
  reply.id = query.id;
  reply.is_response = true;
  reply.question = query.question;
  reply.answer = {address_record(query.question->name, ip(address), 60)};
  return reply;
}

struct Served {
  explicit Served(DnsOptions options) {
    options.listen = {kAny4};
    server = std::make_unique<DnsServer>(options);
    EXPECT_TRUE(server->start());
  }
  Result<ClientReply> ask(const std::string& name, std::string type = "A") {
    return query({.server = server->listening()[0], .name = name, .type = std::move(type), .timeout = 10s});
  }
  std::unique_ptr<DnsServer> server;
};

TEST(Forward, IgnoresAnswersThatWereNotAskedFor) {
  FakeUpstream upstream([](const Message& query) {
    Message wrong_id = reply_to(query, "198.51.100.1"), wrong_name = wrong_id, wrong_type = wrong_id,
            a_query = wrong_id;
    ++wrong_id.id;
    wrong_name.question->name = Name::parse("evil.test").value();
    wrong_type.question->type = kTxt;
    a_query.is_response = false;
    return Wires{encode(wrong_id),
                 encode(wrong_name),
                 encode(wrong_type),
                 encode(a_query),
                 std::vector<uint8_t>(100, 0xff),
                 encode(reply_to(query))};
  });
  Served served({.upstreams = {upstream.address()}});
  auto reply = served.ask("good.test");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->addresses(), std::vector{ip("203.0.113.1")});
}

TEST(Forward, IdsAndPortsAreRandom) {
  FakeUpstream upstream([](const Message& query) { return Wires{encode(reply_to(query))}; });
  Served served({.upstreams = {upstream.address()}});
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(served.ask(fmt::format("n{}.test", i)));
  EXPECT_GT(std::set(upstream.ids.begin(), upstream.ids.end()).size(), 45u);
  EXPECT_GT(std::set(upstream.ports.begin(), upstream.ports.end()).size(), 40u);
  int steps = 0;
  for (size_t i = 1; i < upstream.ids.size(); ++i) steps += upstream.ids[i] == upstream.ids[i - 1] + 1;
  EXPECT_LT(steps, 3);
}

TEST(Forward, NextUpstreamOnSilenceAndServfail) {
  FakeUpstream silent([](const Message&) { return Wires(); });
  FakeUpstream broken([](const Message& query) {
    Message reply = reply_to(query);
    reply.rcode = kServFail;
    reply.answer.clear();
    return Wires{encode(reply)};
  });
  FakeUpstream good([](const Message& query) { return Wires{encode(reply_to(query))}; });
  Served served({.upstreams = {silent.address(), broken.address(), good.address()}, .upstream_timeout = 100ms});
  for (int i = 0; i < 30; ++i) {
    auto reply = served.ask(fmt::format("n{}.test", i));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->rcode, "NOERROR");
  }
  EXPECT_EQ(good.questions(), 30);
  EXPECT_LT(silent.questions(), 15) << "after two failures it is left alone but for health checks";
  EXPECT_GT(served.server->stats().forward_failures, 0u);
}

TEST(Forward, AllDownIsServfailAndRecovers) {
  std::atomic<bool> answers{false};
  FakeUpstream upstream([&](const Message& query) { return answers ? Wires{encode(reply_to(query))} : Wires(); });
  Served served({.upstreams = {upstream.address()}, .upstream_timeout = 50ms});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(served.ask(fmt::format("n{}.test", i))->rcode, "SERVFAIL");
  answers = true;
  EXPECT_EQ(served.ask("later.test")->rcode, "NOERROR") << "when all are down one is tried all the same";
}

TEST(Forward, RefusedPortIsAnErrorAtOnce) {
  net::SocketAddress nobody;
  {
    FakeUpstream gone([](const Message&) { return Wires(); });
    nobody = gone.address();
  }
  FakeUpstream good([](const Message& query) { return Wires{encode(reply_to(query))}; });
  Served served({.upstreams = {nobody, good.address()}});
  auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(served.ask(fmt::format("n{}.test", i))->rcode, "NOERROR");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1900ms);
}

TEST(Forward, TruncatedAnswersAreAskedAgainOverTcp) {
  StaticResolver outside({.listen = {kAny4}, .names = outside_names({ip("203.0.113.10")})});
  ASSERT_TRUE(outside.start());
  Served served({.upstreams = outside.listening()});
  auto reply =
      query({.server = served.server->listening()[0], .name = "big.example.com", .type = "AAAA", .via = Via::kTcp});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answer.size(), 60u);
}

TEST(Forward, EqualQuestionsAreAskedOnce) {
  FakeUpstream upstream([](const Message& query) {
    std::this_thread::sleep_for(50ms);  // the upstream is slow; the test waits for nothing
    return Wires{encode(reply_to(query))};
  });
  Served served({.upstreams = {upstream.address()}});
  std::vector<std::thread> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back([&] { EXPECT_EQ(served.ask("same.test")->rcode, "NOERROR"); });
  for (auto& client : clients) client.join();
  EXPECT_EQ(upstream.questions(), 1);
}

TEST(Forward, ConcurrencyIsBounded) {
  FakeUpstream upstream([](const Message&) { return Wires(); });
  Served served({.upstreams = {upstream.address()}, .upstream_timeout = 500ms, .max_concurrent = 3});
  std::atomic<int> refused{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 10; ++i)
    clients.emplace_back([&, i] { refused += served.ask(fmt::format("n{}.test", i))->rcode == "REFUSED"; });
  for (auto& client : clients) client.join();
  EXPECT_GE(refused, 6);
  EXPECT_EQ(served.server->stats().forward_rejects, static_cast<uint64_t>(refused));
}

TEST(Forward, NeverToItself) {  // DNS-F3
  net::SocketAddress fixed;
  {
    DnsServer probe({.listen = {kAny4}});
    ASSERT_TRUE(probe.start());
    fixed = probe.listening()[0];
  }
  DnsServer server({.listen = {fixed}, .upstreams = {fixed}});
  ASSERT_TRUE(server.start());
  auto reply = query({.server = fixed, .name = "example.com"});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, "SERVFAIL");
  EXPECT_FALSE(reply->recursion_available);
}

TEST(Forward, ALoopThroughAnotherServerIsSeen) {
  net::SocketAddress first_address;
  {
    DnsServer probe({.listen = {kAny4}});
    ASSERT_TRUE(probe.start());
    first_address = probe.listening()[0];
  }
  DnsServer second({.listen = {kAny4}, .upstreams = {first_address}});
  ASSERT_TRUE(second.start());
  DnsServer first({.listen = {first_address}, .upstreams = second.listening()});
  ASSERT_TRUE(first.start());
  while (first.stats().forward_loops == 0) std::this_thread::yield();
  auto begin = std::chrono::steady_clock::now();
  auto reply = query({.server = first_address, .name = "example.com"});
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, "SERVFAIL");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, 1500ms);
}

class CacheTest : public testing::Test {
 protected:
  static Message positive(uint32_t ttl) {
    Message m;
    m.answer = {address_record(Name::parse("a.test").value(), ip("10.0.0.1"), ttl)};
    return m;
  }
  static Message denial(uint32_t ttl, uint32_t minimum) {
    Message m;
    m.rcode = kNxDomain;
    m.authority = {{Name(), kSoa, ttl, soa_data(Name(), Name(), 1, 1, 1, 1, minimum)}};
    return m;
  }
  Cache cache_{Cache::Bounds{}};
  Cache::Clock::time_point now_{};
};

TEST_F(CacheTest, TtlsCountDown) {
  cache_.put("k", positive(10), now_);
  EXPECT_EQ(cache_.find("k", now_ + 4s)->answer[0].ttl, 6u);
  EXPECT_TRUE(cache_.find("k", now_ + 9s));
  EXPECT_FALSE(cache_.find("k", now_ + 10s));
  EXPECT_EQ(cache_.size(), 0u);
}

TEST_F(CacheTest, LifetimesAreBounded) {
  cache_.put("long", positive(86400), now_);
  EXPECT_EQ(cache_.find("long", now_)->answer[0].ttl, 3600u);
  EXPECT_FALSE(cache_.find("long", now_ + 3600s));
  cache_.put("denied", denial(86400, 86400), now_);
  EXPECT_TRUE(cache_.find("denied", now_ + 1799s));
  EXPECT_FALSE(cache_.find("denied", now_ + 1800s));
  cache_.put("minimum", denial(300, 20), now_);
  EXPECT_FALSE(cache_.find("minimum", now_ + 20s));
}

TEST_F(CacheTest, WhatIsNotKept) {
  cache_.put("zero", positive(0), now_);
  Message truncated = positive(60);
  truncated.truncated = true;
  cache_.put("tc", truncated, now_);
  Message bare;
  bare.rcode = kNxDomain;
  cache_.put("no soa", bare, now_);
  Message refused;
  refused.rcode = kRefused;
  cache_.put("refused", refused, now_);
  EXPECT_EQ(cache_.size(), 0u);
  Message failure;
  failure.rcode = kServFail;
  cache_.put("servfail", failure, now_);
  EXPECT_TRUE(cache_.find("servfail", now_ + 4s));
  EXPECT_FALSE(cache_.find("servfail", now_ + 5s));
}

TEST_F(CacheTest, LeastRecentlyUsedGoesFirst) {
  Cache small(Cache::Bounds{.entries = 3});
  for (const char* key : {"a", "b", "c"}) small.put(key, positive(60), now_);
  ASSERT_TRUE(small.find("a", now_));
  small.put("d", positive(60), now_);
  EXPECT_FALSE(small.find("b", now_));
  EXPECT_TRUE(small.find("a", now_));
  EXPECT_EQ(small.size(), 3u);
}

TEST_F(CacheTest, BytesAreBounded) {
  Cache small(Cache::Bounds{.entries = 1000000, .bytes = 100000});
  for (int i = 0; i < 1000; ++i) small.put(fmt::format("k{}", i), positive(60), now_);
  EXPECT_LE(small.bytes(), 100000u);
  EXPECT_GT(small.size(), 50u);
  Message huge;
  for (uint32_t i = 0; i < 1000; ++i) huge.answer.push_back(address_record(Name(), net::IpAddress::v4(i), 60));
  small.put("huge", huge, now_);
  EXPECT_FALSE(small.find("huge", now_));
}

}  // namespace
}  // namespace carrick::dns
