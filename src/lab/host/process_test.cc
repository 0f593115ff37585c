#include "lab/host/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include "lab/host/files.h"

namespace carrick::lab {
namespace {

int exit_code_of(pid_t pid) {
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Process, DescriptorsArriveUnderTheirNumbersEvenWhenTheyCross) {
  int one[2], two[2];
  ASSERT_EQ(::pipe2(one, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(two, O_CLOEXEC), 0);
  // Our write ends swap numbers in the child.
  auto pid =
      spawn({.argv = {"/bin/sh", "-c", fmt::format("echo -n for-two >&{}; echo -n for-one >&{}", one[1], two[1])},
             .fds = {{one[1], two[1]}, {two[1], one[1]}}});
  ASSERT_TRUE(pid) << pid.error().message;
  EXPECT_EQ(exit_code_of(*pid), 0);
  char buffer[32];
  EXPECT_EQ(std::string(buffer, ::read(one[0], buffer, sizeof buffer)), "for-one");
  EXPECT_EQ(std::string(buffer, ::read(two[0], buffer, sizeof buffer)), "for-two");
  for (int fd : {one[0], one[1], two[0], two[1]}) ::close(fd);
}

TEST(Process, AProgramThatIsNotThereIsAnErrorOfSpawn) {
  auto pid = spawn({.argv = {"/nonexistent/program"}});
  ASSERT_FALSE(pid);
  EXPECT_EQ(pid.error().kind, ErrorKind::kNotFound);
  EXPECT_NE(pid.error().message.find("/nonexistent/program: exec"), std::string::npos);
}

TEST(Process, ExtraEnvironmentReplacesTheSameName) {
  ::setenv("CARRICK_TEST_VARIABLE", "old", 1);
  auto pid = spawn(
      {.argv = {"/bin/sh", "-c", "test \"$CARRICK_TEST_VARIABLE\" = new"}, .extra_env = {"CARRICK_TEST_VARIABLE=new"}});
  ASSERT_TRUE(pid);
  EXPECT_EQ(exit_code_of(*pid), 0);
}

TEST(Process, APidAndAStartTimeNameOneProcess) {
  auto pid = spawn({.argv = {"/bin/sleep", "60"}});
  ASSERT_TRUE(pid);
  auto started = process_start_time(*pid);
  ASSERT_TRUE(started);
  EXPECT_FALSE(open_process(*pid, *started + 1));
  auto pidfd = open_process(*pid, *started);
  ASSERT_TRUE(pidfd) << pidfd.error().message;
  EXPECT_FALSE(wait_for_end(*pidfd, std::chrono::milliseconds(0)));
  ASSERT_TRUE(kill_process(*pidfd, SIGKILL));
  EXPECT_TRUE(wait_for_end(*pidfd, std::chrono::seconds(5)));
  ::waitpid(*pid, nullptr, 0);
  EXPECT_FALSE(open_process(*pid, *started));
}

}  // namespace
}  // namespace carrick::lab
