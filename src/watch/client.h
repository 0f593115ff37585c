#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace boost::asio {
class io_context;
}

// Door to any Kubernetes API server: HTTPS with a client certificate or bearer token.
namespace carrick::watch {

struct Credentials {
  std::vector<std::string> servers;  // "https://192.0.2.1:6443"; tried in order, the last good one first
  std::string ca_pem, cert_pem, key_pem, token;
};

// kubeconfig (its current-context; inline data or files). kInvalid names the file and what is missing.
Result<Credentials> load_kubeconfig(const std::string& path);

struct HttpRequest {
  std::string method = "GET";
  std::string target;  // "/api/v1/pods?limit=500"
  std::string body;
  std::string content_type = "application/json";
};
struct HttpResponse {
  int status = 0;
  std::string body;
};

// Runs on one io_context; every callback comes on its thread. Connections are kept alive and shared by requests; at
// most `max_connections` are in use at a time and further requests wait in order. Destroying it ends all callbacks.
class Client {
 public:
  Client(boost::asio::io_context& io, Credentials credentials, int max_connections = 8);
  ~Client();
  Client(const Client&) = delete;

  // Answers of the server with status >= 400 become errors that carry its Status message (kinds by code);
  // no connection, TLS failure or time-out (30 s) is kTransient.
  void request(HttpRequest request, std::function<void(Result<HttpResponse>)> done);

  // One long answer, line by line (a watch). `end` is called once: success when the server closed it in order. A stream
  // that is silent for `silence_seconds` is ended as kTransient.
  void stream(std::string target, int silence_seconds, std::function<void(std::string_view line)> line,
              std::function<void(Result<void>)> end);

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

// Same request, blocking, with a connection of its own: for commands.
Result<HttpResponse> request_once(const Credentials& credentials, HttpRequest request);

}  // namespace carrick::watch
