#include "lab/pods/log_shim.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "lab/pods/container_log.h"

namespace carrick::lab {
namespace {

class LogShim : public testing::Test {
 protected:
  std::string path_ = testing::TempDir() + "/log_shim_test.log";
  void SetUp() override { std::filesystem::remove(path_); }
  void TearDown() override { std::filesystem::remove(path_); }

  pid_t start(const char* script) {
    std::fflush(nullptr);
    const pid_t shim = ::fork();
    if (shim == 0)
      ::_exit(run_logged(path_, [script]() -> pid_t {
        const pid_t init = ::fork();
        if (init != 0) return init;
        ::_exit(run_as_init([script] {
          ::execl("/bin/sh", "sh", "-c", script, nullptr);
          return 127;
        }));
      }));
    return shim;
  }
  static int end_of(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string log() const {
    std::ifstream in(path_);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return LogFilter({}, {}).take(text);
  }
};

TEST_F(LogShim, KeepsTheLogAndGivesTheExitCode) {
  EXPECT_EQ(end_of(start("echo out; echo err >&2; printf half; exit 7")), 7);
  EXPECT_NE(log().find("out\n"), std::string::npos);
  EXPECT_NE(log().find("err\n"), std::string::npos);
  EXPECT_TRUE(log().ends_with("half")) << log();
}

TEST_F(LogShim, HandsSignalsOn) {
  const pid_t shim = start("trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.01; done");
  while (log() != "ready\n") std::this_thread::yield();
  ::kill(shim, SIGTERM);
  EXPECT_EQ(end_of(shim), 9);
  EXPECT_EQ(log(), "ready\nbye\n");
  EXPECT_EQ(end_of(start("kill -KILL $$")), 128 + SIGKILL);
}

TEST_F(LogShim, AChildThatGoesOnDoesNotHoldTheEnd) {
  EXPECT_EQ(end_of(start("sleep 600 & echo $!; exit 0")), 0);
  ASSERT_FALSE(log().empty());
  EXPECT_EQ(::kill(std::stoi(log()), SIGKILL), 0) << "in a pod its namespace ends it";
}

}  // namespace
}  // namespace carrick::lab
