#include "cni/call.h"

#include <gtest/gtest.h>

#include <map>

namespace carrick::cni {
namespace {

TEST(Call, RequiredVariablesByVerb) {
  struct Case {
    const char *verb, *missing;
  };
  for (auto [verb, missing] : {Case{"ADD", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"},
                               Case{"DEL", "CNI_CONTAINERID,CNI_IFNAME,CNI_PATH"},
                               Case{"CHECK", "CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH"}, Case{"GC", "CNI_PATH"},
                               Case{"STATUS", "CNI_PATH"}}) {
    auto call = read_environment(
        [&](const char* name) -> const char* { return std::string_view(name) == "CNI_COMMAND" ? verb : nullptr; });
    ASSERT_FALSE(call) << verb;
    EXPECT_EQ(call.error().code, kBadEnvironment);
    EXPECT_EQ(call.error().msg, std::string("required env variables [") + missing + "] missing");
  }
  EXPECT_TRUE(read_environment(
      [](const char* name) -> const char* { return std::string_view(name) == "CNI_COMMAND" ? "VERSION" : nullptr; }));
  EXPECT_FALSE(read_environment([](const char*) -> const char* { return nullptr; }));
}

TEST(Call, VersionsAreComparedAsNumbers) {
  EXPECT_TRUE(at_least("1.1.0", "0.4.0"));
  EXPECT_TRUE(at_least("0.10.0", "0.4.0"));
  EXPECT_TRUE(at_least("0.4.0", "0.4.0"));
  EXPECT_FALSE(at_least("0.3.1", "0.4.0"));
  EXPECT_FALSE(at_least("", "0.1.0"));
  EXPECT_FALSE(is_supported("1.2.0"));
  EXPECT_FALSE(is_supported("1.1"));
}

TEST(Call, NetConf) {
  auto old = parse_netconf(R"({"name":"n"})");
  ASSERT_TRUE(old);
  EXPECT_EQ(old->version, "0.1.0") << "a missing cniVersion is the oldest";
  EXPECT_EQ(old->deadline_ms, NetConf::kDeadline);
  EXPECT_EQ(parse_netconf(R"({"name":"n","deadlineMs":99999999})").error().code, kBadConfig)
      << "never beyond the deadline";
  EXPECT_EQ(parse_netconf(R"({"name":7})").error().code, kDecodingFailure);
  EXPECT_EQ(parse_netconf(R"({"name":"-n"})").error().code, kBadConfig);
  EXPECT_EQ(parse_netconf("").error().code, kDecodingFailure);
  EXPECT_EQ(parse_netconf("{} x").error().code, kDecodingFailure);
  EXPECT_EQ(parse_netconf(R"({"name":"n","a":[{"b":1e400}]})").error().code, kDecodingFailure)
      << "it could not be handed on to the agent";
}

TEST(Call, ContainerIdsAndInterfaceNames) {
  auto check = [](const char* id, const char* ifname) {
    return check_names({.verb = Verb::kAdd, .container_id = id, .netns = {}, .ifname = ifname, .args = {}, .path = {}});
  };
  EXPECT_TRUE(check("a", "e"));
  EXPECT_TRUE(check("0A_b.c-d", "eth0.100"));
  for (const char* id : {"-a", ".a", "a/b", "a b", "\xc3\xa4"})
    EXPECT_EQ(check(id, "eth0").error().code, kBadEnvironment) << id;
  EXPECT_EQ(check("", "eth0").error().code, kUnknownContainer);
  for (const char* name : {"", ".", "..", "a/b", "a:b", "a\tb", "sixteen-letters-"})
    EXPECT_EQ(check("a", name).error().code, kBadEnvironment) << name;
}

TEST(Call, WishesAndTheirPrecedence) {
  auto conf = *parse_netconf(R"({"name":"n","args":{"cni":{"ips":["10.1.0.7/24"],"mac":"02:00:00:00:00:02"}}})");
  auto wishes = read_wishes(conf, "B=1;IP=10.1.0.9;MAC=02:00:00:00:00:01;K8S_POD_NAME=p");
  ASSERT_TRUE(wishes);
  EXPECT_EQ(wishes->ips, std::vector<std::string>{"10.1.0.7"}) << "args beats CNI_ARGS";
  EXPECT_EQ(wishes->mac, "02:00:00:00:00:02");
  EXPECT_EQ(wishes->pod_name, "p");
  EXPECT_EQ(read_wishes(conf, "novalue").error().code, kBadEnvironment);
}

TEST(Call, Bandwidth) {
  auto outcome = [](const std::string& bandwidth) {
    return read_wishes(*parse_netconf("{\"name\":\"n\",\"runtimeConfig\":{\"bandwidth\":" + bandwidth + "}}"), "")
        .has_value();
  };
  EXPECT_TRUE(outcome(R"({"ingressRate":1000,"ingressBurst":4294967295})"));
  EXPECT_TRUE(outcome(R"({"egressRate":1000,"egressBurst":34359738367})")) << "the burst that CRI-O sends";
  EXPECT_FALSE(outcome(R"({"egressRate":1000,"egressBurst":34359738368})"));
  EXPECT_FALSE(outcome(R"({"ingressRate":1000})"));
  EXPECT_FALSE(outcome(R"({"egressBurst":1000})"));
  EXPECT_FALSE(outcome(R"({"egressRate":-1,"egressBurst":-1})"));
}

TEST(Call, ValidAttachmentsUnderBothKeys) {
  auto both = [](const char* key) {
    return valid_attachments(
        *parse_netconf(std::string("{\"name\":\"n\",\"") + key + R"(":[{"containerID":"a","ifname":"eth0"}]})"));
  };
  EXPECT_EQ(both("cni.dev/valid-attachments")->size(), 1u);
  EXPECT_EQ(both("cni.dev/attachments")->size(), 1u);
  EXPECT_EQ(valid_attachments(*parse_netconf(R"({"name":"n"})"))->size(), 0u);
  EXPECT_FALSE(valid_attachments(*parse_netconf(R"({"name":"n","cni.dev/valid-attachments":[{"containerID":"a"}]})")))
      << "an entry that says too little must not free a pod";
}

}  // namespace
}  // namespace carrick::cni
