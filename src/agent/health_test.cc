#include "agent/health.h"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <future>
#include <thread>

namespace carrick::agent {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

const Timestamp kNow = parse_timestamp("2026-01-02T15:04:05Z").value();
const Timestamp kBefore = parse_timestamp("2026-01-02T15:00:00Z").value();

TEST(ProxyHealth, SVC_D11_NodesThatGoAreNotHealthyButLive) {  // SVC-D11
  ProxyHealth health{.healthy = true, .node_eligible = true, .last_updated = kBefore, .now = kNow};
  EXPECT_EQ(proxy_answer("/healthz", health).status, 200u);
  auto body = json::parse(proxy_answer("/healthz", health).body).as_object();
  EXPECT_EQ(body.at("nodeEligible").as_bool(), true);
  EXPECT_EQ(body.at("lastUpdated").as_string(), "2026-01-02T15:04:05.000000000Z");
  health.node_eligible = false;
  EXPECT_EQ(proxy_answer("/healthz", health).status, 503u);
  EXPECT_EQ(json::parse(proxy_answer("/healthz", health).body).at("nodeEligible").as_bool(), false);
  EXPECT_EQ(json::parse(proxy_answer("/healthz", health).body).at("lastUpdated").as_string(),
            "2026-01-02T15:00:00.000000000Z");
  EXPECT_EQ(proxy_answer("/livez", health).status, 200u);
  EXPECT_FALSE(json::parse(proxy_answer("/livez", health).body).as_object().contains("nodeEligible"));
  health.healthy = false;
  EXPECT_EQ(proxy_answer("/livez", health).status, 503u);
  EXPECT_EQ(proxy_answer("/", health).status, 404u);
  EXPECT_EQ(proxy_mode_answer("/proxyMode").status, 200u);
  EXPECT_EQ(proxy_mode_answer("/metrics").status, 404u);
}

TEST(ProxyHealth, SVC_D11_ANodeIsNotEligibleOnceItIsToBeDeleted) {
  k8s::Node node;
  node.spec.taints = {{"node.kubernetes.io/unschedulable", "", "NoSchedule"}};
  EXPECT_TRUE(node_eligible(node));
  node.spec.taints.push_back({"ToBeDeletedByClusterAutoscaler", "", "NoSchedule"});
  EXPECT_FALSE(node_eligible(node));
  node.spec.taints.clear();
  node.metadata.deletionTimestamp = "2026-01-02T15:04:05Z";
  EXPECT_FALSE(node_eligible(node));
}

TEST(ServiceHealth, SVC_D10_LocalEndpointsAreTheAnswer) {  // SVC-D10
  desired::HealthCheckRow row{{"shop", "web"}, 2, {}};
  auto answer = service_answer(row, true);
  EXPECT_EQ(answer.status, 200u);
  EXPECT_EQ(json::parse(answer.body), json::parse(R"({"service":{"namespace":"shop","name":"web"},
                                                      "localEndpoints":2,"serviceProxyHealthy":true})"));
  EXPECT_EQ(answer.headers.at(0), (std::pair<std::string, std::string>("X-Load-Balancing-Endpoint-Weight", "2")));
  EXPECT_EQ(service_answer(row, false).status, 503u);
  row.local_endpoints = 0;
  EXPECT_EQ(service_answer(row, true).status, 503u);
}

// What comes back for `request` until the other end closes; "" when nobody listens.
std::string ask(uint16_t port, const std::string& request) {
  asio::io_context io;
  asio::ip::tcp::socket socket(io);
  boost::system::error_code error;
  (void)socket.connect({asio::ip::address_v4::loopback(), port}, error);
  if (error) return "";
  asio::write(socket, asio::buffer(request), error);
  std::string out;
  asio::read(socket, asio::dynamic_buffer(out), error);
  return out;
}

class Ports : public ::testing::Test {
 protected:
  Ports() {
    // A number that is free now: nobody else of this machine's tests asks the kernel for the same one again soon.
    asio::ip::tcp::acceptor any(io, {asio::ip::address_v4::loopback(), 0});
    number = any.local_endpoint().port();
  }
  ~Ports() override {
    io.stop();
    if (thread.joinable()) thread.join();
  }
  void run() {
    thread = std::thread([this] {
      auto work = asio::make_work_guard(io);
      io.run();
    });
  }
  void on_thread(std::function<void()> work) {
    std::promise<void> done;
    asio::post(io, [&] {
      work();
      done.set_value();
    });
    done.get_future().wait();
  }
  asio::io_context io{1};
  HealthPorts ports{io};
  std::thread thread;
  uint16_t number = 0;
  const std::vector<net::IpAddress> here{net::IpAddress::parse("127.0.0.1").value()};
};

TEST_F(Ports, OpenAnswerFollowAndClose) {
  bool healthy = true;
  ports.set({{number, {{"shop", "web"}, 1, {}}}}, here, [&] { return healthy; });
  ASSERT_TRUE(ports.problems().empty());
  run();
  std::string answer = ask(number, "GET /anything?x=1 HTTP/1.1\r\nHost: lb\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  for (const char* header : {"Content-Type: application/json\r\n", "X-Content-Type-Options: nosniff\r\n",
                             "X-Load-Balancing-Endpoint-Weight: 1\r\n"})
    EXPECT_NE(answer.find(header), std::string::npos) << answer;
  EXPECT_NE(answer.find("\"localEndpoints\": 1"), std::string::npos) << answer;
  std::string head = ask(number, "HEAD / HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << head;
  on_thread([&] { ports.set({{number, {{"shop", "web"}, 0, {}}}}, here, [&] { return healthy; }); });
  EXPECT_TRUE(ask(number, "GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 503 Service Unavailable\r\n"));
  EXPECT_EQ(ask(number, std::string(100000, 'x')).find("200 OK"), std::string::npos) << "an endless head";
  EXPECT_EQ(ask(number, "\r\nnonsense\r\n\r\n").find("200 OK"), std::string::npos);
  on_thread([&] { ports.set({}, here, [&] { return healthy; }); });
  EXPECT_EQ(ask(number, "GET / HTTP/1.1\r\n\r\n"), "");
}

TEST_F(Ports, ATakenPortIsAProblemUntilItIsFree) {
  const desired::HealthCheckTable checks{{number, {{"shop", "web"}, 1, {"Service", "shop", "web", {}}}}};
  {
    asio::io_context other;
    asio::ip::tcp::acceptor taken(other, {asio::ip::address_v4::loopback(), number}, false);
    ports.set(checks, here, [] { return true; });
    ASSERT_EQ(ports.problems().size(), 1u);
    EXPECT_EQ(ports.problems().begin()->first, "Service shop/web");
    EXPECT_NE(ports.problems().begin()->second.find(fmt::format("127.0.0.1:{}", number)), std::string::npos);
  }
  ports.set(checks, here, [] { return true; });
  EXPECT_TRUE(ports.problems().empty());
}

}  // namespace
}  // namespace carrick::agent
