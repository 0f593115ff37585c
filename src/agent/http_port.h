#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "net/ip.h"

namespace carrick::agent {

struct HttpAnswer {
  unsigned status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

// A port that answers small HTTP questions, one a connection. Whoever is slow, sends much or comes in crowds costs a
// few connections and nothing else. On the io_context's one thread.
class HttpPort {
 public:
  using Answer = std::function<HttpAnswer(std::string_view path)>;
  // Listens from now on, in the calling thread's network namespace. The error names the address.
  static Result<std::unique_ptr<HttpPort>> open(boost::asio::io_context& io, const net::SocketAddress& at,
                                                Answer answer);
  ~HttpPort();  // `answer` is not called any more

 private:
  struct Shared;
  explicit HttpPort(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
  std::shared_ptr<Shared> shared_;
};

}  // namespace carrick::agent
