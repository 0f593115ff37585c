#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <list>

#include "apiserver/apiserver.h"
#include "watch/watch.h"

// An agent's watcher and a whole API server, with a cable between them that can be pulled.
namespace carrick::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using asio::ip::tcp;

class Cable {
 public:
  Cable(asio::io_context& io, uint16_t server)
      : io_(io),
        server_(asio::ip::address_v4::loopback(), server),
        acceptor_(io, {asio::ip::address_v4::loopback(), 0}) {
    accept();
  }
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void pull() {
    pulled_ = true;
    for (auto& weak : ends_)
      if (auto socket = weak.lock()) socket->close();
    ends_.clear();
  }
  void plug() { pulled_ = false; }
  size_t connections() const { return connections_; }  // ever

 private:
  using Socket = std::shared_ptr<tcp::socket>;
  void accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      if (!pulled_) join(std::make_shared<tcp::socket>(std::move(socket)));
      accept();
    });
  }
  void join(const Socket& client) {
    ++connections_;
    auto server = std::make_shared<tcp::socket>(io_);
    ends_.insert(ends_.end(), {client, server});
    server->async_connect(server_, [this, client, server](const boost::system::error_code& error) {
      if (error) return;
      copy(client, server);
      copy(server, client);
    });
  }
  void copy(const Socket& from, const Socket& to) {
    auto buffer = std::make_shared<std::array<char, 65536>>();
    from->async_read_some(asio::buffer(*buffer), [this, from, to, buffer](const auto& error, size_t n) {
      if (error) return to->close();
      asio::async_write(*to, asio::buffer(*buffer, n), [this, from, to, buffer](const auto& failed, size_t) {
        if (failed) return from->close();
        copy(from, to);
      });
    });
  }

  asio::io_context& io_;
  tcp::endpoint server_;
  tcp::acceptor acceptor_;
  std::list<std::weak_ptr<tcp::socket>> ends_;
  bool pulled_ = false;
  size_t connections_ = 0;
};

class WatchGaps : public ::testing::Test {
 protected:
  void SetUp() override {
    auto made = apiserver::ApiServer::create(io_, {.service_cidrs = {*net::Prefix::parse("10.96.0.0/16")}});
    ASSERT_TRUE(made) << made.error().message;
    server_ = std::move(*made);
    ASSERT_TRUE(server_->bootstrap());
    cable_ = std::make_unique<Cable>(io_, *server_->listen_on_loopback(0));
    for (const char* name : {"goes", "stays", "changes"}) make(name);
    const auto config = server_->admin_kubeconfig(fmt::format("https://127.0.0.1:{}", cable_->port()));
    client_ = std::make_unique<watch::Client>(io_, watch::Credentials{.servers = {config.server},
                                                                      .ca_pem = config.certificate_authority_pem,
                                                                      .cert_pem = config.client_certificate_pem,
                                                                      .key_pem = config.client_key_pem,
                                                                      .token = {}});
    watcher_ = std::make_unique<watch::SnapshotWatcher>(io_, *client_, [this](auto snapshot, const auto& changes) {
      seen_ = std::move(snapshot);
      changes_.merge(changes);
    });
    watcher_->start();
    ASSERT_TRUE(until([&] { return seen_ && seen_->services.size() == 3; }));
    changes_ = {};
  }

  void TearDown() override {
    watcher_.reset();
    client_.reset();
    if (cable_) cable_->pull();
    io_.poll();
    server_.reset();
    io_.poll();
  }

  void make(const std::string& name) {
    json::object spec{{"ports", json::array{json::object{{"port", 80}}}}};
    auto made = server_->cluster().create(
        services_, {{"metadata", json::object{{"name", name}, {"namespace", "default"}}}, {"spec", std::move(spec)}});
    ASSERT_TRUE(made) << made.error().message;
  }
  void set_port(const std::string& name, int port) {
    json::object document = *server_->cluster().get(services_, {"default", name});
    document["spec"].as_object()["ports"] = json::array{json::object{{"port", port}}};
    auto changed = server_->cluster().update(services_, std::move(document));
    ASSERT_TRUE(changed) << changed.error().message;
  }
  void happen() {
    ASSERT_TRUE(server_->cluster().remove(services_, {"default", "goes"}));
    make("comes");
    set_port("changes", 8443);
  }
  bool knows_what_happened() const {
    const auto changed = seen_->services.find({"default", "changes"});
    return seen_->services.contains({"default", "comes"}) && !seen_->services.contains({"default", "goes"}) &&
           changed != seen_->services.end() && changed->second->spec.ports[0].port == 8443;
  }
  template <class F>
  bool until(F&& condition) {
    for (auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60); !condition();) {
      if (std::chrono::steady_clock::now() > end) return false;
      io_.run_one_for(std::chrono::milliseconds(100));
    }
    return true;
  }

  const k8s::ResourceType& services_ = k8s::resource<k8s::Service>();
  asio::io_context io_{1};
  std::unique_ptr<apiserver::ApiServer> server_;
  std::unique_ptr<Cable> cable_;
  std::unique_ptr<watch::Client> client_;
  std::unique_ptr<watch::SnapshotWatcher> watcher_;
  std::shared_ptr<const k8s::Snapshot> seen_;
  k8s::ChangeSet changes_;
};

const std::set<k8s::NamespacedName> kWhatHappened = {{"default", "goes"}, {"default", "comes"}, {"default", "changes"}};

TEST_F(WatchGaps, AWatchGoesOnWhereItWasCut) {
  const uint64_t lists = watcher_->stats().lists;
  const size_t connections = cable_->connections();
  cable_->pull();
  happen();
  cable_->plug();
  ASSERT_TRUE(until([&] { return knows_what_happened(); }));
  EXPECT_EQ(watcher_->stats().lists, lists) << "nothing was forgotten, so nothing is listed again";
  EXPECT_GT(cable_->connections(), connections) << "the cable was pulled";
  EXPECT_EQ(changes_.services, kWhatHappened);
  EXPECT_FALSE(changes_.everything);
}

// 410: the server remembers 8,192 changes.
TEST_F(WatchGaps, WhatTheServerHasForgottenIsListedAgain) {
  const uint64_t lists = watcher_->stats().lists;
  cable_->pull();
  happen();
  for (int i = 0; i < 9000; ++i) set_port("stays", 1000 + i % 2);
  set_port("stays", 80);
  cable_->plug();
  ASSERT_TRUE(until([&] { return knows_what_happened(); }));
  EXPECT_GT(watcher_->stats().lists, lists);
  for (const auto& one : kWhatHappened) EXPECT_TRUE(changes_.services.contains(one)) << one.name;
  EXPECT_EQ(seen_->services.at({"default", "stays"})->spec.ports[0].port, 80);
  // And from there on every change comes again.
  make("later");
  EXPECT_TRUE(until([&] { return seen_->services.contains({"default", "later"}); }));
}

}  // namespace
}  // namespace carrick::lab
