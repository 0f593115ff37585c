#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>

#include "apiserver/apiserver.h"
#include "apiserver/http_fixture.h"

namespace carrick::apiserver {
namespace {

constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";

TEST_F(HttpTest, ServesManyRequestsOnOneConnection) {
  start();
  Client c = client();
  EXPECT_EQ(c.send(http::verb::post, kMaps, R"({"metadata":{"name":"a"}})").result_int(), 201u);
  const auto got = c.send(http::verb::get, std::string(kMaps) + "/a");
  EXPECT_EQ(got.result_int(), 200u);
  EXPECT_EQ(got[http::field::content_type], "application/json");
  EXPECT_EQ(c.send(http::verb::delete_, std::string(kMaps) + "/a").result_int(), 200u);
  EXPECT_EQ(c.send(http::verb::get, "/a%zz").result_int(), 400u);
}

TEST_F(HttpTest, ACertificateOrATokenIsNeeded) {
  start();
  Client c = client(false);
  EXPECT_EQ(c.send(http::verb::get, kMaps).result_int(), 401u);
  EXPECT_EQ(c.send(http::verb::get, "/healthz").result_int(), 200u);
  EXPECT_EQ(c.send(http::verb::get, kMaps, "", "wrong").result_int(), 401u);
  EXPECT_EQ(c.send(http::verb::get, kMaps, "", credentials_.admin_token).result_int(), 200u);
}

TEST_F(HttpTest, ACertificateOfAnotherAuthorityIsRefused) {
  start();
  const Credentials other = *make_credentials({});
  Credentials mixed = credentials_;
  mixed.admin = other.admin;
  EXPECT_THROW(
      {
        Client c(port_, mixed, true);
        c.send(http::verb::get, kMaps);
      },
      boost::system::system_error);
}

TEST_F(HttpTest, WatchesStreamUntilTheirTime) {
  start();
  Client watcher = client(), writer = client();
  watcher.write(
      fmt::format("GET {}?watch=1&timeoutSeconds=2&allowWatchBookmarks=true HTTP/1.1\r\nHost: x\r\n\r\n", kMaps));
  EXPECT_THAT(watcher.read_until("\r\n\r\n"), testing::HasSubstr("Transfer-Encoding: chunked"));
  ASSERT_EQ(writer.send(http::verb::post, kMaps, R"({"metadata":{"name":"a"}})").result_int(), 201u);
  const std::string all = watcher.read_all();
  EXPECT_THAT(all, testing::HasSubstr(R"({"type":"ADDED","object":{)"));
  EXPECT_THAT(all, testing::HasSubstr(R"({"type":"BOOKMARK")"));
  EXPECT_THAT(all, testing::EndsWith("0\r\n\r\n"));
}

TEST_F(HttpTest, AWatcherThatGoesIsForgotten) {
  start();
  {
    Client watcher = client();
    watcher.write(fmt::format("GET {}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n", kMaps));
    watcher.read_until("\r\n\r\n");
  }
  Client c = client();
  // The server notices by the end of the connection, not by a failed write.
  std::string metrics;
  for (int i = 0; i < 1000 && metrics.find("carrick_apiserver_watchers 0") == std::string::npos; ++i)
    metrics = c.send(http::verb::get, "/metrics").body();
  EXPECT_THAT(metrics, testing::HasSubstr("carrick_apiserver_watchers 0"));
}

TEST_F(HttpTest, LimitsOfHeadAndBody) {
  start({.max_header_bytes = 4096, .max_body_bytes = 10'000});
  {
    Client c = client();
    c.write("GET /healthz HTTP/1.1\r\nHost: x\r\nX-Big: " + std::string(8000, 'a') + "\r\n\r\n");
    EXPECT_THAT(c.read_all(), testing::StartsWith("HTTP/1.1 431"));
  }
  {
    Client c = client();
    c.write(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 20000\r\n\r\n", kMaps));
    EXPECT_THAT(c.read_all(), testing::StartsWith("HTTP/1.1 413"));
  }
  {
    Client c = client();
    c.write("GARBAGE\r\n\r\n");
    EXPECT_THAT(c.read_all(), testing::StartsWith("HTTP/1.1 400"));
  }
}

TEST_F(HttpTest, SlowClientsCostOnlyThemselves) {
  start({.header_timeout = std::chrono::milliseconds(1000),
         .body_timeout = std::chrono::milliseconds(1000),
         .idle_timeout = std::chrono::milliseconds(1000)});
  Client head = client(), body = client(), idle = client();
  head.write("GET /healthz HTT");
  body.write(fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{", kMaps));
  EXPECT_EQ(client().send(http::verb::get, "/healthz").result_int(), 200u);
  EXPECT_EQ(head.read_all(), "");
  EXPECT_EQ(body.read_all(), "");
  EXPECT_EQ(idle.read_all(), "");
}

TEST_F(HttpTest, AClientThatDoesNotShakeHandsIsDropped) {
  start({.handshake_timeout = std::chrono::milliseconds(100)});
  asio::io_context context;
  asio::ip::tcp::socket socket(context);
  socket.connect({asio::ip::address_v4::loopback(), port_});
  char byte;
  boost::system::error_code error;
  socket.read_some(asio::buffer(&byte, 1), error);
  EXPECT_TRUE(error);
}

TEST_F(HttpTest, TooManyConnectionsAreTurnedAwayAndRoomComesBack) {
  start({.max_connections = 2});
  {
    Client a = client(), b = client();
    EXPECT_THROW(client(), boost::system::system_error);
    EXPECT_EQ(a.send(http::verb::get, "/healthz").result_int(), 200u);
  }
  for (int i = 0; i < 1000; ++i) {
    try {
      Client c = client();
      EXPECT_EQ(c.send(http::verb::get, "/healthz").result_int(), 200u);
      return;
    } catch (const boost::system::system_error&) {
    }
  }
  FAIL() << "closed connections still count";
}

TEST_F(HttpTest, ExpectContinue) {
  start();
  Client c = client();
  c.write(
      fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: "
                  "application/json\r\nContent-Length: 25\r\n\r\n",
                  kMaps));
  EXPECT_THAT(c.read_until("\r\n\r\n"), testing::StartsWith("HTTP/1.1 100"));
  c.write(R"({"metadata":{"name":"a"}})");
  EXPECT_THAT(c.read_until("\r\n\r\n"), testing::StartsWith("HTTP/1.1 201"));
}

TEST(ApiServer, KeepsCredentialsAndObjectsAndWritesAKubeconfig) {
  char name[] = "/tmp/carrick-apiserver-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  const std::string directory = name;
  asio::io_context context;
  const Options options{.database = directory + "/objects.db",
                        .credentials_directory = directory + "/pki",
                        .service_cidrs = {*net::Prefix::parse("10.96.0.0/16")},
                        .server_addresses = {},
                        .server_names = {}};
  std::string authority;
  {
    const auto server = ApiServer::create(context, options);
    ASSERT_TRUE(server) << server.error().message;
    ASSERT_TRUE((*server)->bootstrap());
    authority = (*server)->certificate_authority();
    const uint16_t port = *(*server)->listen_on_loopback(0);
    EXPECT_THAT((*server)->listen_on_loopback(port).error().message, testing::HasSubstr("is taken"));
    ASSERT_TRUE(write_kubeconfig(directory + "/kubeconfig",
                                 (*server)->admin_kubeconfig("https://127.0.0.1:" + std::to_string(port))));
    context.poll();
  }
  context.poll();
  for (const char* file : {"/kubeconfig", "/pki/ca.key", "/pki/admin.key", "/pki/admin.token"}) {
    struct stat status{};
    ASSERT_EQ(::stat((directory + file).c_str(), &status), 0) << file;
    EXPECT_EQ(status.st_mode & 0777, 0600u) << file;
  }
  const auto server = ApiServer::create(context, options);
  ASSERT_TRUE(server) << server.error().message;
  EXPECT_EQ((*server)->certificate_authority(), authority);
  EXPECT_TRUE((*server)->cluster().get(*k8s::find_by_kind("v1", "Namespace"), {"", "kube-system"}));
  const auto client = (*server)->client_kubeconfig("https://x", "system:node:n", {"system:nodes"});
  ASSERT_TRUE(client);
  EXPECT_NE(client->client_certificate_pem, (*server)->admin_kubeconfig("x").client_certificate_pem);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace carrick::apiserver
