#include "lab/pods/listening.h"

#include <gtest/gtest.h>

namespace carrick::lab {
namespace {

using desired::Listener;

TEST(Listening, OpenPortsAreThoseThatOthersReach) {
  std::set<Listener> out;
  add_open_ports(R"(  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4026 1 0 100 0 0 10 0
   1: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4027 1 0 100 0 0 10 0
   2: 0201010A:1F92 0301010A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 4028 1 0 100 0 0 10 0
   3: 0201010A:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4029 1 0 100 0 0 10 0
)",
                 net::Protocol::kTcp, out);
  EXPECT_EQ(out, (std::set<Listener>{{0x1F90, net::Protocol::kTcp}, {0x1F93, net::Protocol::kTcp}}));
  out.clear();
  add_open_ports(R"(  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0:0
   2: 0000000000000000FFFF00000100007F:0052 00000000000000000000000000000000:0000 0A 0:0
)",
                 net::Protocol::kTcp, out);
  EXPECT_EQ(out, (std::set<Listener>{{0x50, net::Protocol::kTcp}}));
  out.clear();
  add_open_ports("  1: 00000000:0035 00000000:0000 07 0:0\n  2: 00000000:0036 0101010A:0035 01 0:0\n",
                 net::Protocol::kUdp, out);
  EXPECT_EQ(out, (std::set<Listener>{{53, net::Protocol::kUdp}}));
}

TEST(Listening, NonsenseIsNoPort) {
  std::set<Listener> out;
  add_open_ports("", net::Protocol::kTcp, out);
  add_open_ports("a b c 0A\nx y:zz q 0A\n1: 00000000:0000 0 0A\n1: 00000000: 0 0A\n", net::Protocol::kTcp, out);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace carrick::lab
