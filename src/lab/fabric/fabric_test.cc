#include "lab/fabric/fabric.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "lab/host/files.h"

namespace carrick::lab {
namespace {

// The body runs in a child with network and mount namespaces of its own: nothing is left behind however it ends.
template <class F>
void in_own_namespaces(F&& body) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root: makes network namespaces";
  pid_t pid = ::fork();
  if (pid == 0) {
    if (::unshare(CLONE_NEWNET | CLONE_NEWNS) != 0 ||
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", "/mnt", "tmpfs", 0, nullptr) != 0 || ::mkdir("/mnt/netns", 0755) != 0)
      ::_exit(100);
    body();
    std::fflush(nullptr);
    ::_exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

// Everything below paths.netns_dir() would lie under /run/carrick; a prefix moves it to the test's own tmpfs.
LabPaths test_paths() {
  LabPaths paths{"fabrictest", "/mnt"};
  EXPECT_TRUE(make_directories(paths.netns_dir(), 0755));
  return paths;
}

bool ping_once(const LabPaths& paths, const std::string& from, const char* to) {
  return ::system(fmt::format("nsenter --net={} ping -n -q -c1 -W1 {} >/dev/null 2>&1", paths.node_netns(from), to)
                      .c_str()) == 0;
}

// The kernel takes a new link's routes into use in a worker of its own, which may be late on a busy machine.
bool ping(const LabPaths& paths, const std::string& from, const char* to) {
  for (int i = 0; i < 100; ++i) {
    if (ping_once(paths, from, to)) return true;
    ::usleep(20'000);
  }
  return false;
}

TEST(Fabric, NodesReachEachOtherTheGatewayAndTheOutsideInBothFamilies) {
  in_own_namespaces([] {
    LabPaths paths = test_paths();
    LabConfig config{.name = "fabrictest", .nodes = 3};
    auto built = build_fabric(config, paths);
    ASSERT_TRUE(built) << built.error().message;
    for (const char* to : {"192.0.2.13", "192.0.2.1", "203.0.113.10", "203.0.113.53", "2001:db8:2::d", "2001:db8:2::1",
                           "2001:db8:203::10"})
      EXPECT_TRUE(ping(paths, "node1", to)) << to;
    EXPECT_TRUE(ping(paths, "outside", "192.0.2.12"));
    EXPECT_FALSE(ping_once(paths, "node1", "8.8.8.8"));
  });
}

TEST(Fabric, NoNeighbourIsLearnt) {
  in_own_namespaces([] {
    LabPaths paths = test_paths();
    ASSERT_TRUE(build_fabric({.name = "fabrictest", .nodes = 2}, paths));
    ASSERT_TRUE(ping(paths, "node1", "192.0.2.12"));
    ASSERT_TRUE(ping(paths, "node1", "2001:db8:2::c"));
    EXPECT_NE(::system("ip neigh show | grep -v PERMANENT | grep -v NOARP | grep ."), 0);
    EXPECT_NE(::system(fmt::format("nsenter --net={} ip neigh show | grep -v PERMANENT | grep -v NOARP | grep .",
                                   paths.node_netns("node2"))
                           .c_str()),
              0);
  });
}

TEST(Fabric, PodNetsAreRoutedOnlyInNativeMode) {
  for (bool vxlan : {false, true})
    in_own_namespaces([vxlan] {
      LabPaths paths = test_paths();
      ASSERT_TRUE(build_fabric({.name = "fabrictest", .nodes = 2, .vxlan = vxlan}, paths));
      int v4 = ::system("ip route get 10.1.2.7 2>/dev/null | grep -q 'via 192.0.2.12 dev to-node2'");
      int v6 = ::system("ip -6 route get 2001:db8:1:2::7 2>/dev/null | grep -q 'via 2001:db8:2::c dev to-node2'");
      EXPECT_EQ(v4 == 0, !vxlan);
      EXPECT_EQ(v6 == 0, !vxlan);
    });
}

TEST(Fabric, ASingleFamilyHasNoTraceOfTheOther) {
  in_own_namespaces([] {
    LabPaths paths = test_paths();
    ASSERT_TRUE(build_fabric({.name = "fabrictest", .nodes = 2, .family = IpFamily::kIpv6}, paths));
    EXPECT_TRUE(ping(paths, "node1", "2001:db8:2::c"));
    EXPECT_FALSE(ping_once(paths, "node1", "192.0.2.12"));
  });
}

}  // namespace
}  // namespace carrick::lab
