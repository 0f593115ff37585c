#include "apiserver/http_server.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "apiserver/connection.h"
#include "base/log.h"

namespace carrick::apiserver {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

Result<void> configure_tls(ssl::context& tls, const Credentials& credentials) {
  try {
    tls.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    tls.use_certificate_chain(asio::buffer(credentials.server.certificate_pem));
    tls.use_private_key(asio::buffer(credentials.server.key_pem), ssl::context::pem);
    tls.add_certificate_authority(asio::buffer(credentials.authority.certificate_pem));
    // A certificate is checked when it is shown; who shows none may still have a token (Api answers 401 otherwise).
    tls.set_verify_mode(ssl::verify_peer);
    SSL_CTX* const native = tls.native_handle();
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // hundreds of idle watches should cost little
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(native, 0);
    SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  } catch (const boost::system::system_error& error) {
    return fail(ErrorKind::kInternal, "the API server's TLS: {}", error.what());
  }
  return {};
}

}  // namespace

HttpServer::HttpServer(asio::io_context& context, Api& api, const Credentials& credentials, HttpLimits limits)
    : state_(std::make_shared<State>(context, api, credentials, limits)) {}

HttpServer::~HttpServer() { stop(); }

Result<void> HttpServer::prepare() { return configure_tls(state_->tls, state_->credentials); }

size_t HttpServer::connections() const { return state_->connections; }

void HttpServer::stop() {
  state_->api = nullptr;
  boost::system::error_code ignored;
  for (const auto& acceptor : state_->acceptors) acceptor->close(ignored);
  state_->acceptors.clear();
  for (const auto& weak : state_->open)
    if (const auto connection = weak.lock()) connection->close();
  state_->open.clear();
}

asio::awaitable<void> HttpServer::State::serve(std::shared_ptr<State> state, asio::ip::tcp::socket socket) {
  boost::system::error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  const auto connection =
      std::make_shared<Connection>(std::move(socket), state->credentials, state->limits, state->tls);
  const auto place = state->open.insert(state->open.end(), connection);
  ++state->connections;
  co_await connection->run([state] { return state->api; });
  --state->connections;
  if (state->api) state->open.erase(place);
}

asio::awaitable<void> HttpServer::State::accept(std::shared_ptr<State> state,
                                                std::shared_ptr<asio::ip::tcp::acceptor> acceptor) {
  asio::steady_timer pause(state->context);
  while (acceptor->is_open()) {
    auto [error, socket] = co_await acceptor->async_accept(kTuple);
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
    if (error) {  // out of descriptors: let connections end first
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(kTuple);
      continue;
    }
    if (state->connections >= state->limits.max_connections) continue;  // closes the socket
    asio::co_spawn(state->context, serve(state, std::move(socket)), asio::detached);
  }
}

Result<void> HttpServer::listen(Fd socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail_errno(errno, "the API server's listening socket");
  auto acceptor = std::make_shared<asio::ip::tcp::acceptor>(state_->context);
  boost::system::error_code error;
  acceptor->assign(address.ss_family == AF_INET6 ? asio::ip::tcp::v6() : asio::ip::tcp::v4(), socket.get(), error);
  if (error) return fail(ErrorKind::kInternal, "the API server's listening socket: {}", error.message());
  socket.release();
  state_->acceptors.push_back(acceptor);
  asio::co_spawn(state_->context, State::accept(state_, acceptor), asio::detached);
  return {};
}

Result<uint16_t> HttpServer::listen_on_loopback(uint16_t port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EADDRINUSE) return fail(ErrorKind::kInvalid, "127.0.0.1:{} is taken by another program", port);
    return fail_errno(errno, fmt::format("127.0.0.1:{}", port));
  }
  if (::listen(socket.get(), 512) != 0) return fail_errno(errno, fmt::format("127.0.0.1:{}", port));
  socklen_t length = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail_errno(errno, "getsockname");
  TRY_VOID(listen(std::move(socket)));
  return ntohs(address.sin_port);
}

}  // namespace carrick::apiserver
