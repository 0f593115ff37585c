#include "agent/http_port.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

namespace carrick::agent {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr auto kPatience = std::chrono::seconds(5);
constexpr int kMostConnections = 64;
constexpr size_t kLongestHead = 8192;
constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);

tcp::endpoint endpoint_of(const net::SocketAddress& at) {
  const auto& bytes = at.address.bytes();
  if (at.address.is_v4()) {
    asio::ip::address_v4::bytes_type four;
    std::copy(bytes.begin() + 12, bytes.end(), four.begin());
    return {asio::ip::address_v4(four), at.port};
  }
  asio::ip::address_v6::bytes_type six;
  std::copy(bytes.begin(), bytes.end(), six.begin());
  return {asio::ip::address_v6(six), at.port};
}

}  // namespace

struct HttpPort::Shared {
  explicit Shared(asio::io_context& io) : acceptor(io) {}
  tcp::acceptor acceptor;
  Answer answer;
  int connections = 0;

  static asio::awaitable<void> accept(std::shared_ptr<Shared> self);
  static asio::awaitable<void> converse(std::shared_ptr<Shared> self, tcp::socket socket);
};

asio::awaitable<void> HttpPort::Shared::accept(std::shared_ptr<Shared> self) {
  while (self->acceptor.is_open()) {
    auto [error, socket] = co_await self->acceptor.async_accept(kQuiet);
    if (error == asio::error::operation_aborted) co_return;
    if (error) {  // out of descriptors: others must end first
      asio::steady_timer pause(self->acceptor.get_executor(), std::chrono::milliseconds(100));
      co_await pause.async_wait(kQuiet);
    } else if (self->connections < kMostConnections) {
      asio::co_spawn(self->acceptor.get_executor(), converse(self, std::move(socket)), asio::detached);
    }
  }
}

asio::awaitable<void> HttpPort::Shared::converse(std::shared_ptr<Shared> self, tcp::socket socket) {
  ++self->connections;
  std::shared_ptr<void> leave(nullptr, [self](void*) { --self->connections; });
  beast::tcp_stream stream(std::move(socket));
  stream.expires_after(kPatience);
  beast::flat_buffer buffer(kLongestHead);
  http::request_parser<http::empty_body> parser;
  parser.header_limit(kLongestHead);
  auto [unreadable, size] = co_await http::async_read_header(stream, buffer, parser, kQuiet);
  if (unreadable || !self->answer) co_return;
  const auto& request = parser.get();
  const std::string_view target(request.target().data(), request.target().size());
  HttpAnswer answer = self->answer(target.substr(0, target.find('?')));
  http::response<http::string_body> response(static_cast<http::status>(answer.status), 11);
  response.set(http::field::content_type, answer.content_type);
  response.set("X-Content-Type-Options", "nosniff");
  for (const auto& [name, value] : answer.headers) response.set(name, value);
  response.keep_alive(false);
  response.content_length(answer.body.size());
  if (request.method() != http::verb::head) response.body() = std::move(answer.body);
  co_await http::async_write(stream, response, kQuiet);
  beast::error_code ignored;
  stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
}

Result<std::unique_ptr<HttpPort>> HttpPort::open(asio::io_context& io, const net::SocketAddress& at, Answer answer) {
  auto shared = std::make_shared<Shared>(io);
  shared->answer = std::move(answer);
  const tcp::endpoint endpoint = endpoint_of(at);
  boost::system::error_code error;
  auto& acceptor = shared->acceptor;
  (void)acceptor.open(endpoint.protocol(), error);
  if (!error) (void)acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && !at.address.is_v4()) (void)acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) (void)acceptor.bind(endpoint, error);
  if (!error) (void)acceptor.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail(ErrorKind::kTransient, "listen on {}: {}", at.str(), error.message());
  asio::co_spawn(io, Shared::accept(shared), asio::detached);
  return std::unique_ptr<HttpPort>(new HttpPort(std::move(shared)));
}

HttpPort::~HttpPort() {
  boost::system::error_code ignored;
  (void)shared_->acceptor.close(ignored);
  shared_->answer = nullptr;
}

}  // namespace carrick::agent
