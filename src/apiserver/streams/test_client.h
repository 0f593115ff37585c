#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// For tests: the other end of WebSocket and SPDY/3.1, as bytes.
namespace carrick::apiserver::test {

inline std::string big_endian(uint64_t value, int size) {
  std::string out;
  for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

// A frame of a client: masked. Opcodes: 1 text, 2 binary, 8 close, 9 ping.
inline std::string ws_frame(int opcode, std::string_view payload, bool fin = true) {
  constexpr std::string_view kMask = "\x12\x34\x56\x78";
  std::string out{static_cast<char>((fin ? 0x80 : 0) | opcode)};
  if (payload.size() < 126)
    out += static_cast<char>(0x80 | payload.size());
  else if (payload.size() < 65536)
    out += "\xfe" + big_endian(payload.size(), 2);
  else
    out += "\xff" + big_endian(payload.size(), 8);
  out += kMask;
  for (size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ kMask[i % 4]);
  return out;
}

struct WsFrame {
  int opcode = 0;
  std::string payload;
};
// Takes whole frames of a server off the front.
inline std::vector<WsFrame> ws_frames(std::string& bytes) {
  std::vector<WsFrame> out;
  while (bytes.size() >= 2) {
    size_t size = static_cast<uint8_t>(bytes[1]) & 0x7f, head = 2;
    if (size >= 126) {
      const size_t extra = size == 126 ? 2 : 8;
      if (bytes.size() < 2 + extra) break;
      size = 0;
      for (size_t i = 0; i < extra; ++i) size = size << 8 | static_cast<uint8_t>(bytes[2 + i]);
      head += extra;
    }
    if (bytes.size() < head + size) break;
    out.push_back({bytes[0] & 0x0f, bytes.substr(head, size)});
    bytes.erase(0, head + size);
  }
  return out;
}

inline constexpr char kSpdyDictionary[] =
#include "apiserver/streams/spdy_dictionary.inc"
    ;

class SpdyClient {
 public:
  SpdyClient() {
    deflateInit(&out_, Z_DEFAULT_COMPRESSION);
    deflateSetDictionary(&out_, reinterpret_cast<const Bytef*>(kSpdyDictionary), sizeof kSpdyDictionary - 1);
  }
  ~SpdyClient() { deflateEnd(&out_); }
  SpdyClient(const SpdyClient&) = delete;
  SpdyClient& operator=(const SpdyClient&) = delete;

  static std::string control(int type, int flags, std::string_view body) {
    return "\x80\x03" + big_endian(static_cast<uint64_t>(type), 2) + static_cast<char>(flags) +
           big_endian(body.size(), 3) + std::string(body);
  }
  std::string open(uint32_t stream, const std::vector<std::pair<std::string, std::string>>& headers, bool fin = false) {
    std::string plain = big_endian(headers.size(), 4);
    for (const auto& [name, value] : headers)
      plain.append(big_endian(name.size(), 4)).append(name).append(big_endian(value.size(), 4)).append(value);
    return control(1, fin, big_endian(stream, 4) + std::string(6, '\0') + pack(plain));
  }
  static std::string data(uint32_t stream, std::string_view bytes, bool fin = false) {
    return big_endian(stream, 4) + static_cast<char>(fin) + big_endian(bytes.size(), 3) + std::string(bytes);
  }
  std::string pack(std::string_view plain) {
    std::string packed(plain.size() + 4096, '\0');
    out_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    out_.avail_in = static_cast<uInt>(plain.size());
    out_.next_out = reinterpret_cast<Bytef*>(packed.data());
    out_.avail_out = static_cast<uInt>(packed.size());
    deflate(&out_, Z_SYNC_FLUSH);
    packed.resize(packed.size() - out_.avail_out);
    return packed;
  }

 private:
  z_stream out_{};
};

struct SpdyFrame {
  int type = 0;  // 0 = data
  uint32_t stream = 0;
  bool fin = false;
  std::string payload;  // of data
};
// Takes whole frames of a server off the front.
inline std::vector<SpdyFrame> spdy_frames(std::string& bytes) {
  std::vector<SpdyFrame> out;
  const auto number = [&](size_t at, size_t size) {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
    return value;
  };
  while (bytes.size() >= 8 && bytes.size() >= 8 + number(5, 3)) {
    const bool control = bytes[0] & 0x80;
    const uint32_t size = number(5, 3);
    SpdyFrame frame{.type = control ? static_cast<int>(number(2, 2)) : 0,
                    .stream = control ? (size >= 4 ? number(8, 4) : 0) : number(0, 4),
                    .fin = (bytes[4] & 1) != 0,
                    .payload = bytes.substr(8, size)};
    out.push_back(std::move(frame));
    bytes.erase(0, 8 + size);
  }
  return out;
}

}  // namespace carrick::apiserver::test
