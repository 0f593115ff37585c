#include "lab/pods/container_spec.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <algorithm>

namespace carrick::lab {
namespace {

TEST(ContainerSpec, ComesBackAsItWas) {
  const ContainerSpec spec{.command = {"/bin/sh", "-c", "echo \"$A\"\n"},
                           .env = {"A=b c", "EMPTY="},
                           .workdir = "/srv",
                           .mounts = {{"/volumes/one", "sub/path", "/data", true}, {"/volumes/two", "", "/x", false}},
                           .uid = 4294967294,
                           .gid = 7,
                           .groups = {1, 2},
                           .capabilities = {"NET_RAW"},
                           .read_only_root = true};
  auto back = decode_container(encode_container(spec));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(*back, spec);
  EXPECT_EQ(*decode_container(encode_container({})), ContainerSpec{});
  for (const char* text : {"", "{}", "[]", R"({"command":3})"}) EXPECT_FALSE(decode_container(text)) << text;
}

TEST(ContainerSpec, NoCapabilityReachesBeyondThePod) {
  for (const char* name : {"SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_RAWIO", "SYS_BOOT", "SYS_TIME", "BPF",
                           "PERFMON", "MKNOD", "DAC_READ_SEARCH", "SYSLOG", "SYS_RESOURCE", "ALL", ""})
    EXPECT_FALSE(may_be_added(name)) << name;
  EXPECT_TRUE(may_be_added("NET_ADMIN"));
  EXPECT_TRUE(may_be_added("CAP_NET_RAW"));
  EXPECT_EQ(capability_number("NET_RAW"), CAP_NET_RAW);
  EXPECT_EQ(capability_number("SYS_ADMIN"), -1);
  const auto given = default_capabilities();
  EXPECT_EQ(std::ranges::count(given, "NET_ADMIN"), 0);
  EXPECT_EQ(std::ranges::count(given, "NET_RAW"), 1);
}

}  // namespace
}  // namespace carrick::lab
