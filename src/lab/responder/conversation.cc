#include "lab/responder/conversation.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <charconv>

#include "base/text.h"

namespace carrick::lab {
namespace {

constexpr size_t kMaxHead = 16 * 1024;
constexpr std::array<std::string_view, 9> kMethods = {"GET ",   "POST ",    "PUT ",     "HEAD ", "DELETE ",
                                                      "PATCH ", "OPTIONS ", "CONNECT ", "TRACE "};

bool is_prefix_of(std::string_view prefix, std::string_view text) { return text.starts_with(prefix); }

struct HttpHead {
  std::string_view method, target;
  bool keep_alive = true, chunked = false, expects_continue = false;
  uint64_t content_length = 0;
};

HttpHead parse_head(std::string_view head) {
  HttpHead out;
  bool first = true;
  for (std::string_view line : split(head, '\n')) {
    line = trim(line);
    if (first) {
      auto words = split(line, ' ');
      out.method = words[0];
      if (words.size() > 1) out.target = words[1];
      out.keep_alive = words.size() > 2 && words[2] != "HTTP/1.0";
      first = false;
      continue;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name = lower(trim(line.substr(0, colon)));
    std::string value = lower(trim(line.substr(colon + 1)));
    if (name == "content-length") std::from_chars(value.data(), value.data() + value.size(), out.content_length);
    if (name == "transfer-encoding" && value.find("chunked") != std::string::npos) out.chunked = true;
    if (name == "connection" && value.find("close") != std::string::npos) out.keep_alive = false;
    if (name == "connection" && value.find("keep-alive") != std::string::npos) out.keep_alive = true;
    if (name == "expect" && value == "100-continue") out.expects_continue = true;
  }
  return out;
}

}  // namespace

std::string identity_line(const ResponderIdentity& who, uint16_t port, std::string_view client) {
  return fmt::format("{}/{} {} {}\n", who.namespace_, who.pod, port, client);
}

bool Conversation::feed(std::string_view in, std::string& out) {
  if (mode_ == Mode::kEcho) {
    out += in;
    return true;
  }
  pending_ += in;
  if (mode_ == Mode::kUndecided) {
    if (pending_ == kProbeQuestion) {
      out += identity_line(who_, port_, client_);
      pending_.clear();
      return true;
    }
    bool may_be_http = false;
    for (std::string_view method : kMethods) {
      if (is_prefix_of(method, pending_)) mode_ = Mode::kHttp;
      may_be_http = may_be_http || is_prefix_of(pending_, method);
    }
    bool may_be_question = is_prefix_of(pending_, kProbeQuestion);
    if (mode_ == Mode::kUndecided && (may_be_http || may_be_question)) return true;
    if (mode_ == Mode::kUndecided) {
      mode_ = Mode::kEcho;
      out += identity_line(who_, port_, client_);
      out += pending_;
      pending_ = {};
      return true;
    }
  }
  return feed_http(out);
}

bool Conversation::feed_http(std::string& out) {
  for (;;) {
    uint64_t skipped = std::min<uint64_t>(body_left_, pending_.size());
    pending_.erase(0, skipped);
    body_left_ -= skipped;
    if (body_left_ > 0) return true;
    size_t end = pending_.find("\r\n\r\n");
    size_t length = 4;
    if (end == std::string::npos) {
      end = pending_.find("\n\n");
      length = 2;
    }
    if (end == std::string::npos) {
      if (pending_.size() <= kMaxHead) return true;
      out += "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      return false;
    }
    std::string head = pending_.substr(0, end);
    pending_.erase(0, end + length);
    if (!answer_http(head, out)) return false;
  }
}

bool Conversation::answer_http(std::string_view head, std::string& out) {
  HttpHead request = parse_head(head);
  std::string body = boost::json::serialize(
      boost::json::object{{"pod", who_.pod},
                          {"namespace", who_.namespace_},
                          {"node", who_.node},
                          {"port", port_},
                          {"client", client_},
                          {"method", boost::json::string_view(request.method.data(), request.method.size())},
                          {"path", boost::json::string_view(request.target.data(), request.target.size())}});
  body += '\n';
  // The end of a chunked body is not looked for: such a connection serves one request.
  bool keep = request.keep_alive && !request.chunked;
  if (request.expects_continue) out += "HTTP/1.1 100 Continue\r\n\r\n";
  out +=
      fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: {}\r\n\r\n",
                  body.size(), keep ? "keep-alive" : "close");
  if (request.method != "HEAD") out += body;
  body_left_ = request.content_length;
  return keep;
}

}  // namespace carrick::lab
