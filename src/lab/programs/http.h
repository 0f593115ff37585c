#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "net/ip.h"

// A small server for the built-in programs: HTTP/1.1 with a thread a connection.
namespace carrick::lab {

struct HttpAsked {
  std::string method, target, version;  // "/echo?msg=a", "HTTP/1.1"
  std::string path;                     // "/echo"
  std::map<std::string, std::string> query;
  std::vector<std::pair<std::string, std::string>> headers;  // names as they came
  std::string body, client;                                  // "10.1.1.2:40000"
  std::string header(std::string_view name) const;           // empty when absent
};
struct HttpGiven {
  int status = 200;
  std::string body, content_type = "text/plain; charset=utf-8";
  std::vector<std::pair<std::string, std::string>> headers;
};
// The head of a request, up to and with its empty line. kInvalid when it is none.
Result<HttpAsked> parse_http_head(std::string_view head);
std::string canonical_header(std::string_view name);  // as Go spells it: Content-Type
std::string percent_decode(std::string_view text, bool plus_is_space);

// Listening on all addresses of both families; kConflict names the port that is taken.
Result<Fd> listen_tcp(uint16_t port);
Result<Fd> bind_udp(uint16_t port, const std::string& address = "");
std::string address_text(const void* socket_address);

// Each runs until the process ends.
void serve_http(Fd listening, const std::function<HttpGiven(const HttpAsked&)>& answer);
void serve_tcp(Fd listening, const std::function<void(Fd client, const std::string& address)>& talk);
// The answer to each datagram; empty: none.
void serve_udp(Fd bound, const std::function<std::string(const std::string& said, const std::string& from)>& answer);

// What one GET gives: its body. `limit_seconds` for each step.
Result<std::string> http_get(const std::string& host, uint16_t port, const std::string& target, int limit_seconds);

}  // namespace carrick::lab
