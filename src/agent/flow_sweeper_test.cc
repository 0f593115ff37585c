#include "agent/flow_sweeper.h"

#include <gtest/gtest.h>

namespace carrick::agent {
namespace {

using namespace std::chrono_literals;

TEST(FlowSweeper, SweepsWhenTheTableMayBeFillingOrOnceAMinute) {
  boost::asio::io_context io;
  kernel::FakePrograms programs;
  programs.accepted = 5000;  // of an agent before this one
  FlowSweeper sweeper(io, programs, 800);
  const auto start = FlowSweeper::Clock::now();
  sweeper.look(start);
  EXPECT_EQ(programs.sweeps, 0u);
  programs.accepted += 99;
  sweeper.look(start + 1s);
  EXPECT_EQ(programs.sweeps, 0u) << "198 of 800 entries";
  programs.accepted += 1;
  sweeper.look(start + 2s);
  EXPECT_EQ(programs.sweeps, 1u) << "a quarter";
  sweeper.look(start + 3s);
  EXPECT_EQ(programs.sweeps, 1u) << "counted from the last sweep";
  sweeper.look(start + 62s);
  EXPECT_EQ(programs.sweeps, 1u) << "nothing was accepted and nothing was left";
  programs.accepted += 1;
  sweeper.look(start + 63s);
  EXPECT_EQ(programs.sweeps, 2u) << "a minute";
  EXPECT_EQ(sweeper.stats().sweeps, 2u);
}

TEST(FlowSweeper, WhatIsLeftIsLookedAtAgainThoughNothingNewCame) {
  boost::asio::io_context io;
  kernel::FakePrograms programs;
  programs.swept = {.living = 6, .removed = 4};
  FlowSweeper sweeper(io, programs, 80);
  const auto start = FlowSweeper::Clock::now();
  programs.accepted = 10;
  sweeper.look(start);
  EXPECT_EQ(sweeper.stats().entries, 6u);
  EXPECT_EQ(sweeper.stats().removed, 4u);
  programs.swept = {.living = 0, .removed = 6};
  sweeper.look(start + 61s);
  EXPECT_EQ(sweeper.stats().entries, 0u);
  EXPECT_EQ(sweeper.stats().removed, 10u);
  sweeper.look(start + 122s);
  EXPECT_EQ(programs.sweeps, 2u) << "an idle node does nothing";
}

}  // namespace
}  // namespace carrick::agent
