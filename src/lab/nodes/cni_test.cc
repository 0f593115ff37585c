#include "lab/nodes/cni.h"

#include <gtest/gtest.h>

namespace carrick::lab {
namespace {

namespace json = boost::json;

TEST(Cni, ChoosesTheHighestVersionThatIsKnown) {
  auto network = parse_network(
      R"({"cniVersion":"1.0.0","cniVersions":["0.4.0","1.0.0","1.1.0","1.2.0"],"name":"n","plugins":[{"type":"a"}]})");
  ASSERT_TRUE(network) << network.error().message;
  EXPECT_EQ(network->version, "1.1.0");
  EXPECT_EQ(parse_network(R"({"cniVersion":"0.3.1","name":"n","plugins":[{"type":"a"}]})")->version, "0.3.1");
}

TEST(Cni, AFileOfOnePluginIsANetworkOfOnePlugin) {
  auto network = parse_network(R"({"cniVersion":"1.0.0","name":"n","type":"a"})");
  ASSERT_TRUE(network);
  EXPECT_EQ(network->plugins.size(), 1u);
  for (const char* broken :
       {"", "[]", "{}", R"({"name":"n","plugins":[]})", R"({"plugins":[{"type":"a"}]})", R"({"name":"n","plugins":7})"})
    EXPECT_FALSE(parse_network(broken)) << broken;
}

TEST(Cni, CapabilitiesGetTheirArgumentsAndNoOthers) {
  auto network = parse_network(
      R"({"cniVersion":"1.1.0","name":"n","plugins":[{"type":"a","capabilities":{"portMappings":true}},{"type":"b"}]})");
  ASSERT_TRUE(network);
  CniAttachment attachment;
  attachment.port_mappings.push_back(json::object{{"hostPort", 80}});
  attachment.annotations["x"] = "y";
  json::value previous = json::object{{"ips", json::array{}}};
  auto first = json::parse(plugin_input(*network, network->plugins[0].as_object(), attachment, nullptr)).as_object();
  EXPECT_EQ(first["name"], "n");
  EXPECT_EQ(first["cniVersion"], "1.1.0");
  EXPECT_TRUE(first["runtimeConfig"].as_object().contains("portMappings"));
  EXPECT_FALSE(first["runtimeConfig"].as_object().contains("io.kubernetes.cri.pod-annotations"));
  EXPECT_FALSE(first.contains("prevResult"));
  auto second = json::parse(plugin_input(*network, network->plugins[1].as_object(), attachment, &previous)).as_object();
  EXPECT_FALSE(second.contains("runtimeConfig"));
  EXPECT_EQ(second["prevResult"], previous);
}

TEST(Cni, AddressesAreThoseOfTheContainersInterface) {
  auto addresses = result_addresses(json::parse(R"({"interfaces":[{"name":"veth1"},{"name":"eth0"}],
    "ips":[{"address":"10.9.9.9/24","interface":0},{"address":"10.1.1.2/32","interface":1},{"address":"2001:db8:1:1::2/128"}]})"),
                                    "eth0");
  ASSERT_TRUE(addresses) << addresses.error().message;
  EXPECT_EQ(*addresses, (std::vector<std::string>{"10.1.1.2", "2001:db8:1:1::2"}));
  for (const char* broken : {"{}", "7", R"({"ips":[]})", R"({"ips":[{"address":"10.1.1.2/32","interface":3}]})"})
    EXPECT_FALSE(result_addresses(json::parse(broken), "eth0")) << broken;
}

TEST(Cni, OnlyHostPortsAreMapped) {
  k8s::Pod pod;
  pod.spec.containers.push_back(
      {.ports = {{.containerPort = 80},
                 {.protocol = "UDP", .hostIP = "192.0.2.11", .containerPort = 53, .hostPort = 5353}}});
  EXPECT_EQ(json::serialize(port_mappings_of(pod)),
            R"([{"hostPort":5353,"containerPort":53,"protocol":"udp","hostIP":"192.0.2.11"}])");
}

TEST(Cni, ContainerIdsAreStableAndWellFormed) {
  EXPECT_EQ(container_id_of("a"), container_id_of("a"));
  EXPECT_NE(container_id_of("a"), container_id_of("b"));
  EXPECT_EQ(container_id_of("a").size(), 64u);
  EXPECT_EQ(container_id_of("a").find_first_not_of("0123456789abcdef"), std::string::npos);
}

}  // namespace
}  // namespace carrick::lab
