#pragma once

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <thread>

#include "apiserver/document.h"
#include "apiserver/http_server.h"

// For tests: a server in a thread of its own, and clients that dial it.
namespace carrick::apiserver {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using ClientStream = asio::ssl::stream<asio::ip::tcp::socket>;

// A client of its own thread: blocking calls against a server that runs in another.
class Client {
 public:
  Client(uint16_t port, const Credentials& credentials, bool with_certificate)
      : context_(std::make_unique<asio::io_context>()), tls_(asio::ssl::context::tls_client) {
    tls_.add_certificate_authority(asio::buffer(credentials.authority.certificate_pem));
    if (with_certificate) {
      tls_.use_certificate_chain(asio::buffer(credentials.admin.certificate_pem));
      tls_.use_private_key(asio::buffer(credentials.admin.key_pem), asio::ssl::context::pem);
    }
    live_ = std::make_unique<ClientStream>(*context_, tls_);
    live_->set_verify_mode(asio::ssl::verify_peer);
    live_->set_verify_callback(asio::ssl::host_name_verification("127.0.0.1"));
    live_->next_layer().connect({asio::ip::address_v4::loopback(), port});
    live_->handshake(asio::ssl::stream_base::client);
  }

  http::response<http::string_body> send(http::verb method, const std::string& target, const std::string& body = "",
                                         const std::string& token = "") {
    http::request<http::string_body> request{method, target, 11};
    request.set(http::field::host, "localhost");
    if (!token.empty()) request.set(http::field::authorization, "Bearer " + token);
    if (!body.empty()) request.set(http::field::content_type, "application/json");
    request.body() = body;
    request.prepare_payload();
    http::write(*live_, request);
    http::response<http::string_body> response;
    http::read(*live_, buffer_, response);
    return response;
  }
  void write(std::string_view text) { asio::write(*live_, asio::buffer(text)); }
  std::string read_until(std::string_view mark) {
    std::string text;
    asio::read_until(*live_, asio::dynamic_buffer(text), mark);
    return text;
  }
  std::string read_some() {
    std::string text(64 * 1024, '\0');
    text.resize(live_->read_some(asio::buffer(text)));
    return text;
  }
  // Everything until the server ends the connection.
  std::string read_all() {
    std::string text;
    boost::system::error_code error;
    asio::read(*live_, asio::dynamic_buffer(text), error);
    return text;
  }

 private:
  std::unique_ptr<asio::io_context> context_;
  asio::ssl::context tls_;
  std::unique_ptr<ClientStream> live_;
  beast::flat_buffer buffer_;
};

class HttpTest : public testing::Test {
 protected:
  void start(HttpLimits limits = {}) {
    credentials_ = *make_credentials({.dns = {"localhost"}, .addresses = {net::IpAddress::v4(0x7f000001)}});
    store_ = *Store::open("");
    registry_ = std::make_unique<Registry>(
        *store_, Registry::Options{.service_ranges = {.cidrs = {*net::Prefix::parse("10.96.0.0/16")}}});
    api_ = std::make_unique<Api>(*registry_, Api::Options{.nodes = nodes_});
    server_ = std::make_unique<HttpServer>(context_, *api_, credentials_, limits);
    ASSERT_TRUE(server_->prepare());
    port_ = *server_->listen_on_loopback(0);
    ASSERT_TRUE(registry_->create(*k8s::find_by_kind("v1", "Namespace"), "",
                                  json::parse(R"({"metadata":{"name":"default"}})").as_object()));
    thread_ = std::thread([this] { context_.run(); });
  }
  void TearDown() override {
    asio::post(context_, [this] { server_->stop(); });
    thread_.join();  // ends only when every connection's coroutine has ended
    EXPECT_EQ(server_->connections(), 0u);
  }
  Client client(bool with_certificate = true) { return Client(port_, credentials_, with_certificate); }

  NodeDoor* nodes_ = nullptr;  // set before start()
  asio::io_context context_{1};
  Credentials credentials_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<Api> api_;
  std::unique_ptr<HttpServer> server_;
  uint16_t port_ = 0;
  std::thread thread_;
};

}  // namespace carrick::apiserver
