#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// What a responder pod says on a connection. Pure: bytes in, bytes out.
namespace carrick::lab {

struct ResponderIdentity {
  std::string namespace_, pod, node;
};

// First bytes that ask only for "namespace/pod port client\n".
inline constexpr std::string_view kProbeQuestion = "CARRICK?\n";

std::string identity_line(const ResponderIdentity& who, uint16_t port, std::string_view client);

// HTTP/1 requests get 200 with JSON that says who answers, on which port, and who asked; the probe question gets one
// identity line; anything else gets that line once and then its own bytes back.
class Conversation {
 public:
  Conversation(const ResponderIdentity& who, uint16_t port, std::string client)
      : who_(who), port_(port), client_(std::move(client)) {}

  // Appends the answer to `out`. False: close the connection once `out` has been sent.
  bool feed(std::string_view in, std::string& out);

 private:
  enum class Mode { kUndecided, kHttp, kEcho };
  bool feed_http(std::string& out);
  bool answer_http(std::string_view head, std::string& out);

  const ResponderIdentity& who_;
  uint16_t port_;
  std::string client_;
  Mode mode_ = Mode::kUndecided;
  std::string pending_;     // undecided or an unfinished request head
  uint64_t body_left_ = 0;  // of the request being skipped
};

}  // namespace carrick::lab
