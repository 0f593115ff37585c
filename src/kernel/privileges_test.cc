#include "kernel/privileges.h"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <thread>

namespace carrick::kernel {
namespace {

// In a child: what is dropped does not come back. Its exit code is the first check that failed.
int in_child(int (*body)()) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST(Privileges, WhatIsNotKeptIsGoneAlsoInThreadsToCome) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: there is nothing to drop";
  EXPECT_EQ(in_child([] {
              if (!keep_capabilities({CAP_NET_ADMIN})) return 1;
              auto mine = own_privileges();
              if (mine.capabilities != std::vector<std::string>{"CAP_NET_ADMIN"} || !mine.no_new_privileges) return 2;
              if (::unshare(CLONE_NEWNET) == 0 || errno != EPERM) return 3;  // that is CAP_SYS_ADMIN's
              if (::prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0) return 4;
              int in_thread = 0;
              std::thread([&] {
                if (::unshare(CLONE_NEWNET) == 0) in_thread = 5;
              }).join();
              if (in_thread) return in_thread;
              if (keep_capabilities({CAP_NET_ADMIN, CAP_SYS_ADMIN}) &&
                  own_privileges().capabilities != std::vector<std::string>{"CAP_NET_ADMIN"})
                return 6;
              return 0;
            }),
            0);
}

TEST(Privileges, OtherThreadsWouldKeepTheirs) {
  EXPECT_EQ(in_child([] {
              int ends[2];
              if (::pipe(ends)) return 1;
              std::thread waits([&] {
                char byte;
                (void)!::read(ends[0], &byte, 1);
              });
              auto refused = keep_capabilities({CAP_NET_ADMIN});
              (void)!::write(ends[1], "x", 1);
              waits.join();
              return !refused && refused.error().kind == ErrorKind::kInternal ? 0 : 2;
            }),
            0);
}

}  // namespace
}  // namespace carrick::kernel
