#include "agent/busy_links.h"

#include <gtest/gtest.h>

namespace carrick::agent {
namespace {

using namespace std::chrono_literals;

struct Node {
  std::map<std::string, uint64_t> received{{"eth0", 0}, {"pod1", 0}, {"pod2", 0}};
  std::vector<uint32_t> attached;
  boost::asio::io_context io;
  BusyLinks links{io,
                  {.received = [this]() -> Result<std::map<std::string, uint64_t>> { return received; },
                   .pod_link = [](const std::string& name) { return name == "pod1"   ? 11u
                                                                    : name == "pod2" ? 12u
                                                                                     : 0u; },
                   .attach_busy = [this](uint32_t ifindex) -> Result<void> {
                     attached.push_back(ifindex);
                     return {};
                   }}};
  BusyLinks::Clock::time_point now = BusyLinks::Clock::now();

  void second(uint64_t eth0, uint64_t pod1, uint64_t pod2) {
    received["eth0"] += eth0;
    received["pod1"] += pod1;
    received["pod2"] += pod2;
    links.look(now += 1s);
  }
};

TEST(BusyLinks, TheBusiestPodFirstEachOnceAndNeverTheUplink) {
  Node node;
  node.second(1000000, 1000000, 1000000);
  EXPECT_TRUE(node.attached.empty()) << "what was before is no rate";
  node.second(1000000, 9999, 9000);
  EXPECT_TRUE(node.attached.empty());
  node.second(1000000, 10000, 20000);
  EXPECT_EQ(node.attached, std::vector<uint32_t>{12});
  node.second(0, 10000, 20000);
  EXPECT_EQ(node.attached, (std::vector<uint32_t>{12, 11}));
  node.second(0, 10000, 20000);
  EXPECT_EQ(node.attached.size(), 2u);
}

TEST(BusyLinks, TheRateCountsNotTheNumber) {
  Node node;
  node.second(0, 0, 0);
  node.received["pod1"] += 15000;
  node.links.look(node.now += 2s);
  EXPECT_TRUE(node.attached.empty());
  node.received["pod1"] = 3;  // another link of that name
  node.links.look(node.now += 1s);
  EXPECT_TRUE(node.attached.empty());
}

}  // namespace
}  // namespace carrick::agent
