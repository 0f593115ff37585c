#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "desired/desired.h"
#include "kernel/programs.h"
#include "net/packet.h"
#include "realize/realize.h"
#include "wire/flows.h"

// Packet tests: tables are realized in real maps, a frame goes through a real program by BPF_PROG_TEST_RUN, and the
// whole frame that comes out is compared. No link carries traffic: links exist only because the kernel wants their
// numbers.
namespace carrick::packets {

using net::eth;

enum class Verdict { kPass = 0, kDrop = 2, kRedirect = 7 };
void PrintTo(Verdict verdict, std::ostream* out);

struct Outcome {
  Verdict verdict{};
  std::string frame;
  std::string drop;  // word of the drop event, empty when there was none
};

// Numbers of the links in the tests' namespace.
inline constexpr uint32_t kPodA = 11, kPodB = 12, kPodC = 13, kUplink = 21, kOverlay = 22;
inline constexpr uint32_t kIdentityA = 101, kIdentityB = 102, kIdentityC = 103, kIdentityRemote = 104;

// Node 1 of the address plan: pods a (10.1.1.10), b (10.1.1.11) and c (10.1.1.12); node 2 with pod r (10.1.2.10).
class PacketTest : public testing::Test {
 protected:
  void SetUp() override;

  desired::Tables tables;
  realize::NodeConfig node;

  void realize();  // writes tables; flows stay
  void use_vxlan();
  desired::FrontendRow& frontend(std::string_view address_and_port, net::Protocol protocol = net::Protocol::kTcp,
                                 desired::FrontendScope scope = desired::FrontendScope::kInternal);
  void cluster_ip(std::string_view where);  // an address of a Service, without its ports
  static desired::Backend backend(std::string_view address_and_port, bool local = true);
  void isolate(uint32_t ifindex, bool ingress, bool egress);
  void allow(desired::PolicyKey key, std::string_view rule = "default/web");

  // `ingress_ifindex` 0: made by a process of this node.
  Outcome send(std::string_view program, const net::Frame& frame, uint32_t ifindex, uint32_t ingress_ifindex = 0) {
    return send(program, frame.bytes(), ifindex, ingress_ifindex);
  }
  Outcome send(std::string_view program, const std::string& frame, uint32_t ifindex, uint32_t ingress_ifindex = 0);
  double nanoseconds(std::string_view program, const net::Frame& frame, uint32_t ifindex, uint32_t repeat = 200000);

  // What a frame looks like behind redirect_peer to a pod, and on its way to the network.
  static net::Frame to_pod(uint32_t ifindex);
  static net::Frame from(uint32_t ifindex);

  static kernel::Programs& programs();
  static void clear(std::string_view map);
  // As if every choice that affinity remembers had been made so long ago.
  static void age_affinity(uint32_t seconds);
  // Every entry of the flow table as `change` leaves it; where it says false, the entry goes.
  static void change_flows(const std::function<bool(const flow_key&, flow_value&)>& change);
  static void age_flows(uint32_t units);  // of the flow clock
  static size_t rows(std::string_view map);

  uint64_t revision_ = 0;
  std::unique_ptr<realize::Realizer> realizer_;
};

uint16_t source_port(const Outcome& outcome);
std::string destination(const Outcome& outcome);  // "10.1.1.11:8080"

void expect_frame(const Outcome& outcome, Verdict verdict, const net::Frame& expected, const char* file, int line);
#define EXPECT_FRAME(outcome, verdict, expected) \
  ::carrick::packets::expect_frame(outcome, ::carrick::packets::Verdict::verdict, expected, __FILE__, __LINE__)
#define EXPECT_DROP(outcome, word)                                   \
  do {                                                               \
    const auto outcome_ = (outcome);                                 \
    EXPECT_EQ(outcome_.verdict, ::carrick::packets::Verdict::kDrop); \
    EXPECT_EQ(outcome_.drop, word);                                  \
  } while (false)

net::MacAddress pod_mac(uint32_t ifindex);
net::MacAddress host_mac(uint32_t ifindex);
net::IpAddress address(std::string_view text);
net::Prefix prefix(std::string_view text);

}  // namespace carrick::packets
