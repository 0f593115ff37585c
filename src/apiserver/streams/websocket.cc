#include "apiserver/streams/websocket.h"

#include <openssl/sha.h>

#include "base/encoding.h"

namespace carrick::apiserver {
namespace {

constexpr uint8_t kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10;
constexpr uint16_t kProtocolError = 1002, kNotText = 1007, kTooLarge = 1009;
constexpr size_t kMaxControl = 125;

uint64_t big_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
  return value;
}

}  // namespace

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";  // RFC 6455, section 1.3
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return base64({reinterpret_cast<const char*>(digest), sizeof digest});
}

std::unexpected<Error> WebSocketSession::broken(uint16_t code, std::string_view why) {
  close(code, why);
  return fail(ErrorKind::kInvalid, "the client breaks the WebSocket protocol: {}", why);
}

Result<void> WebSocketSession::feed(std::string_view bytes,
                                    const std::function<void(const WebSocketMessage&)>& on_message) {
  input_ += bytes;
  size_t at = 0;
  const auto take_frames = [&]() -> Result<void> {
    while (!closed_by_client_) {
      const std::string_view rest = std::string_view(input_).substr(at);
      if (rest.size() < 2) return {};
      const auto first = static_cast<uint8_t>(rest[0]), second = static_cast<uint8_t>(rest[1]);
      if (first & 0x70) return broken(kProtocolError, "a reserved bit is set");
      if (!(second & 0x80)) return broken(kProtocolError, "a frame of a client is not masked");
      const size_t short_size = second & 0x7f, extra = short_size == 126 ? 2 : short_size == 127 ? 8 : 0;
      if (rest.size() < 2 + extra) return {};
      const uint64_t size = extra == 0 ? short_size : big_endian(rest.substr(2, extra));
      fin_ = first & 0x80;
      opcode_ = first & 0x0f;
      const bool control = opcode_ & 8;
      if (control && (size > kMaxControl || !fin_)) return broken(kProtocolError, "a control frame is too long");
      if (size > max_message_ || message_.size() + size > max_message_)
        return broken(kTooLarge, "a message is too long");
      const size_t head = 2 + extra + 4;
      if (rest.size() < head + size) return {};
      std::string payload(rest.substr(head, size));
      for (size_t i = 0; i < payload.size(); ++i) payload[i] ^= rest[2 + extra + i % 4];
      at += head + size;
      TRY_VOID(frame(payload, on_message));
    }
    return {};
  };
  auto taken = take_frames();
  input_.erase(0, at);
  return taken;
}

Result<void> WebSocketSession::frame(std::string& payload,
                                     const std::function<void(const WebSocketMessage&)>& on_message) {
  switch (opcode_) {
    case kPing:
      write_frame(kPong, payload);
      return {};
    case kPong:
      return {};
    case kClose:
      if (payload.size() == 1) return broken(kProtocolError, "half a status code");
      closed_by_client_ = true;
      close(payload.size() >= 2 ? static_cast<uint16_t>(big_endian(std::string_view(payload).substr(0, 2))) : 1000);
      return {};
    case kContinuation:
      if (message_opcode_ == 0) return broken(kProtocolError, "nothing to continue");
      message_ += payload;
      break;
    case kText:
    case kBinary:
      if (message_opcode_ != 0) return broken(kProtocolError, "a message begins inside another");
      message_opcode_ = opcode_;
      message_ = std::move(payload);
      break;
    default:
      return broken(kProtocolError, "an unknown kind of frame");
  }
  if (!fin_) return {};
  const bool text = std::exchange(message_opcode_, 0) == kText;
  const std::string whole = std::exchange(message_, {});
  if (text && !is_utf8(whole)) return broken(kNotText, "a text message is not UTF-8");
  on_message({.text = text, .payload = whole});
  return {};
}

void WebSocketSession::write_frame(uint8_t opcode, std::string_view payload) {
  if (closed_by_us_) return;
  output_ += static_cast<char>(0x80 | opcode);
  const int size_bytes = payload.size() < 126 ? 0 : payload.size() < 65536 ? 2 : 8;
  output_ += static_cast<char>(size_bytes == 0 ? payload.size() : size_bytes == 2 ? 126 : 127);
  for (int i = size_bytes - 1; i >= 0; --i) output_ += static_cast<char>(payload.size() >> (8 * i));
  output_ += payload;
}

void WebSocketSession::send(std::string_view payload, bool text) { write_frame(text ? kText : kBinary, payload); }

void WebSocketSession::close(uint16_t code, std::string_view reason) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  payload += reason.substr(0, kMaxControl - 2);
  write_frame(kClose, payload);
  closed_by_us_ = true;
}

}  // namespace carrick::apiserver
