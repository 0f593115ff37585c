#include "kernel/features.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>

namespace carrick::kernel {
namespace {

TEST(Features, EveryAnswerIsWholeAndHereNothingRequiredIsMissing) {
  const auto features = probe_features();
  std::set<std::string> names;
  for (const auto& feature : features) {
    EXPECT_TRUE(names.insert(feature.name).second) << feature.name;
    EXPECT_FALSE(feature.probed_by.empty() || feature.consequence.empty()) << feature.name;
    EXPECT_EQ(feature.present, feature.detail.empty()) << feature.name << ": " << feature.detail;
  }
  for (const char* name : {"root", "netns", "veth", "vxlan", "tcx", "data-plane", "cgroup2", "redirect-peer"})
    EXPECT_TRUE(names.contains(name)) << name;
  if (geteuid() != 0) GTEST_SKIP() << "not root";
  const auto all = require_features(features);
  EXPECT_TRUE(all) << all.error().message;
}

TEST(Features, WithoutRootTheReasonIsNamed) {
  if (geteuid() != 0) GTEST_SKIP() << "not root already";
  const pid_t child = fork();
  if (child == 0) {
    if (setuid(65534)) _exit(99);
    const auto features = probe_features();
    const auto all = require_features(features);
    const bool named =
        !all && all.error().kind == ErrorKind::kUnsupported && all.error().message.find("root") != std::string::npos;
    _exit(named ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Features, MissingOptionsAreNoObstacle) {
  EXPECT_TRUE(require_features({{.name = "vxlan", .required = false, .present = false}}));
  const auto missing = require_features(
      {{.name = "veth", .required = true, .present = false, .consequence = "no programs", .detail = "EINVAL"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "this machine lacks veth (no programs: EINVAL)");
}

}  // namespace
}  // namespace carrick::kernel
