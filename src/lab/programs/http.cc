#include "lab/programs/http.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "base/text.h"

namespace carrick::lab {
namespace {

constexpr size_t kMaxHead = 64u << 10, kMaxBody = 8u << 20;
constexpr int kIdleSeconds = 60;

const char* reason_of(int status) {
  constexpr std::pair<int, const char*> kReasons[] = {{200, "OK"},
                                                      {201, "Created"},
                                                      {204, "No Content"},
                                                      {301, "Moved Permanently"},
                                                      {302, "Found"},
                                                      {303, "See Other"},
                                                      {307, "Temporary Redirect"},
                                                      {308, "Permanent Redirect"},
                                                      {400, "Bad Request"},
                                                      {401, "Unauthorized"},
                                                      {403, "Forbidden"},
                                                      {404, "Not Found"},
                                                      {412, "Precondition Failed"},
                                                      {429, "Too Many Requests"},
                                                      {500, "Internal Server Error"},
                                                      {502, "Bad Gateway"},
                                                      {503, "Service Unavailable"},
                                                      {504, "Gateway Timeout"}};
  const auto* known = std::ranges::find(kReasons, status, &std::pair<int, const char*>::first);
  return known == std::end(kReasons) ? "Status" : known->second;
}

void set_limit(const Fd& fd, int seconds) {
  const timeval limit{.tv_sec = seconds, .tv_usec = 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool send_all(const Fd& fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

bool receive_more(const Fd& fd, std::string& into) {
  char piece[16384];
  ssize_t size;
  do size = ::recv(fd.get(), piece, sizeof piece, 0);
  while (size < 0 && errno == EINTR);
  if (size <= 0) return false;
  into.append(piece, static_cast<size_t>(size));
  return true;
}

std::string head_of(const HttpGiven& given, bool closes) {
  std::string out =
      fmt::format("HTTP/1.1 {} {}\r\nContent-Length: {}\r\n", given.status, reason_of(given.status), given.body.size());
  if (!given.body.empty()) out += "Content-Type: " + given.content_type + "\r\n";
  for (const auto& [name, value] : given.headers) out += name + ": " + value + "\r\n";
  return out + (closes ? "Connection: close\r\n\r\n" : "\r\n");
}

void talk_http(const Fd& client, const std::string& address, const std::function<HttpGiven(const HttpAsked&)>& answer) {
  set_limit(client, kIdleSeconds);
  std::string bytes;
  while (true) {
    size_t end;
    while ((end = bytes.find("\r\n\r\n")) == std::string::npos)
      if (bytes.size() > kMaxHead || !receive_more(client, bytes)) return;
    auto asked = parse_http_head(std::string_view(bytes).substr(0, end + 4));
    bytes.erase(0, end + 4);
    if (!asked) {
      send_all(client, head_of({.status = 400}, true));
      return;
    }
    size_t length = 0;
    const std::string declared = asked->header("content-length");
    std::from_chars(declared.data(), declared.data() + declared.size(), length);
    if (length > kMaxBody) return;
    if (lower(asked->header("expect")) == "100-continue") send_all(client, "HTTP/1.1 100 Continue\r\n\r\n");
    while (bytes.size() < length)
      if (!receive_more(client, bytes)) return;
    asked->body = bytes.substr(0, length);
    bytes.erase(0, length);
    asked->client = address;
    const bool closes = lower(asked->header("connection")) == "close" || asked->version == "HTTP/1.0";
    const HttpGiven given = answer(*asked);
    if (!send_all(client, head_of(given, closes)) || (asked->method != "HEAD" && !send_all(client, given.body))) return;
    if (closes) return;
  }
}

Result<Fd> bound_socket(int type, uint16_t port, const std::string& address) {
  in6_addr v6 = in6addr_any;
  in_addr v4{};
  const bool is_v4 = !address.empty() && ::inet_pton(AF_INET, address.c_str(), &v4) == 1;
  if (!address.empty() && !is_v4 && ::inet_pton(AF_INET6, address.c_str(), &v6) != 1)
    return fail(ErrorKind::kInvalid, "{} is no address", address);
  Fd fd(::socket(is_v4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  const int on = 1, off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  int bound;
  if (is_v4) {
    const sockaddr_in to{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = v4};
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  } else {
    if (address.empty()) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    const sockaddr_in6 to{.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = v6};
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  }
  if (bound != 0) return fail_errno(errno, fmt::format("listen on port {}", port));
  return fd;
}

}  // namespace

std::string HttpAsked::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (lower(key) == name) return value;
  return "";
}

std::string canonical_header(std::string_view name) {
  std::string out(name);
  bool up = true;
  for (char& c : out) {
    const auto byte = static_cast<unsigned char>(c);
    c = static_cast<char>(up ? std::toupper(byte) : std::tolower(byte));
    up = c == '-';
  }
  return out;
}

std::string percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16).ptr == text.data() + i + 3) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

Result<HttpAsked> parse_http_head(std::string_view head) {
  HttpAsked out;
  const auto lines = split(head, '\n');
  const auto words = split(trim(lines.front()), ' ');
  if (words.size() != 3 || words[0].empty() || !words[1].starts_with('/') || !words[2].starts_with("HTTP/1."))
    return fail(ErrorKind::kInvalid, "no request line of HTTP/1");
  out.method = words[0];
  out.target = words[1];
  out.version = words[2];
  const size_t question = out.target.find('?');
  out.path = percent_decode(std::string_view(out.target).substr(0, question), false);
  if (question != std::string::npos)
    for (const std::string_view pair : split(std::string_view(out.target).substr(question + 1), '&')) {
      if (pair.find(';') != std::string_view::npos) continue;  // as Go's servers do
      const size_t equals = pair.find('=');
      const std::string_view value = equals == std::string_view::npos ? "" : pair.substr(equals + 1);
      out.query.emplace(percent_decode(pair.substr(0, equals), true), percent_decode(value, true));
    }
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::string_view line = trim(lines[i]);
    if (line.empty()) continue;
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return fail(ErrorKind::kInvalid, "no header: {:?}", line);
    out.headers.emplace_back(line.substr(0, colon), trim(line.substr(colon + 1)));
  }
  return out;
}

Result<Fd> listen_tcp(uint16_t port) {
  Fd fd = TRY(bound_socket(SOCK_STREAM, port, ""));
  if (::listen(fd.get(), 1024) != 0) return fail_errno(errno, fmt::format("listen on port {}", port));
  return fd;
}

Result<Fd> bind_udp(uint16_t port, const std::string& address) { return bound_socket(SOCK_DGRAM, port, address); }

// As Go writes it; IPv4 that came by a socket of both families is IPv4.
std::string address_text(const void* socket_address) {
  const auto* any = static_cast<const sockaddr*>(socket_address);
  char text[INET6_ADDRSTRLEN] = "";
  if (any->sa_family == AF_INET) {
    const auto* v4 = static_cast<const sockaddr_in*>(socket_address);
    ::inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v4->sin_port));
  }
  const auto* v6 = static_cast<const sockaddr_in6*>(socket_address);
  if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
    ::inet_ntop(AF_INET, v6->sin6_addr.s6_addr + 12, text, sizeof text);
    return fmt::format("{}:{}", text, ntohs(v6->sin6_port));
  }
  ::inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
  return fmt::format("[{}]:{}", text, ntohs(v6->sin6_port));
}

void serve_tcp(Fd listening, const std::function<void(Fd client, const std::string& address)>& talk) {
  while (true) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    Fd client(::accept4(listening.get(), reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC));
    if (!client) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    std::thread([&talk, address = address_text(&from), fd = std::move(client)]() mutable {
      talk(std::move(fd), address);
    }).detach();
  }
}

void serve_http(Fd listening, const std::function<HttpGiven(const HttpAsked&)>& answer) {
  serve_tcp(std::move(listening),
            [&answer](Fd client, const std::string& address) { talk_http(client, address, answer); });
}

void serve_udp(Fd bound, const std::function<std::string(const std::string& said, const std::string& from)>& answer) {
  std::string buffer(65536, '\0');
  while (true) {
    sockaddr_storage from{};
    socklen_t length = sizeof from;
    const ssize_t size =
        ::recvfrom(bound.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0) continue;
    const std::string said = answer(buffer.substr(0, static_cast<size_t>(size)), address_text(&from));
    if (!said.empty())
      (void)::sendto(bound.get(), said.data(), said.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
  }
}

Result<std::string> http_get(const std::string& host, uint16_t port, const std::string& target, int limit_seconds) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); error != 0)
    return fail(ErrorKind::kTransient, "lookup {}: {}", host, ::gai_strerror(error));
  Fd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_limit(fd, limit_seconds);
  const int connected = fd ? ::connect(fd.get(), found->ai_addr, found->ai_addrlen) : -1;
  const int error = errno;
  ::freeaddrinfo(found);
  if (connected != 0) return fail_errno(error, fmt::format("connect to {} port {}", host, port));
  const std::string authority = host.find(':') == std::string::npos ? host : "[" + host + "]";
  std::string bytes;
  if (!send_all(fd, fmt::format("GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: agnhost\r\nConnection: close\r\n\r\n",
                                target, authority, port)))
    return fail(ErrorKind::kTransient, "{} port {} does not read", host, port);
  while (bytes.size() < kMaxBody && receive_more(fd, bytes)) {
  }
  const size_t end = bytes.find("\r\n\r\n");
  if (end == std::string::npos) return fail(ErrorKind::kTransient, "{} port {} gives no answer", host, port);
  return bytes.substr(end + 4);
}

}  // namespace carrick::lab
