#include "tests/packets/packet_fixture.h"

namespace carrick::packets {
namespace {

using net::kAck;
using net::kFin;
using net::kRst;
using net::kSyn;

// A connection from pod a to pod b, as far as the flow table is concerned.
class FlowTest : public PacketTest {
 protected:
  Outcome request(uint8_t flags) {
    return send("from_pod", from(kPodA).ip("10.1.1.10", "10.1.1.11").tcp(40000, 80, flags), kPodA);
  }
  Outcome answer(uint8_t flags) {
    return send("from_pod", from(kPodB).ip("10.1.1.11", "10.1.1.10").tcp(80, 40000, flags), kPodB);
  }
  void open() {
    ASSERT_EQ(request(kSyn).verdict, Verdict::kRedirect);
    ASSERT_EQ(answer(kSyn | kAck).verdict, Verdict::kRedirect);
    ASSERT_EQ(request(kAck).verdict, Verdict::kRedirect);
  }
  static flow_sweep sweep() { return programs().sweep_flows().value(); }
};

void expect_sweep(const flow_sweep& done, uint32_t living, uint32_t removed) {
  EXPECT_EQ(done.living, living);
  EXPECT_EQ(done.removed, removed);
}

TEST_F(FlowTest, SweepTakesWhatIsOverAndNothingElse) {
  open();
  expect_sweep(sweep(), 2, 0);
  age_flows(FLOW_TIMEOUT_TCP);
  expect_sweep(sweep(), 2, 0);
  age_flows(1);
  expect_sweep(sweep(), 0, 2);
  EXPECT_EQ(rows("flows"), 0u);
}

TEST_F(FlowTest, AnOpeningThatNobodyAnswersGoesEarlier) {
  ASSERT_EQ(request(kSyn).verdict, Verdict::kRedirect);
  age_flows(FLOW_TIMEOUT_TCP_OPENING + 1);
  expect_sweep(sweep(), 0, 2);
}

TEST_F(FlowTest, AClosedConnectionGoesSoonAResetOneSooner) {
  open();
  request(kFin | kAck);
  age_flows(FLOW_TIMEOUT_CLOSING + 1);
  expect_sweep(sweep(), 2, 0);  // half closed: the other half may last
  answer(kFin | kAck);
  age_flows(FLOW_TIMEOUT_RESET + 1);
  expect_sweep(sweep(), 2, 0);
  age_flows(FLOW_TIMEOUT_CLOSING);
  expect_sweep(sweep(), 0, 2);
  open();
  answer(kRst);
  age_flows(FLOW_TIMEOUT_RESET + 1);
  expect_sweep(sweep(), 0, 2);
}

// RFC 5961: the receiver of a forged reset goes on, and so does the connection.
TEST_F(FlowTest, AResetThatNobodyBelievedIsForgotten) {
  open();
  request(kRst);
  ASSERT_EQ(answer(kAck).verdict, Verdict::kRedirect);
  age_flows(FLOW_TIMEOUT_CLOSING + 1);
  expect_sweep(sweep(), 2, 0);
  ASSERT_EQ(request(kAck).verdict, Verdict::kRedirect);
  EXPECT_EQ(rows("flows"), 2u);
}

// A stream of log lines: its answers' entry is silent for ever, and holds its NAT port.
TEST_F(FlowTest, AOneWayStreamKeepsBothEntries) {
  const auto line = from(kPodA).ip("10.1.1.10", "203.0.113.9").udp(4000, 514);
  const uint16_t port = source_port(send("from_pod", line, kPodA));
  change_flows([](const flow_key&, flow_value& value) {
    if (value.flags & FLOW_REPLY) value.last_seen -= FLOW_TIMEOUT_UDP + 1;
    return true;
  });
  expect_sweep(sweep(), 2, 0);
  const auto late = eth().ip("203.0.113.9", "192.0.2.11").udp(514, port);
  EXPECT_FRAME(send("from_netdev", late, kUplink, kUplink), kRedirect,
               to_pod(kPodA).ip("203.0.113.9", "10.1.1.10").udp(514, 4000));
  EXPECT_EQ(source_port(send("from_pod", line, kPodA)), port);
  EXPECT_EQ(rows("flows"), 2u);
  age_flows(FLOW_TIMEOUT_UDP_STREAM + 1);
  expect_sweep(sweep(), 0, 2);
}

}  // namespace
}  // namespace carrick::packets
