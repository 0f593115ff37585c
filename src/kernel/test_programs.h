#pragma once

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "kernel/programs.h"

// For tests that load the data plane.
namespace carrick::kernel::testing {

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// Each test runs in a child with a network and a mount namespace of its own: nothing can be left behind.
inline void alone(const std::function<void(const std::string& bpffs)>& body) {
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const pid_t child = fork();
  if (child == 0) {
    char directory[] = "/tmp/carrick-programs-XXXXXX";
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) ||
        !mkdtemp(directory) || mount("bpf", directory, "bpf", 0, nullptr))
      _exit(99);
    body(directory);
    (void)umount2(directory, MNT_DETACH);
    (void)rmdir(directory);
    _exit(::testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "see the failures above";
}

inline MapSizes small() {
  auto sizes = MapSizes::lab();
  sizes.flows = 1024;
  return sizes;
}

}  // namespace carrick::kernel::testing
