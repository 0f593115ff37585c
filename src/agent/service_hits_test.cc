#include "agent/service_hits.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include "kernel/programs.h"
#include "realize/encode.h"
#include "wire/services.h"

namespace carrick::agent {
namespace {

template <class T>
std::string raw(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

void put(kernel::Map& hits, uint64_t service_id, const char* address, uint16_t port, uint64_t count) {
  hit_key key{.service_id = service_id,
              .backend = realize::wire_of(net::IpAddress::parse(address).value()),
              .port_be = htons(port)};
  ASSERT_TRUE(hits.put(raw(key), raw(count)));
}

TEST(ServiceHits, AreOfTheServiceAskedForByPortAndEndpoint) {
  kernel::FakePrograms programs;
  auto& hits = *programs.map("hits");
  desired::Tables tables;
  const auto add = [&](const char* address, uint64_t id, const char* service, const char* clause) {
    desired::FrontendRow row;
    row.service_id = id;
    row.owner = {"Service", "shop", service, clause};
    tables.frontends.emplace(desired::FrontendKey{net::IpAddress::parse(address).value(), 80}, std::move(row));
  };
  add("10.96.0.1", 1, "web", "spec.ports[0]");
  add("203.0.113.1", 2, "web", "spec.ports[0]");  // from outside: another id, the same port
  add("10.96.0.2", 3, "api", "spec.ports[0]");
  put(hits, 1, "10.1.1.10", 8080, 5);
  put(hits, 2, "10.1.1.10", 8080, 2);
  put(hits, 1, "10.1.1.11", 8080, 1);
  put(hits, 3, "10.1.1.10", 8080, 100);
  put(hits, 9, "10.1.1.10", 8080, 100);  // of a Service that is gone
  auto out = service_hits(hits, tables, "shop/web").value();
  ASSERT_EQ(out.size(), 2u);
  EXPECT_EQ(out[0].at("address").as_string(), "10.1.1.10");
  EXPECT_EQ(out[0].at("port").to_number<int>(), 8080);
  EXPECT_EQ(out[0].at("clause").as_string(), "spec.ports[0]");
  EXPECT_EQ(out[0].at("hits").to_number<int>(), 7);
  EXPECT_EQ(out[1].at("hits").to_number<int>(), 1);
  EXPECT_TRUE(service_hits(hits, tables, "shop/nobody").value().empty());
}

}  // namespace
}  // namespace carrick::agent
