#include "watch/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/json.hpp>
#include <deque>
#include <list>

namespace carrick::watch {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using tcp = asio::ip::tcp;
using boost::system::error_code;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kConnectTimeout = std::chrono::seconds(5);
constexpr auto kRequestTimeout = std::chrono::seconds(30);
constexpr size_t kMaxBody = size_t{256} << 20;  // a list without `limit` of a very large cluster
constexpr size_t kMaxLine = size_t{16} << 20;   // one watch event

struct Server {
  std::string host, port;
};

Result<Server> parse_server(std::string_view url) {
  constexpr std::string_view kScheme = "https://";
  if (!url.starts_with(kScheme)) return fail(ErrorKind::kInvalid, "API server \"{}\": only https:// is spoken", url);
  url.remove_prefix(kScheme.size());
  if (size_t slash = url.find('/'); slash != url.npos) url = url.substr(0, slash);
  size_t colon = url.rfind(':');
  bool bracketed = !url.empty() && url.front() == '[';
  if (bracketed) {
    size_t close = url.find(']');
    if (close == url.npos) return fail(ErrorKind::kInvalid, "API server \"{}\": missing ]", url);
    std::string host(url.substr(1, close - 1));
    return Server{host, close + 1 < url.size() ? std::string(url.substr(close + 2)) : "443"};
  }
  if (colon == url.npos) return Server{std::string(url), "443"};
  return Server{std::string(url.substr(0, colon)), std::string(url.substr(colon + 1))};
}

ErrorKind kind_of_status(int status, std::string_view reason) {
  switch (status) {
    case 400:
    case 405:
    case 413:
    case 415:
    case 422:
      return ErrorKind::kInvalid;
    case 401:
    case 403:
      return ErrorKind::kForbidden;
    case 404:
      return ErrorKind::kNotFound;
    case 409:
      return reason == "AlreadyExists" ? ErrorKind::kAlreadyExists : ErrorKind::kConflict;
    case 410:
      return ErrorKind::kNotFound;
    default:
      return status >= 500 || status == 429 ? ErrorKind::kTransient : ErrorKind::kInternal;
  }
}

std::unexpected<Error> fail_status(int status, std::string_view body) {
  std::string message, reason;
  error_code failed;
  json::value parsed = json::parse(json::string_view(body.data(), body.size()), failed);
  if (!failed && parsed.is_object()) {
    if (auto* m = parsed.as_object().if_contains("message"); m && m->is_string()) message = m->as_string().c_str();
    if (auto* r = parsed.as_object().if_contains("reason"); r && r->is_string()) reason = r->as_string().c_str();
  }
  if (message.empty()) message = fmt::format("the API server answered HTTP {}", status);
  return std::unexpected(Error{kind_of_status(status, reason), message});
}

}  // namespace

struct Client::Impl : std::enable_shared_from_this<Client::Impl> {
  struct Connection {
    Connection(asio::io_context& io, asio::ssl::context& tls) : stream(io, tls) {}
    beast::ssl_stream<beast::tcp_stream> stream;
    beast::flat_buffer buffer{kMaxBody};
    bool used_before = false;
  };
  using Connected = std::shared_ptr<Connection>;

  Impl(asio::io_context& context, Credentials given, int limit)
      : io(context), credentials(std::move(given)), tls(asio::ssl::context::tls_client), free_slots(limit) {
    try {
      tls.set_verify_mode(asio::ssl::verify_peer);
      SSL_CTX_set_mode(tls.native_handle(), SSL_MODE_RELEASE_BUFFERS);  // watches are idle most of the time
      if (!credentials.ca_pem.empty())
        tls.add_certificate_authority(asio::buffer(credentials.ca_pem));
      else
        tls.set_default_verify_paths();
      if (!credentials.cert_pem.empty()) {
        tls.use_certificate_chain(asio::buffer(credentials.cert_pem));
        tls.use_private_key(asio::buffer(credentials.key_pem), asio::ssl::context::pem);
      }
    } catch (const std::exception& e) {
      broken = Error{ErrorKind::kInvalid, fmt::format("credentials for the API server: {}", e.what())};
    }
  }

  http::request<http::string_body> message(const HttpRequest& from) const {
    http::request<http::string_body> out(http::string_to_verb(from.method), from.target, 11);
    out.set(http::field::host, host_header);
    out.set(http::field::user_agent, "carrick");
    out.set(http::field::accept, "application/json");
    if (!credentials.token.empty()) out.set(http::field::authorization, "Bearer " + credentials.token);
    if (!from.body.empty()) out.set(http::field::content_type, from.content_type);
    out.body() = from.body;
    out.prepare_payload();
    return out;
  }

  asio::awaitable<Result<Connected>> connect_to(const Server& server) {
    auto connection = std::make_shared<Connection>(io, tls);
    auto& lowest = beast::get_lowest_layer(connection->stream);
    auto where = [&](const error_code& error) {
      return fail(ErrorKind::kTransient, "API server {}:{}: {}", server.host, server.port, error.message());
    };
    tcp::resolver resolver(io);
    auto [unresolved, endpoints] = co_await resolver.async_resolve(server.host, server.port, kTuple);
    if (unresolved) co_return where(unresolved);
    lowest.expires_after(kConnectTimeout);
    auto [refused, endpoint] = co_await lowest.async_connect(endpoints, kTuple);
    if (refused) co_return where(refused);
    lowest.socket().set_option(tcp::no_delay(true));
    error_code not_address;
    asio::ip::make_address(server.host, not_address);
    if (not_address) SSL_set_tlsext_host_name(connection->stream.native_handle(), server.host.c_str());
    connection->stream.set_verify_callback(asio::ssl::host_name_verification(server.host));
    auto [untrusted] = co_await connection->stream.async_handshake(asio::ssl::stream_base::client, kTuple);
    if (untrusted) co_return where(untrusted);
    host_header = server.host.find(':') == std::string::npos ? server.host + ":" + server.port
                                                             : "[" + server.host + "]:" + server.port;
    co_return connection;
  }

  asio::awaitable<Result<Connected>> connect() {
    if (broken) co_return std::unexpected(*broken);
    Error last{ErrorKind::kInvalid, "no API server is named"};
    for (size_t i = 0; i < credentials.servers.size(); ++i) {
      size_t index = (preferred + i) % credentials.servers.size();
      auto server = parse_server(credentials.servers[index]);
      if (!server) co_return std::unexpected(server.error());
      auto connection = co_await connect_to(*server);
      if (connection) {
        preferred = index;
        co_return connection;
      }
      last = connection.error();
    }
    co_return std::unexpected(last);
  }

  // One exchange on one connection. kNotFound-free: transport errors only.
  asio::awaitable<Result<HttpResponse>> exchange(Connected connection, const HttpRequest& asked) {
    auto& lowest = beast::get_lowest_layer(connection->stream);
    lowest.expires_after(kRequestTimeout);
    auto out = message(asked);
    auto [unsent, sent] = co_await http::async_write(connection->stream, out, kTuple);
    if (unsent) co_return fail(ErrorKind::kTransient, "API server: {}", unsent.message());
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxBody);
    auto [unread, got] = co_await http::async_read(connection->stream, connection->buffer, parser, kTuple);
    if (unread) co_return fail(ErrorKind::kTransient, "API server: {}", unread.message());
    lowest.expires_never();
    connection->used_before = true;
    HttpResponse answer{static_cast<int>(parser.get().result_int()), std::move(parser.get().body())};
    if (parser.get().keep_alive()) idle.push_back(std::move(connection));
    co_return answer;
  }

  asio::awaitable<Result<HttpResponse>> perform(HttpRequest asked) {
    for (;;) {
      Connected connection;
      if (!idle.empty()) {
        connection = idle.back();
        idle.pop_back();
      } else {
        auto made = co_await connect();
        if (!made) co_return std::unexpected(made.error());
        connection = *made;
      }
      bool stale_possible = connection->used_before;
      auto answer = co_await exchange(connection, asked);
      // The server may have closed an idle connection just as we wrote on it: once more on a fresh one.
      if (!answer && stale_possible) continue;
      if (!answer) co_return answer;
      if (answer->status >= 400) co_return fail_status(answer->status, answer->body);
      co_return answer;
    }
  }

  void next() {
    while (free_slots > 0 && !waiting.empty()) {
      auto [asked, sink] = std::move(waiting.front());
      waiting.pop_front();
      --free_slots;
      asio::co_spawn(
          io, perform(std::move(asked)),
          [self = shared_from_this(), done = std::move(sink)](std::exception_ptr thrown, Result<HttpResponse> answer) {
            ++self->free_slots;
            if (self->closed) return;
            done(thrown ? Result<HttpResponse>(fail(ErrorKind::kInternal, "API request ended by an exception"))
                        : std::move(answer));
            if (!self->closed) self->next();
          });
    }
  }

  asio::awaitable<Result<void>> run_stream(std::string target, int silence_seconds,
                                           const std::function<void(std::string_view)>& line) {
    auto made = co_await connect();
    if (!made) co_return std::unexpected(made.error());
    Connected connection = *made;
    streams.push_back(connection);
    auto& lowest = beast::get_lowest_layer(connection->stream);
    lowest.expires_after(kRequestTimeout);
    auto out = message({"GET", target, "", ""});
    auto [unsent, sent] = co_await http::async_write(connection->stream, out, kTuple);
    if (unsent) co_return fail(ErrorKind::kTransient, "API server: {}", unsent.message());
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    auto [no_head, got] = co_await http::async_read_header(connection->stream, connection->buffer, parser, kTuple);
    if (no_head) co_return fail(ErrorKind::kTransient, "API server: {}", no_head.message());
    int status = static_cast<int>(parser.get().result_int());
    std::string pending;
    std::vector<char> chunk(16 << 10);  // a TLS record
    while (!parser.is_done()) {
      parser.get().body().data = chunk.data();
      parser.get().body().size = chunk.size();
      lowest.expires_after(std::chrono::seconds(silence_seconds));
      auto [error, n] = co_await http::async_read_some(connection->stream, connection->buffer, parser, kTuple);
      if (error == http::error::need_buffer) error.clear();
      if (error) co_return fail(ErrorKind::kTransient, "API server: watch ended: {}", error.message());
      if (closed) co_return Result<void>{};
      pending.append(chunk.data(), chunk.size() - parser.get().body().size);
      if (status != 200) continue;
      size_t begin = 0;
      for (size_t end; (end = pending.find('\n', begin)) != std::string::npos; begin = end + 1) {
        line(std::string_view(pending).substr(begin, end - begin));
        if (closed) co_return Result<void>{};
      }
      pending.erase(0, begin);
      if (pending.size() > kMaxLine)
        co_return fail(ErrorKind::kTransient, "API server: a watch event is longer than {} bytes", kMaxLine);
    }
    if (status != 200) co_return fail_status(status, pending);
    co_return Result<void>{};
  }

  void close() {
    closed = true;
    waiting.clear();
    for (auto& weak : streams)
      if (auto connection = weak.lock()) beast::get_lowest_layer(connection->stream).close();
    idle.clear();
  }

  asio::io_context& io;
  Credentials credentials;
  asio::ssl::context tls;
  std::optional<Error> broken;
  std::string host_header;
  size_t preferred = 0;
  int free_slots;
  bool closed = false;
  std::vector<Connected> idle;
  std::vector<std::weak_ptr<Connection>> streams;
  std::deque<std::pair<HttpRequest, std::function<void(Result<HttpResponse>)>>> waiting;
};

Client::Client(asio::io_context& io, Credentials credentials, int max_connections)
    : impl_(std::make_shared<Impl>(io, std::move(credentials), max_connections)) {}
Client::~Client() { impl_->close(); }

void Client::request(HttpRequest request, std::function<void(Result<HttpResponse>)> done) {
  impl_->waiting.emplace_back(std::move(request), std::move(done));
  impl_->next();
}

void Client::stream(std::string target, int silence_seconds, std::function<void(std::string_view)> line,
                    std::function<void(Result<void>)> end) {
  auto kept = std::make_shared<std::function<void(std::string_view)>>(std::move(line));
  auto impl = impl_;
  asio::co_spawn(
      impl->io,
      // The coroutine's frame copies its arguments: state it refers to must live in `kept`.
      [](std::shared_ptr<Impl> self, std::string where, int silence,
         std::shared_ptr<std::function<void(std::string_view)>> sink) -> asio::awaitable<Result<void>> {
        co_return co_await self->run_stream(std::move(where), silence, *sink);
      }(impl, std::move(target), silence_seconds, kept),
      [impl, end = std::move(end)](std::exception_ptr thrown, Result<void> ended) {
        std::erase_if(impl->streams, [](auto& weak) { return weak.expired(); });
        if (impl->closed) return;
        end(thrown ? Result<void>(fail(ErrorKind::kInternal, "watch ended by an exception")) : std::move(ended));
      });
}

Result<HttpResponse> request_once(const Credentials& credentials, HttpRequest request) {
  asio::io_context io;
  Client client(io, credentials, 1);
  Result<HttpResponse> result = fail(ErrorKind::kInternal, "no answer");
  client.request(std::move(request), [&](Result<HttpResponse> answer) {
    result = std::move(answer);
    io.stop();
  });
  io.run();
  return result;
}

}  // namespace carrick::watch
