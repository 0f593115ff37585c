#include "lab/supervisor/children.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

namespace carrick::lab {
namespace {

using Clock = Children::Clock;

// Its wait status, once it has ended.
int reap(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return status;
}

TEST(Children, OneThatEndsIsStartedAgainAndThenMorePatiently) {
  Children children;
  ASSERT_TRUE(children.start("one", {.argv = {"/bin/sleep", "1000"}}));
  auto now = Clock::now();
  auto end_it = [&] {
    pid_t pid = children.list()[0].pid;
    ::kill(pid, SIGKILL);
    children.ended(pid, reap(pid), now);
  };
  EXPECT_EQ(children.next_start(), Clock::time_point::max());
  end_it();
  EXPECT_EQ(children.next_start(), now);  // the first time at once
  EXPECT_EQ(children.list()[0].last_end, "killed by signal 9");
  children.start_due(now);
  ASSERT_GT(children.list()[0].pid, 0);
  EXPECT_EQ(children.list()[0].restarts, 1);
  end_it();
  EXPECT_GT(children.next_start(), now);
  children.start_due(now);
  EXPECT_EQ(children.list()[0].pid, 0) << "started before its pause was over";
  now = children.next_start();
  children.start_due(now);
  ASSERT_GT(children.list()[0].pid, 0);
  EXPECT_EQ(children.list()[0].restarts, 2);
  now += std::chrono::minutes(1);  // it proved itself: no pause any more
  end_it();
  EXPECT_EQ(children.next_start(), now);
}

TEST(Children, AnOrphanIsNobodysChild) {
  Children children;
  ASSERT_TRUE(children.start("one", {.argv = {"/bin/sleep", "1000"}}));
  pid_t pid = children.list()[0].pid;
  children.ended(pid + 100000, 0, Clock::now());
  children.ended(0, 0, Clock::now());
  EXPECT_EQ(children.list()[0].pid, pid);
  ::kill(pid, SIGKILL);
  reap(pid);
}

}  // namespace
}  // namespace carrick::lab
