#include "controllers/test_world.h"

namespace carrick::controllers {
namespace {

class OrphanAddressesTest : public ::testing::Test {
 protected:
  void claim(const std::string& ip, const std::string& group, const std::string& resource, const std::string& name) {
    world.make(fmt::format(
        R"({{"apiVersion":"networking.k8s.io/v1","kind":"IPAddress","metadata":{{"name":"{}"}},"spec":{{"parentRef":{{"group":"{}","resource":"{}","namespace":"x","name":"{}"}}}}}})",
        ip, group, resource, name));
  }
  void make_service(const std::string& name, const std::string& ip) {
    world.make(fmt::format(
        R"({{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{}","namespace":"x"}},"spec":{{"clusterIP":"{}","clusterIPs":["{}"],"ports":[{{"port":80}}]}}}})",
        name, ip, ip));
  }
  bool there(const std::string& ip) const { return world.cluster.get(type, {"", ip}) != nullptr; }

  const k8s::ResourceType& type = *k8s::find_by_kind("networking.k8s.io/v1", "IPAddress");
  World world;
};

TEST_F(OrphanAddressesTest, SVC_A13_GoAfterAMinute) {
  world.make(R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"x"}})");
  make_service("web", "10.96.0.10");
  claim("10.96.0.10", "", "services", "web");
  claim("10.96.0.11", "", "services", "web");     // another's address
  claim("10.96.0.12", "", "services", "nobody");  // no such Service
  claim("10.96.0.13", "", "services", "late");    // no such Service yet
  claim("255.255.255.255", "foo", "bar", "baz");  // not ours to judge
  world.advance(std::chrono::seconds(50));
  for (const char* ip : {"10.96.0.10", "10.96.0.11", "10.96.0.12", "10.96.0.13", "255.255.255.255"})
    EXPECT_TRUE(there(ip)) << ip;
  make_service("late", "10.96.0.13");
  world.advance(std::chrono::seconds(15));
  EXPECT_FALSE(there("10.96.0.11"));
  EXPECT_FALSE(there("10.96.0.12"));
  for (const char* ip : {"10.96.0.10", "10.96.0.13", "255.255.255.255"}) EXPECT_TRUE(there(ip)) << ip;
}

}  // namespace
}  // namespace carrick::controllers
