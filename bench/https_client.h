#pragma once

#include <memory>
#include <string>
#include <string_view>

// One kept connection to an API server: HTTP/1.1 over TLS, one request at a time, blocking. For measuring only.
namespace carrick::bench {

struct Endpoint {
  std::string host = "127.0.0.1";
  int port = 0;
  std::string authority_file, token;
};

class HttpsClient {
 public:
  // Ends the program when the server cannot be reached: there is nothing to measure then.
  explicit HttpsClient(const Endpoint& endpoint);
  ~HttpsClient();
  struct Answer {
    int code = 0;
    std::string body;
  };
  Answer send(std::string_view method, const std::string& path, std::string_view body = {},
              std::string_view content_type = "application/json");
  // A request whose answer is read by line(): a watch.
  void open(const std::string& path);
  // The next line of a chunked answer; false at its end.
  bool line(std::string& out);

 private:
  struct Tls;
  void write(std::string_view text);
  bool read_more();
  std::string head_line();
  std::string take(size_t size);

  Endpoint endpoint_;
  std::unique_ptr<Tls> tls_;
  std::string buffer_, text_;
  size_t at_ = 0;
};

}  // namespace carrick::bench
