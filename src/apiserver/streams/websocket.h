#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

// The server's side of WebSocket (RFC 6455) after the handshake. Pure: bytes in, messages and bytes out.
namespace carrick::apiserver {

struct WebSocketMessage {
  bool text = false;
  std::string_view payload;  // valid during the call only
};

class WebSocketSession {
 public:
  explicit WebSocketSession(size_t max_message_bytes = 4u << 20) : max_message_(max_message_bytes) {}

  // Pings are answered, fragments joined. kInvalid: the client breaks the protocol; a close frame that says so is in
  // the output. Any split of the bytes gives the same messages.
  Result<void> feed(std::string_view bytes, const std::function<void(const WebSocketMessage&)>& on_message);
  bool closed_by_client() const { return closed_by_client_; }

  void send(std::string_view payload, bool text = false);
  void close(uint16_t code = 1000, std::string_view reason = {});
  std::string take_output() { return std::exchange(output_, {}); }
  size_t pending() const { return output_.size(); }

 private:
  Result<void> frame(std::string& payload, const std::function<void(const WebSocketMessage&)>& on_message);
  std::unexpected<Error> broken(uint16_t code, std::string_view why);
  void write_frame(uint8_t opcode, std::string_view payload);

  size_t max_message_;
  std::string input_;    // of a frame that is not complete
  std::string message_;  // of a message in fragments
  uint8_t message_opcode_ = 0, opcode_ = 0;
  bool fin_ = false, closed_by_client_ = false, closed_by_us_ = false;
  std::string output_;
};

// Sec-WebSocket-Accept for a Sec-WebSocket-Key.
std::string websocket_accept(std::string_view key);

}  // namespace carrick::apiserver
