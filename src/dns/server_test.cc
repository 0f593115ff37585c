#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <future>
#include <map>
#include <thread>

#include "base/fd.h"
#include "base/text.h"
#include "dns/client.h"
#include "dns/dns.h"
#include "dns/message/message.h"
#include "dns/static_resolver.h"
#include "dns/zone/zone_rows.h"
#include "net/raw_address.h"

// The server through real sockets on loopback, both families, both transports.
namespace carrick::dns {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

net::IpAddress ip(const char* text) { return net::IpAddress::parse(text).value(); }
const net::SocketAddress kAny4{ip("127.0.0.1"), 0}, kAny6{ip("::1"), 0};

std::unique_ptr<StaticResolver> make_outside() {
  StaticOptions options{.listen = {kAny4}, .names = outside_names({ip("203.0.113.10"), ip("2001:db8:203::10")})};
  auto out = std::make_unique<StaticResolver>(options);
  auto started = out->start();
  EXPECT_TRUE(started) << started.error().message;
  return out;
}

struct Served {
  explicit Served(DnsOptions options = {}, const desired::NameTable& table = test::cluster_table()) {
    if (options.listen.empty()) options.listen = {kAny4, kAny6};
    server = std::make_unique<DnsServer>(options);
    server->inbox().put(std::make_shared<desired::NameTable>(table));
    auto started = server->start();
    EXPECT_TRUE(started) << started.error().message;
  }
  net::SocketAddress v4() const { return server->listening()[0]; }
  net::SocketAddress v6() const { return server->listening()[1]; }
  std::unique_ptr<DnsServer> server;
};

Result<ClientReply> ask(net::SocketAddress server, const std::string& question, Via via = Via::kUdp, bool edns = true) {
  auto words = split(question, ' ');
  return query(
      {.server = server, .name = std::string(words[0]), .type = std::string(words[1]), .via = via, .edns = edns});
}

std::vector<std::string> texts(const std::vector<ClientRecord>& records) {
  std::vector<std::string> out;
  for (const ClientRecord& record : records)
    out.push_back(fmt::format("{} {} {}", record.name, record.type, record.data));
  return out;
}

// Compression takes the case of the name it points to (RFC 4343 4.1), so names in answers follow the question.
std::vector<std::string> folded(std::vector<std::string> lines) {
  for (std::string& line : lines) line = lower(line);
  return lines;
}

class ServerTable : public testing::TestWithParam<std::tuple<bool, Via>> {};

TEST_P(ServerTable, AnswersTheTable) {
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  auto [v4, via] = GetParam();
  for (const test::Row& row : test::cluster_rows()) {
    SCOPED_TRACE(fmt::format("{}: {}", row.id, row.question));
    auto reply = ask(v4 ? served.v4() : served.v6(), row.question, via);
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(reply->rcode, row.rcode);
    EXPECT_TRUE(reply->authoritative);
    EXPECT_TRUE(reply->recursion_available);
    EXPECT_FALSE(reply->truncated);
    EXPECT_THAT(folded(texts(reply->answer)), UnorderedElementsAreArray(folded(row.answer)));
    if (!reply->answer.empty())
      EXPECT_EQ(reply->answer[0].name, split(row.question, ' ')[0]) << "the case that was asked";
    EXPECT_THAT(folded(texts(reply->additional)), UnorderedElementsAreArray(folded(row.additional)));
    ASSERT_EQ(reply->authority.size(), row.soa_of.empty() ? 0u : 1u);
    if (!row.soa_of.empty()) EXPECT_EQ(lower(reply->authority[0].name), lower(row.soa_of));
  }
  auto stats = served.server->stats();
  EXPECT_EQ(stats.request_count(), test::cluster_rows().size());
  EXPECT_EQ(v4 ? (via == Via::kUdp ? stats.requests.udp_v4 : stats.requests.tcp_v4)
               : (via == Via::kUdp ? stats.requests.udp_v6 : stats.requests.tcp_v6),
            stats.request_count());
  EXPECT_GT(stats.responses["NXDOMAIN"], 0u);
}

INSTANTIATE_TEST_SUITE_P(All, ServerTable, testing::Combine(testing::Bool(), testing::Values(Via::kUdp, Via::kTcp)),
                         [](const auto& info) {
                           return fmt::format("{}{}", std::get<1>(info.param) == Via::kUdp ? "Udp" : "Tcp",
                                              std::get<0>(info.param) ? "V4" : "V6");
                         });

TEST(Server, BeforeTheFirstTableEverythingInsideIsServfail) {
  DnsServer server({.listen = {kAny4}});
  ASSERT_TRUE(server.start());
  auto reply = ask(server.listening()[0], "web.default.svc.cluster.local A");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, "SERVFAIL");
  EXPECT_FALSE(server.stats().synced);
  auto outside = ask(server.listening()[0], "example.com A");
  ASSERT_TRUE(outside);
  EXPECT_EQ(outside->rcode, "SERVFAIL") << "no upstream";
}

// The newest table is what is answered from, without a restart and without a wait that a test could see.
TEST(Server, TakesOverTables) {
  Served served;
  auto table = test::cluster_table();
  for (int i = 1; i <= 50; ++i) {
    table.names["web.default.svc"].addresses = {net::IpAddress::v4(0x0a600000u + static_cast<uint32_t>(i))};
    table.serial = 100 + static_cast<uint32_t>(i);
    served.server->inbox().put(std::make_shared<desired::NameTable>(table));
  }
  std::vector<net::IpAddress> seen;
  for (int tries = 0; tries < 1000 && seen != table.names["web.default.svc"].addresses; ++tries) {
    auto reply = ask(served.v4(), "web.default.svc.cluster.local A");
    ASSERT_TRUE(reply);
    seen = reply->addresses();
  }
  EXPECT_EQ(seen, table.names["web.default.svc"].addresses);
  EXPECT_EQ(served.server->stats().table_serial, 150u);
}

TEST(Server, ForwardsAndCaches) {
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  uint64_t before = 0;
  for (int i = 0; i < 3; ++i) {
    auto reply = ask(served.v4(), "www.example.com A");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->rcode, "NOERROR");
    EXPECT_FALSE(reply->authoritative);
    EXPECT_THAT(texts(reply->answer), ElementsAre("www.example.com CNAME example.com.", "example.com A 203.0.113.10"));
    if (i == 0) before = outside->questions();
  }
  EXPECT_EQ(outside->questions(), before) << "the second and third come from the cache";
  EXPECT_EQ(served.server->stats().cache_hits, 2u);
  for (int i = 0; i < 2; ++i) {
    auto reply = ask(served.v6(), "gone.example.com A", Via::kTcp);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->rcode, "NXDOMAIN");
    EXPECT_THAT(texts(reply->authority), ElementsAre(HasSubstr(". SOA ")));
  }
  EXPECT_EQ(served.server->stats().cache_denial_hits, 1u);
}

TEST(Server, ChasesExternalNamesOutside) {  // DNS-9
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  for (int i = 0; i < 2; ++i) {  // asked, then cached
    auto reply = ask(served.v4(), "outside.default.svc.cluster.local A");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->rcode, "NOERROR");
    EXPECT_TRUE(reply->authoritative);
    EXPECT_THAT(texts(reply->answer), ElementsAre("outside.default.svc.cluster.local CNAME www.example.com.",
                                                  "www.example.com CNAME example.com.", "example.com A 203.0.113.10"));
  }
  Served alone;
  auto reply = ask(alone.v4(), "outside.default.svc.cluster.local A");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, "SERVFAIL") << "nobody to ask";
  EXPECT_THAT(texts(reply->answer), ElementsAre("outside.default.svc.cluster.local CNAME www.example.com."));
}

TEST(Server, SizesOverUdp) {  // DNS-T2, DNS-T3
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  auto small = ask(served.v4(), "big.example.com A", Via::kUdp, false);  // 60 A records in 512 bytes
  ASSERT_TRUE(small);
  EXPECT_TRUE(small->truncated);
  EXPECT_GT(small->answer.size(), 25u);
  EXPECT_LT(small->answer.size(), 32u);
  auto edns = ask(served.v4(), "big.example.com A");
  ASSERT_TRUE(edns);
  EXPECT_FALSE(edns->truncated);
  EXPECT_EQ(edns->answer.size(), 60u);
  auto bigger = ask(served.v6(), "big.example.com AAAA");  // 60 * 28 bytes
  ASSERT_TRUE(bigger);
  EXPECT_TRUE(bigger->truncated);
  auto tcp = ask(served.v6(), "big.example.com AAAA", Via::kTcp);
  ASSERT_TRUE(tcp);
  EXPECT_FALSE(tcp->truncated);
  EXPECT_EQ(tcp->answer.size(), 60u);
  EXPECT_EQ(served.server->stats().truncated, 2u);
}

TEST(Server, OrderChanges) {  // DNS-T4
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  std::set<std::string> firsts;
  for (int i = 0; i < 100; ++i) firsts.insert(ask(served.v4(), "big.example.com A")->answer[0].data);
  EXPECT_GT(firsts.size(), 20u);
}

Result<Message> exchange(net::SocketAddress server, const std::vector<uint8_t>& wire,
                         std::chrono::milliseconds wait = 2000ms) {
  Fd fd(::socket(server.address.is_v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  net::RawAddress to(server);
  if (::connect(fd.get(), to.get(), to.size()) != 0) return fail_errno(errno, "connect");
  if (::send(fd.get(), wire.data(), wire.size(), 0) < 0) return fail_errno(errno, "send");
  pollfd entry{fd.get(), POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(wait.count())) != 1) return fail(ErrorKind::kTransient, "silence");
  std::vector<uint8_t> buffer(65535);
  ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
  if (size < 0) return fail_errno(errno, "recv");
  return decode_response(std::span(buffer.data(), static_cast<size_t>(size)));
}

Message question(const char* name, uint16_t type = kA) {
  Message m;
  m.id = 99;
  m.recursion_desired = true;
  m.question = Question{Name::parse(name).value(), type};
  return m;
}

TEST(Server, ProtocolCorners) {
  Served served({.server_id = "node1"});
  auto rcode = [&](const Message& m) {
    auto reply = exchange(served.v4(), encode(m));
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
    return reply ? rcode_text(reply->rcode) : "";
  };
  EXPECT_EQ(rcode(question("cluster.local", kAxfr)), "REFUSED");  // DNS-N7
  EXPECT_EQ(rcode(question("cluster.local", kIxfr)), "REFUSED");
  EXPECT_EQ(rcode(question("cluster.local", kOpt)), "FORMERR");
  Message chaos = question("version.bind", kTxt);
  chaos.question->klass = 3;
  EXPECT_EQ(rcode(chaos), "NOTIMPL");
  Message any_class = question("web.default.svc.cluster.local");
  any_class.question->klass = kClassAny;
  EXPECT_EQ(rcode(any_class), "NOERROR");
  Message update = question("cluster.local", kSoa);
  update.opcode = 5;
  EXPECT_EQ(rcode(update), "NOTIMPL");
  Message edns1 = question("web.default.svc.cluster.local");
  edns1.edns = Edns{.version = 1};
  auto reply = exchange(served.v4(), encode(edns1));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, kBadVers);
  EXPECT_EQ(reply->edns->version, 0);

  Message edns = question("web.default.svc.cluster.local");
  edns.edns = Edns{.udp_size = 4096, .dnssec_ok = true, .nsid = ""};
  edns.checking_disabled = true;
  reply = exchange(served.v6(), encode(edns));
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->id, 99);
  EXPECT_TRUE(reply->recursion_desired);
  EXPECT_TRUE(reply->checking_disabled);
  EXPECT_TRUE(reply->edns->dnssec_ok);
  EXPECT_EQ(reply->edns->udp_size, 1232);
  EXPECT_EQ(reply->edns->nsid, "node1");
  EXPECT_FALSE(exchange(served.v4(), encode(question("web.default.svc.cluster.local")))->edns) << "no OPT unasked";

  std::vector<uint8_t> garbage(40, 0x55);
  reply = exchange(served.v4(), garbage);
  ASSERT_TRUE(reply);
  EXPECT_NE(reply->rcode, kNoError);
  garbage[2] |= 0x80;  // a response
  EXPECT_FALSE(exchange(served.v4(), garbage, 100ms));
  EXPECT_FALSE(exchange(served.v4(), {1, 2, 3}, 100ms));
  EXPECT_EQ(served.server->stats().ignored, 2u);
}

class TcpClient {
 public:
  explicit TcpClient(net::SocketAddress server)
      : fd_(::socket(server.address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    net::RawAddress to(server);
    EXPECT_EQ(::connect(fd_.get(), to.get(), to.size()), 0) << strerror(errno);
  }
  void send_raw(const std::vector<uint8_t>& bytes) {
    EXPECT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  static std::vector<uint8_t> framed(const Message& m) {
    auto body = encode(m);
    std::vector<uint8_t> out = {static_cast<uint8_t>(body.size() >> 8), static_cast<uint8_t>(body.size())};
    out.insert(out.end(), body.begin(), body.end());
    return out;
  }
  std::optional<Message> receive() {
    std::vector<uint8_t> prefix = read(2);
    if (prefix.size() < 2) return std::nullopt;
    auto message = decode_response(read(static_cast<size_t>(prefix[0]) << 8 | prefix[1]));
    return message ? std::optional(*message) : std::nullopt;
  }
  bool closed_by_peer(std::chrono::milliseconds wait) {
    pollfd entry{fd_.get(), POLLIN, 0};
    char byte;
    return ::poll(&entry, 1, static_cast<int>(wait.count())) == 1 && ::recv(fd_.get(), &byte, 1, 0) <= 0;
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }

 private:
  std::vector<uint8_t> read(size_t size) {
    std::vector<uint8_t> out(size);
    size_t have = 0;
    while (have < size) {
      pollfd entry{fd_.get(), POLLIN, 0};
      if (::poll(&entry, 1, 5000) != 1) break;
      ssize_t n = ::recv(fd_.get(), out.data() + have, size - have, 0);
      if (n <= 0) break;
      have += static_cast<size_t>(n);
    }
    out.resize(have);
    return out;
  }
  Fd fd_;
};

TEST(ServerTcp, PipelinesAndAnswersOutOfOrder) {  // DNS-T1
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  TcpClient client(served.v4());
  std::vector<uint8_t> all;
  for (uint16_t i = 0; i < 200; ++i) {
    Message m = question(i == 0 ? "slow.example.com" : "web.default.svc.cluster.local");
    m.id = i;
    auto bytes = TcpClient::framed(m);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  for (size_t at = 0; at < all.size(); at += 777)  // cut anywhere, also inside the length
    client.send_raw(
        {all.begin() + static_cast<long>(at), all.begin() + static_cast<long>(std::min(all.size(), at + 777))});
  std::vector<uint16_t> order;
  for (int i = 0; i < 200; ++i) {
    auto reply = client.receive();
    ASSERT_TRUE(reply) << i;
    EXPECT_EQ(reply->answer.size(), 1u);
    order.push_back(reply->id);
  }
  EXPECT_EQ(order.back(), 0) << "the slow one holds up nobody";
  EXPECT_EQ(served.server->stats().tcp_connections, 1u);
  client.finish_sending();
  EXPECT_TRUE(client.closed_by_peer(2000ms));
}

TEST(ServerTcp, HalfClosedConnectionsStillGetTheirAnswers) {
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  TcpClient client(served.v6());
  client.send_raw(TcpClient::framed(question("slow.example.com", kAaaa)));
  client.finish_sending();
  auto reply = client.receive();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->answer.size(), 1u);
  EXPECT_TRUE(client.closed_by_peer(2000ms));
}

TEST(ServerTcp, IdleAndTricklingClientsAreClosed) {
  Served served({.tcp_idle = 150ms});
  TcpClient idle(served.v4()), trickle(served.v4());
  trickle.send_raw({0});
  EXPECT_TRUE(idle.closed_by_peer(5000ms));
  EXPECT_TRUE(trickle.closed_by_peer(5000ms));
}

TEST(ServerTcp, ConnectionsAreLimited) {
  Served served({.tcp_connections = 8});  // two of one client
  TcpClient first(served.v4()), second(served.v4());
  for (TcpClient* client : {&first, &second}) {
    client->send_raw(TcpClient::framed(question("web.default.svc.cluster.local")));
    EXPECT_TRUE(client->receive());
  }
  TcpClient third(served.v4());
  EXPECT_TRUE(third.closed_by_peer(5000ms));
  EXPECT_EQ(served.server->stats().tcp_refused, 1u);
  first.send_raw(TcpClient::framed(question("web.default.svc.cluster.local")));
  EXPECT_TRUE(first.receive()) << "those who are in stay in";
}

TEST(ServerTcp, AClientThatNeverReadsCostsOnlyItsOwnConnection) {
  Served served({.tcp_idle = 500ms});
  TcpClient greedy(served.v4());
  std::thread flood([&] {
    std::vector<uint8_t> bytes;
    for (int i = 0; i < 200; ++i) {
      auto one = TcpClient::framed(question("db.default.svc.cluster.local", kSrv));
      bytes.insert(bytes.end(), one.begin(), one.end());
    }
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    net::RawAddress to(served.v4());
    if (::connect(fd.get(), to.get(), to.size()) != 0) return;
    while (::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0) {
    }  // until the server gives up on us
  });
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(ask(served.v4(), "web.default.svc.cluster.local A", i % 2 ? Via::kTcp : Via::kUdp));
  flood.join();
}

TEST(Server, OneAnswerSparesTheWalkThroughTheSearchPath) {  // DNS-F4
  auto outside = make_outside();
  auto table = test::cluster_table();
  table.pods[ip("127.0.0.1")] = "default";
  Served served({.upstreams = outside->listening()}, table);
  ASSERT_TRUE(ask(served.v4(), "web.outside.test A"));  // the question for loops has gone before
  const uint64_t before = outside->questions();
  const std::string asked = "www.example.com.default.svc.cluster.local";
  for (Via via : {Via::kUdp, Via::kTcp})
    for (const auto& [type, address] : {std::pair("A", "203.0.113.10"), std::pair("AAAA", "2001:db8:203::10")}) {
      auto reply = ask(served.v4(), asked + " " + type, via);
      ASSERT_TRUE(reply);
      EXPECT_EQ(reply->rcode, "NOERROR");
      EXPECT_THAT(texts(reply->answer),
                  ElementsAre(asked + " CNAME www.example.com.", "www.example.com CNAME example.com.",
                              fmt::format("example.com {} {}", type, address)));
    }
  EXPECT_EQ(outside->questions() - before, 2u) << "one of each family, then from the cache";
  auto absent = ask(served.v4(), "none.test.default.svc.cluster.local A");
  ASSERT_TRUE(absent);
  EXPECT_EQ(absent->rcode, "NXDOMAIN");
  auto unknown = ask(served.v6(), asked + " A");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->rcode, "NXDOMAIN") << "nobody's search path is known there";
  EXPECT_EQ(served.server->stats().autopath, 4u);
}

TEST(Server, AutopathCanBeSwitchedOff) {
  auto outside = make_outside();
  auto table = test::cluster_table();
  table.pods[ip("127.0.0.1")] = "default";
  Served served({.upstreams = outside->listening(), .autopath = false}, table);
  auto reply = ask(served.v4(), "www.example.com.default.svc.cluster.local A");
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->rcode, "NXDOMAIN");
}

TEST(Server, RefusesAddressesItCannotAnswerFrom) {
  EXPECT_EQ(DnsServer({.listen = {{net::IpAddress::v4(0), 0}}}).start().error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(DnsServer({.listen = {{net::IpAddress(), 0}}}).start().error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(DnsServer({.listen = {}}).start().error().kind, ErrorKind::kInvalid);
  EXPECT_EQ(DnsServer({.listen = {kAny4}, .zone = "."}).start().error().kind, ErrorKind::kInvalid);
  Served served;
  auto taken = DnsServer({.listen = {served.v4()}}).start();
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message, HasSubstr(served.v4().str()));
}

TEST(Server, TablesFromAnotherThreadWhileAsked) {  // for TSan
  auto outside = make_outside();
  Served served({.upstreams = outside->listening()});
  std::atomic<bool> stop{false};
  std::thread producer([&] {
    for (uint32_t serial = 1; !stop; ++serial) {
      auto table = std::make_shared<desired::NameTable>(test::cluster_table());
      table->serial = serial;
      served.server->inbox().put(std::move(table));
    }
  });
  std::thread reader([&] {
    while (!stop) (void)served.server->stats().prometheus();
  });
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE(ask(served.v4(), "web.default.svc.cluster.local A", i % 3 ? Via::kUdp : Via::kTcp));
    EXPECT_TRUE(ask(served.v6(), fmt::format("n{}.example.com A", i)));
  }
  stop = true;
  producer.join();
  reader.join();
}

TEST(Server, StopsWithQuestionsUnderWay) {
  auto outside = make_outside();
  auto served = std::make_unique<Served>(DnsOptions{.upstreams = outside->listening()});
  TcpClient client(served->v4());
  client.send_raw(TcpClient::framed(question("none.example.com")));
  auto pending = PendingQuestion::start({.server = served->v4(), .name = "none.example.com"});
  ASSERT_TRUE(pending);
  while (served->server->stats().cache_misses < 2) std::this_thread::yield();
  served.reset();
  EXPECT_TRUE(client.closed_by_peer(2000ms));
}

TEST(Stats, PrometheusText) {
  Served served;
  ASSERT_TRUE(ask(served.v4(), "web.default.svc.cluster.local A"));
  std::string text = served.server->stats().prometheus();
  for (const char* line :
       {"coredns_dns_requests_total{family=\"1\",proto=\"udp\"} 1\n",
        "coredns_dns_responses_total{rcode=\"NOERROR\"} 1\n", "coredns_dns_request_duration_seconds_count 1\n",
        "coredns_dns_request_duration_seconds_bucket{le=\"+Inf\"} 1\n", "carrick_dns_synced 1\n",
        "# TYPE coredns_cache_hits_total counter\n"})
    EXPECT_THAT(text, HasSubstr(line));
}

std::string run(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) return out;
  char buffer[4096];
  while (size_t size = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, size);
  ::pclose(pipe);
  return out;
}

// As the upstream e2e test asks: dig, both transports, short and full names.
TEST(Dig, AgreesWithUs) {
  if (::access("/usr/bin/dig", X_OK) != 0) GTEST_SKIP() << "dig is not installed (bind9-dnsutils)";
  auto outside = make_outside();
  Served served({.upstreams = outside->listening(), .server_id = "node1"});
  for (const char* transport : {"+notcp", "+tcp"}) {
    auto dig = [&](const std::string& rest) {
      return run(fmt::format("dig -r @127.0.0.1 -p {} {} {} 2>&1", served.v4().port, transport, rest));
    };
    EXPECT_EQ(dig("+noall +answer web.default.svc.cluster.local A"),
              "web.default.svc.cluster.local. 5 IN\tA\t10.96.0.7\n");
    EXPECT_EQ(dig("+short _http._tcp.web.default.svc.cluster.local SRV"), "0 100 80 web.default.svc.cluster.local.\n");
    EXPECT_EQ(dig("+short -x 10.96.0.7"), "web.default.svc.cluster.local.\n");
    EXPECT_EQ(dig("+short -x 2001:db8:96::7"), "web.default.svc.cluster.local.\n");
    EXPECT_EQ(dig("+short +search +domain=default.svc.cluster.local +ndots=5 web AAAA"), "2001:db8:96::7\n");
    EXPECT_THAT(dig("nothing.default.svc.cluster.local"),
                testing::AllOf(HasSubstr("status: NXDOMAIN"), HasSubstr("flags: qr aa rd ra;"),
                               HasSubstr("SOA\tns.dns.cluster.local.")));
    EXPECT_THAT(dig("+nsid cluster.local SOA"), HasSubstr("node1"));
    EXPECT_EQ(dig("+short www.example.com"), "example.com.\n203.0.113.10\n");
    EXPECT_THAT(dig("+noall +answer big.example.com AAAA"), HasSubstr("2001:db8:203::3c"));  // over TCP when truncated
    EXPECT_THAT(dig("+noall +comments cluster.local AXFR"), testing::Not(HasSubstr("NOERROR")));
  }
}

}  // namespace
}  // namespace carrick::dns
