#include "apiserver/connection.h"

#include <openssl/crypto.h>
#include <openssl/x509.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/http.hpp>

#include "apiserver/rbac.h"
#include "base/log.h"
#include "base/text.h"

namespace carrick::apiserver {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kPiece = 64 * 1024;  // of a watch, written at once

std::vector<std::string> name_entries(X509_NAME* name, int nid) {
  std::vector<std::string> out;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, nid, at)) >= 0;) {
    const ASN1_STRING* text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
    out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return out;
}

// The handshake has verified the certificate against our authority, or there is none.
std::optional<User> user_of_certificate(SSL* session) {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(session), X509_free);
  if (!certificate) return std::nullopt;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const auto names = name_entries(subject, NID_commonName);
  User user{names.empty() ? "" : names.front(), name_entries(subject, NID_organizationName)};
  user.groups.emplace_back("system:authenticated");
  return user;
}

bool same_secret(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

Response refusal(int code, std::string reason, std::string message) {
  return status_response({.code = code, .reason = std::move(reason), .message = std::move(message)});
}

bool may_impersonate(const User& user) { return std::ranges::find(user.groups, "system:masters") != user.groups.end(); }

User impersonated(const http::request<http::string_body>& message) {
  User user{std::string(message["Impersonate-User"]), {}};
  for (const auto& field : message)
    if (beast::iequals(field.name_string(), "Impersonate-Group")) user.groups.emplace_back(field.value());
  return with_implied_groups(std::move(user));
}

UpgradeOffer offer_of(const http::request<http::string_body>& message) {
  UpgradeOffer offer;
  if (!http::token_list(message[http::field::connection]).exists("upgrade")) return offer;
  offer.protocol = lower(message[http::field::upgrade]);
  offer.websocket_key = message[http::field::sec_websocket_key];
  offer.websocket_version = message[http::field::sec_websocket_version];
  const bool websocket = offer.protocol == "websocket";
  // Sent as one list, or as a line each.
  for (const auto& field : message)
    if (beast::iequals(field.name_string(), websocket ? "Sec-WebSocket-Protocol" : "X-Stream-Protocol-Version"))
      for (std::string_view word : split({field.value().data(), field.value().size()}, ','))
        if (const std::string_view name = trim(word); !name.empty()) offer.subprotocols.emplace_back(name);
  return offer;
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, const Credentials& credentials, const HttpLimits& limits,
                       ssl::context& tls)
    : credentials_(credentials),
      limits_(limits),
      stream_(beast::tcp_stream(std::move(socket)), tls),
      wake_(stream_.get_executor()) {}

void Connection::close() {
  beast::get_lowest_layer(stream_).cancel();
  client_gone_ = true;
  wake_.cancel();
}

std::optional<User> Connection::user_of(const Message& message, const Api& api) const {
  const std::string_view header = message[http::field::authorization];
  constexpr std::string_view kBearer = "Bearer ";
  if (header.starts_with(kBearer)) {
    if (same_secret(header.substr(kBearer.size()), credentials_.admin_token))
      return User{"kubernetes-admin", {"system:masters", "system:authenticated"}};
    return api.user_of_token(header.substr(kBearer.size()));
  }
  return certificate_user_;
}

asio::awaitable<void> Connection::run(std::function<Api*()> api) {
  const auto self = shared_from_this();
  auto& socket = beast::get_lowest_layer(stream_);
  socket.expires_after(limits_.handshake_timeout);
  if (const auto [error] = co_await stream_.async_handshake(ssl::stream_base::server, kTuple); error) co_return;
  certificate_user_ = user_of_certificate(stream_.native_handle());
  while (true) {
    auto message = co_await read_request();
    if (!message || !api()) break;
    const bool keep_alive = message->keep_alive(), head = message->method() == http::verb::head;
    const unsigned version = message->version();
    Response response;
    try {
      Request request{.method = std::string(message->method_string()),
                      .target = {},
                      .accept = std::string((*message)[http::field::accept]),
                      .content_type = std::string((*message)[http::field::content_type]),
                      .body = std::move(message->body()),
                      .user = user_of(*message, *api()),
                      .upgrade = offer_of(*message),
                      .user_agent = std::string((*message)[http::field::user_agent])};
      auto target = parse_target(message->target());
      const bool masked = message->find("Impersonate-User") != message->end();
      if (masked && request.user && !may_impersonate(*request.user)) {
        response = refusal(403, "Forbidden", "only system:masters may speak in the name of others on this server");
      } else if (!target) {
        response = status_response(bad_request(target.error().message));
      } else {
        request.target = std::move(*target);
        if (masked && request.user) request.user = impersonated(*message);
        response = api()->handle(request);
      }
    } catch (const std::exception& error) {
      log::error("request {} {}: {}", std::string_view(message->method_string()), std::string_view(message->target()),
                 error.what());
      response = status_response(internal(error.what()));
    }
    message.reset();
    if (response.stream) {
      co_await send_stream(std::move(response));
      co_return;
    }
    if (response.watch) {
      co_await send_watch(std::move(response.watch), std::move(response.content_type), api);
      co_return;  // no TLS shutdown: it would read beside watch_for_close
    }
    if (!co_await send(std::move(response), keep_alive, head, version) || !keep_alive) break;
  }
  socket.expires_after(std::chrono::seconds(2));
  co_await stream_.async_shutdown(kTuple);
}

asio::awaitable<std::optional<Connection::Message>> Connection::read_request() {
  auto& socket = beast::get_lowest_layer(stream_);
  if (buffer_.size() == 0) {
    socket.expires_after(limits_.idle_timeout);
    const auto [error, size] = co_await stream_.async_read_some(buffer_.prepare(4096), kTuple);
    if (error) co_return std::nullopt;
    buffer_.commit(size);
  }
  http::request_parser<http::string_body> parser;
  parser.header_limit(limits_.max_header_bytes);
  parser.body_limit(limits_.max_body_bytes);
  socket.expires_after(limits_.header_timeout);
  auto [error, size] = co_await http::async_read_header(stream_, buffer_, parser, kTuple);
  if (!error && beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    if (!co_await write_text("HTTP/1.1 100 Continue\r\n\r\n")) co_return std::nullopt;
  }
  if (!error && !parser.is_done()) {
    socket.expires_after(limits_.body_timeout);
    const auto [body_error, body_size] = co_await http::async_read(stream_, buffer_, parser, kTuple);
    error = body_error;
  }
  if (!error) {
    Message message = parser.release();
    if (buffer_.size() == 0) buffer_.shrink_to_fit();  // an idle connection holds no megabytes
    co_return message;
  }
  if (error == http::error::header_limit)
    co_await send(refusal(431, "RequestHeaderFieldsTooLarge",
                          fmt::format("the head of the request is larger than {} bytes", limits_.max_header_bytes)),
                  false, false, 11);
  else if (error == http::error::body_limit)
    co_await send(refusal(413, "RequestEntityTooLarge",
                          fmt::format("the body of the request is larger than {} bytes", limits_.max_body_bytes)),
                  false, false, 11);
  else if (error.category() == make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message)
    co_await send(status_response(bad_request(fmt::format("the request is not HTTP: {}", error.message()))), false,
                  false, 11);
  co_return std::nullopt;
}

asio::awaitable<bool> Connection::send(Response response, bool keep_alive, bool head, unsigned version) {
  http::response<http::string_body> message{static_cast<http::status>(response.code), version};
  message.set(http::field::content_type, response.content_type);
  message.set(http::field::cache_control, "no-cache, private");
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(keep_alive);
  message.body() = std::move(response.body);
  message.prepare_payload();
  http::response_serializer<http::string_body> serializer{message};
  auto& socket = beast::get_lowest_layer(stream_);
  socket.expires_after(limits_.write_timeout);
  if (head) {
    const auto [error, size] = co_await http::async_write_header(stream_, serializer, kTuple);
    co_return !error;
  }
  const auto [error, size] = co_await http::async_write(stream_, serializer, kTuple);
  co_return !error;
}

asio::awaitable<bool> Connection::write_text(std::string text) {
  beast::get_lowest_layer(stream_).expires_after(limits_.write_timeout);
  const auto [error, size] = co_await asio::async_write(stream_, asio::buffer(text), kTuple);
  co_return !error;
}

asio::awaitable<void> Connection::watch_for_close() {
  const auto self = shared_from_this();
  char byte;
  // A watching client has nothing to say: whatever comes is its end.
  co_await stream_.async_read_some(asio::buffer(&byte, 1), kTuple);
  client_gone_ = true;
  wake_.cancel();
}

asio::awaitable<void> Connection::send_watch(std::shared_ptr<WatchStream> watch, std::string content_type,
                                             std::function<Api*()> api) {
  using Clock = std::chrono::steady_clock;
  auto& socket = beast::get_lowest_layer(stream_);
  socket.expires_never();  // for the read; each write sets its own deadline, which leaves the pending read alone
  asio::co_spawn(stream_.get_executor(), watch_for_close(), asio::detached);
  watch->on_ready = [this] { wake_.cancel(); };
  const auto lifetime =
      watch->timeout_seconds() > 0 ? std::chrono::seconds(watch->timeout_seconds()) : limits_.watch_timeout;
  const Clock::time_point end = Clock::now() + lifetime;
  Clock::time_point bookmark = Clock::now() + limits_.bookmark_interval;
  bool good =
      co_await write_text(fmt::format("HTTP/1.1 200 OK\r\nContent-Type: {}\r\nCache-Control: no-cache, "
                                      "private\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
                                      content_type));
  bool over = false;  // its time is: one bookmark still, then the end
  while (good && !client_gone_ && api()) {
    const Clock::time_point now = Clock::now();
    if (!over && (now >= bookmark || now >= end)) {
      over = now >= end;
      watch->offer_bookmark(api()->revision());
      bookmark = now + limits_.bookmark_interval;
    }
    if (std::string text = watch->take(kPiece); !text.empty()) {
      good = co_await write_text(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
      continue;
    }
    if (watch->finished() || over) break;
    wake_.expires_at(std::min(bookmark, end));
    co_await wake_.async_wait(kTuple);
  }
  watch->on_ready = nullptr;
  if (good && !client_gone_) co_await write_text("0\r\n\r\n");
  // The reader still waits; it ends with the socket.
  beast::error_code ignored;
  if (!client_gone_) {
    socket.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }
}

asio::awaitable<void> Connection::send_stream(Response response) {
  const std::shared_ptr<TlsStream> stream(shared_from_this(), &stream_);
  std::shared_ptr<StreamAnswer> answer = std::move(response.stream);
  boost::system::error_code ignored;
  auto& socket = beast::get_lowest_layer(stream_).socket();
  socket.set_option(asio::socket_base::keep_alive(true), ignored);  // a session may be silent for hours
  if (!answer->exec && !answer->forward) {
    const auto sent = co_await run_log(stream, answer, *answer->nodes, {});
    if (!sent) co_await send(status_response(sent.error()), false, false, 11);
    co_return;
  }
  std::string head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
  for (const auto& [name, value] : response.headers) head += fmt::format("{}: {}\r\n", name, value);
  head += "\r\n";
  std::string leftover = beast::buffers_to_string(buffer_.data());
  buffer_.clear();
  if (answer->exec)
    co_await run_exec(stream, std::move(head), std::move(leftover), answer, *answer->nodes, {});
  else
    co_await run_forward(stream, std::move(head), std::move(leftover), answer, *answer->nodes, {});
}

}  // namespace carrick::apiserver
