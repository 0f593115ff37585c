#include "https_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace carrick::bench {
namespace {

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "api_bench: %s\n", what);
  std::exit(3);
}

}  // namespace

struct HttpsClient::Tls {
  SSL_CTX* context = nullptr;
  SSL* session = nullptr;
  int socket = -1;
  ~Tls() {
    SSL_free(session);
    SSL_CTX_free(context);
    if (socket >= 0) ::close(socket);
  }
};

HttpsClient::HttpsClient(const Endpoint& endpoint) : endpoint_(endpoint), tls_(std::make_unique<Tls>()) {
  tls_->context = SSL_CTX_new(TLS_client_method());
  if (SSL_CTX_load_verify_locations(tls_->context, endpoint.authority_file.c_str(), nullptr) != 1)
    give_up("the authority's certificate cannot be read");
  SSL_CTX_set_verify(tls_->context, SSL_VERIFY_PEER, nullptr);
  tls_->socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(endpoint.port));
  ::inet_pton(AF_INET, endpoint.host.c_str(), &address.sin_addr);
  const int on = 1;
  ::setsockopt(tls_->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (::connect(tls_->socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    give_up("the server cannot be reached");
  tls_->session = SSL_new(tls_->context);
  SSL_set_fd(tls_->session, tls_->socket);
  if (SSL_connect(tls_->session) != 1) give_up("the TLS handshake failed");
}

HttpsClient::~HttpsClient() = default;

void HttpsClient::write(std::string_view text) {
  if (SSL_write(tls_->session, text.data(), static_cast<int>(text.size())) <= 0) give_up("the server went away");
}

bool HttpsClient::read_more() {
  if (at_ > (1u << 20)) {
    buffer_.erase(0, at_);
    at_ = 0;
  }
  char piece[32768];
  const int size = SSL_read(tls_->session, piece, sizeof piece);
  if (size <= 0) return false;
  buffer_.append(piece, static_cast<size_t>(size));
  return true;
}

std::string HttpsClient::head_line() {
  size_t end;
  while ((end = buffer_.find("\r\n", at_)) == std::string::npos)
    if (!read_more()) return {};
  std::string out = buffer_.substr(at_, end - at_);
  at_ = end + 2;
  return out;
}

std::string HttpsClient::take(size_t size) {
  while (buffer_.size() - at_ < size)
    if (!read_more()) give_up("the server's answer is cut off");
  std::string out = buffer_.substr(at_, size);
  at_ += size;
  return out;
}

HttpsClient::Answer HttpsClient::send(std::string_view method, const std::string& path, std::string_view body,
                                      std::string_view content_type) {
  write(
      fmt::format("{} {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\nContent-Type: "
                  "{}\r\nContent-Length: {}\r\n\r\n{}",
                  method, path, endpoint_.token, content_type, body.size(), body));
  Answer answer;
  const std::string first = head_line();
  if (first.size() > 12) answer.code = std::atoi(first.c_str() + 9);
  size_t length = 0;
  bool chunked = false;
  for (std::string line = head_line(); !line.empty(); line = head_line()) {
    std::ranges::transform(line, line.begin(), [](unsigned char c) { return std::tolower(c); });
    if (line.starts_with("content-length:")) length = std::strtoul(line.c_str() + 15, nullptr, 10);
    if (line.starts_with("transfer-encoding: chunked")) chunked = true;
  }
  if (!chunked) {
    answer.body = take(length);
    return answer;
  }
  while (const size_t size = std::strtoul(head_line().c_str(), nullptr, 16)) {
    answer.body += take(size);
    take(2);
  }
  head_line();
  return answer;
}

void HttpsClient::open(const std::string& path) {
  write(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nAccept: application/json\r\n\r\n", path,
                    endpoint_.token));
  while (!head_line().empty()) {
  }
}

bool HttpsClient::line(std::string& out) {
  size_t end;
  while ((end = text_.find('\n')) == std::string::npos) {
    const size_t size = std::strtoul(head_line().c_str(), nullptr, 16);
    if (size == 0) return false;
    text_ += take(size);
    take(2);
  }
  out = text_.substr(0, end);
  text_.erase(0, end + 1);
  return true;
}

}  // namespace carrick::bench
