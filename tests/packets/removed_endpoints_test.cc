#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include "tests/packets/packet_fixture.h"
#include "wire/services.h"

// `--reset-removed-endpoints`: a connection to an endpoint that no slice of its Service names ends at both ends at
// once.
namespace carrick::packets {
namespace {

using desired::FrontendScope;
using net::kAck;
using net::kFin;
using net::kPsh;
using net::kRst;
using net::kSyn;
using net::Protocol;

// What really leaves by a link of the tests: copies that a program sends itself. The link's other end, see the fixture.
class Listener {
 public:
  explicit Listener(uint32_t other_end) : fd_(::socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = static_cast<int>(other_end);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  }
  // TCP only: the kernel itself says a word or two on a new link.
  std::vector<std::string> frames() {
    std::vector<std::string> out;
    std::string buffer(2048, '\0');
    for (ssize_t size; (size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0)) > 0;) {
      std::string frame = buffer.substr(0, static_cast<size_t>(size));
      if (auto view = net::parse_frame(frame); view && view->protocol == Protocol::kTcp) out.push_back(frame);
    }
    return out;
  }

 private:
  Fd fd_;
};
void expect_reset(const std::string& frame, const std::string& from, const std::string& to, uint32_t sequence) {
  const auto view = net::parse_frame(frame).value();
  EXPECT_EQ((net::SocketAddress{view.source, view.source_port}.str()), from);
  EXPECT_EQ((net::SocketAddress{view.destination, view.destination_port}.str()), to);
  EXPECT_EQ(view.tcp_flags, kRst);
  EXPECT_EQ(view.sequence, sequence);
  EXPECT_TRUE(view.checksums_right && view.payload.empty()) << view.str();
}

constexpr uint32_t kInsidePodA = 100, kBeyondUplink = 103;

class RemovedEndpoints : public PacketTest {
 protected:
  void SetUp() override {
    PacketTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    node.reset_removed = true;
    row = &frontend("10.96.0.10:80");
    row->backends = {backend("10.1.1.11:8080")};
    realize();
  }
  static net::Frame ask(uint8_t flags, uint32_t sequence = 0, uint32_t acknowledged = 0) {
    return from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40000, 80, flags, sequence, acknowledged);
  }
  static net::Frame answer(uint8_t flags, uint32_t sequence = 0, uint32_t acknowledged = 0) {
    return from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(8080, 40000, flags, sequence, acknowledged);
  }
  void open() {
    ASSERT_EQ(destination(send("from_pod", ask(kSyn, 100), kPodA)), "10.1.1.11:8080");
    send("from_pod", answer(kSyn | kAck, 500, 101), kPodB);
    ASSERT_EQ(send("from_pod", ask(kAck, 101, 501), kPodA).verdict, Verdict::kRedirect);
  }
  // The endpoint's RST goes there, too, but with a reason.
  std::string goes_to() {
    const auto outcome = send("from_pod", ask(kAck, 101, 501), kPodA);
    return outcome.drop.empty() ? destination(outcome) : outcome.drop;
  }

  desired::FrontendRow* row = nullptr;
};

TEST_F(RemovedEndpoints, BothEndsAreResetAtTheClientsNextPacket) {
  open();
  row->backends = {backend("10.1.1.12:8080")};
  realize();
  Listener client(kInsidePodA);
  const auto outcome = send("from_pod", ask(kAck | kPsh, 101, 501).payload("question"), kPodA);
  EXPECT_EQ(outcome.drop, "endpoint_removed");
  EXPECT_FRAME(outcome, kRedirect, to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").tcp(40000, 8080, kRst | kAck, 101, 501));
  const auto copies = client.frames();
  ASSERT_EQ(copies.size(), 1u);
  expect_reset(copies[0], "10.96.0.10:80", "10.1.1.10:40000", 501);
  EXPECT_EQ(net::parse_frame(copies[0]).value().destination_mac, pod_mac(kPodA));
  // What was under way behind it is answered in the same way, what the endpoint still says arrives and is answered by
  // the client's own stack; no other backend hears of it.
  EXPECT_EQ(send("from_pod", ask(kAck, 109, 501), kPodA).drop, "endpoint_removed");
  EXPECT_EQ(client.frames().size(), 1u);
  EXPECT_FRAME(send("from_pod", answer(kAck, 501, 101), kPodB), kRedirect,
               to_pod(kPodA).ip("10.96.0.10", "10.1.1.10").tcp(80, 40000, kAck, 501, 101));
  EXPECT_FRAME(send("from_pod", ask(kRst, 101), kPodA), kRedirect,
               to_pod(kPodB).ip("10.1.1.10", "10.1.1.11").tcp(40000, 8080, kRst, 101));
  EXPECT_EQ(client.frames().size(), 0u);
  // The client's port is free for a new connection.
  EXPECT_EQ(destination(send("from_pod", ask(kSyn, 9000), kPodA)), "10.1.1.12:8080");
}

TEST_F(RemovedEndpoints, TheEntriesAreOver) {
  open();
  row->backends = {backend("10.1.1.12:8080")};
  realize();
  send("from_pod", ask(kAck, 101, 501), kPodA);
  EXPECT_EQ(rows("flows"), 2u);
  age_flows(FLOW_TIMEOUT_RESET + 1);
  EXPECT_EQ(goes_to(), "10.1.1.12:8080") << "an unknown connection";
}

TEST_F(RemovedEndpoints, AnEndpointThatIsListedUnderAnyConditionKeepsItsConnections) {
  open();
  row->backends = {backend("10.1.1.12:8080")};
  row->unchosen = {{address("10.1.1.11"), 8080}};
  realize();
  EXPECT_EQ(goes_to(), "10.1.1.11:8080");
  EXPECT_EQ(destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40001, 80), kPodA)),
            "10.1.1.12:8080")
      << "new connections do not go there";
  row->backends.clear();
  realize();
  EXPECT_EQ(goes_to(), "10.1.1.11:8080") << "none is chosen";
  EXPECT_EQ(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40002, 80), kPodA).drop, "no_backend");
  row->unchosen = {{address("10.1.1.11"), 8081}};
  realize();
  EXPECT_EQ(goes_to(), "endpoint_removed") << "another port";
}

TEST_F(RemovedEndpoints, AffinityDoesNotTakeWhatIsOnlyListed) {
  row->affinity_seconds = 100;
  realize();
  open();
  row->unchosen = {{address("10.1.1.11"), 8080}};
  row->backends.clear();  // so many that they are looked up where that entry stands, too
  for (uint16_t port = 9000; port < 9000 + FEW_BACKENDS + 1; ++port)
    row->backends.push_back(backend(fmt::format("10.1.1.12:{}", port)));
  realize();
  EXPECT_NE(destination(send("from_pod", from(kPodA).ip("10.1.1.10", "10.96.0.10").tcp(40001, 80), kPodA)),
            "10.1.1.11:8080");
  EXPECT_EQ(goes_to(), "10.1.1.11:8080");
}

TEST_F(RemovedEndpoints, WithoutTheSwitchTheyLiveOn) {  // SVC-D18
  node.reset_removed = false;
  realize();
  open();
  row->backends = {backend("10.1.1.12:8080")};
  realize();
  EXPECT_EQ(goes_to(), "10.1.1.11:8080");
}

TEST_F(RemovedEndpoints, AConnectionThatNobodyAnsweredIsChosenAnew) {
  send("from_pod", ask(kSyn, 100), kPodA);
  row->backends = {backend("10.1.1.12:8080")};
  realize();
  EXPECT_EQ(destination(send("from_pod", ask(kSyn, 100), kPodA)), "10.1.1.12:8080");
}

TEST_F(RemovedEndpoints, WhenTheServiceIsGoneItCountsWhetherAPodHasTheAddress) {
  open();
  tables.frontends = {};
  realize();
  EXPECT_EQ(goes_to(), "10.1.1.11:8080");
  auto& other = frontend("10.96.0.10:80");  // its address is another Service's now
  other.service_id = 4711;
  other.backends = {backend("10.1.1.12:8080")};
  realize();
  EXPECT_EQ(goes_to(), "10.1.1.11:8080");
  const auto gone = *tables.peers.find(prefix("10.1.1.11/32"));
  tables.peers.erase(gone.first);
  realize();
  EXPECT_EQ(goes_to(), "endpoint_removed");
}

TEST_F(RemovedEndpoints, FromOutsideToAnotherNode) {
  auto& port = frontend("192.0.2.11:30080", Protocol::kTcp, FrontendScope::kExternal);
  port.backends = {backend("10.1.2.10:8080", false)};
  port.snat = true;
  realize();
  const auto say = [&](uint8_t flags, uint32_t sequence, uint32_t acknowledged) {
    return send("from_netdev",
                eth().ip("203.0.113.9", "192.0.2.11").tcp(40000, 30080, flags, sequence, acknowledged).payload("12345"),
                kUplink, kUplink);
  };
  const uint16_t own = source_port(say(kSyn, 100, 0));
  send("from_netdev", eth().ip("10.1.2.10", "192.0.2.11").tcp(8080, own, kSyn | kAck), kUplink, kUplink);
  port.backends = {};
  realize();
  Listener network(kBeyondUplink);
  EXPECT_FRAME(say(kAck, 106, 501), kRedirect,
               eth().ttl(63).ip("192.0.2.11", "10.1.2.10").tcp(own, 8080, kRst | kAck, 106, 501));
  const auto copies = network.frames();
  ASSERT_EQ(copies.size(), 1u);
  expect_reset(copies[0], "192.0.2.11:30080", "203.0.113.9:40000", 501);
}

TEST_F(RemovedEndpoints, SixTheSame) {
  auto& six = frontend("[2001:db8:96::10]:80");
  six.backends = {backend("[2001:db8:1:1::b]:8080")};
  realize();
  const auto say = [&](uint8_t flags, uint32_t sequence, uint32_t acknowledged) {
    return send("from_pod",
                from(kPodA)
                    .ip("2001:db8:1:1::a", "2001:db8:96::10")
                    .tcp(40000, 80, flags, sequence, acknowledged)
                    .payload("odd"),
                kPodA);
  };
  say(kSyn, 100, 0);
  send("from_pod", from(kPodB).ip("2001:db8:1:1::b", "2001:db8:1:1::a").tcp(8080, 40000, kSyn | kAck), kPodB);
  six.backends = {};
  realize();
  Listener client(kInsidePodA);
  EXPECT_FRAME(say(kAck, 104, 501), kRedirect,
               to_pod(kPodB).ip("2001:db8:1:1::a", "2001:db8:1:1::b").tcp(40000, 8080, kRst | kAck, 104, 501));
  const auto copies = client.frames();
  ASSERT_EQ(copies.size(), 1u);
  expect_reset(copies[0], "[2001:db8:96::10]:80", "[2001:db8:1:1::a]:40000", 501);
}

}  // namespace
}  // namespace carrick::packets
