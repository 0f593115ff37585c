#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <list>

#include "apiserver/http_server.h"
#include "apiserver/streams/session.h"

// Only for http_server.cc and connection.cc: everything else stays free of the network library.
namespace carrick::apiserver {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;

class Connection;

struct HttpServer::State {
  State(asio::io_context& io, Api& served, const Credentials& with, HttpLimits bounds)
      : context(io), api(&served), credentials(with), limits(bounds) {}
  asio::io_context& context;
  Api* api;  // null once stopped
  Credentials credentials;
  HttpLimits limits;
  ssl::context tls{ssl::context::tls_server};
  std::vector<std::shared_ptr<asio::ip::tcp::acceptor>> acceptors;
  size_t connections = 0;
  std::list<std::weak_ptr<Connection>> open;

  static asio::awaitable<void> accept(std::shared_ptr<State> state, std::shared_ptr<asio::ip::tcp::acceptor> acceptor);
  static asio::awaitable<void> serve(std::shared_ptr<State> state, asio::ip::tcp::socket socket);
};

// One client from its handshake to its end.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(asio::ip::tcp::socket socket, const Credentials& credentials, const HttpLimits& limits, ssl::context& tls);
  // `api` is asked anew for each request; null = no longer there.
  asio::awaitable<void> run(std::function<Api*()> api);
  void close();

 private:
  using Message = http::request<http::string_body>;
  asio::awaitable<std::optional<Message>> read_request();
  asio::awaitable<bool> send(Response response, bool keep_alive, bool head, unsigned version);
  asio::awaitable<void> send_watch(std::shared_ptr<WatchStream> watch, std::string content_type,
                                   std::function<Api*()> api);
  asio::awaitable<void> watch_for_close();
  asio::awaitable<void> send_stream(Response response);
  asio::awaitable<bool> write_text(std::string text);
  std::optional<User> user_of(const Message& message, const Api& api) const;

  const Credentials& credentials_;
  const HttpLimits& limits_;
  beast::ssl_stream<beast::tcp_stream> stream_;
  beast::flat_buffer buffer_;
  std::optional<User> certificate_user_;
  asio::steady_timer wake_;
  bool client_gone_ = false;
};

}  // namespace carrick::apiserver
