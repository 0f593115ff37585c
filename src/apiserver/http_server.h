#pragma once

#include <chrono>
#include <memory>

#include "apiserver/api.h"
#include "apiserver/pki.h"
#include "base/fd.h"

namespace boost::asio {
class io_context;
}

namespace carrick::apiserver {

struct HttpLimits {
  size_t max_connections = 4096;
  uint32_t max_header_bytes = 32u << 10;
  uint64_t max_body_bytes = 3u << 20;
  std::chrono::milliseconds handshake_timeout{10'000};
  std::chrono::milliseconds header_timeout{10'000};  // from the first byte to the last of the head
  std::chrono::milliseconds body_timeout{60'000};
  std::chrono::milliseconds write_timeout{60'000};  // for one answer, or one piece of a watch
  std::chrono::milliseconds idle_timeout{180'000};
  std::chrono::milliseconds bookmark_interval{60'000};
  std::chrono::seconds watch_timeout{1800};  // for watches that name none
};

// HTTP/1.1 over TLS with client certificates or bearer token. One thread, one coroutine a connection; whatever a client
// does or leaves undone costs its own connection and nothing else.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& context, Api& api, const Credentials& credentials, HttpLimits limits);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  Result<void> prepare();  // TLS set-up
  // A bound and listening TCP socket, of any network namespace.
  Result<void> listen(Fd socket);
  // Binds 127.0.0.1:port (0 = any free one) and gives the port.
  Result<uint16_t> listen_on_loopback(uint16_t port);
  void stop();
  size_t connections() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace carrick::apiserver
