#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

// The server's side of SPDY/3.1 framing, as the API's older streaming clients speak it: header blocks in zlib with the
// dictionary of the protocol, streams, pings. Flow control windows are ignored, as those clients ignore them: the
// socket below holds a sender back. Pure: bytes in, events and bytes out.
namespace carrick::apiserver {

using SpdyHeaders = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct SpdyEvent {
  enum class Kind {
    kOpen,    // the client opened a stream
    kData,    // bytes of it; valid during the call only
    kEnd,     // the client sends no more on it
    kReset,   // it is gone
    kGoAway,  // the client opens no more streams
  } kind;
  uint32_t stream = 0;
  const SpdyHeaders* headers = nullptr;  // of kOpen
  std::string_view data = {};            // of kData
};

class SpdySession {
 public:
  struct Limits {
    size_t streams = 1024;             // open at one time
    size_t control_bytes = 64u << 10;  // of one control frame
    size_t header_bytes = 64u << 10;   // of one header block, unpacked
    size_t headers = 64;               // in one block
  };
  using OnEvent = std::function<void(const SpdyEvent&)>;

  SpdySession() : SpdySession(Limits{}) {}
  explicit SpdySession(Limits limits);
  ~SpdySession();
  SpdySession(SpdySession&&) noexcept;
  SpdySession& operator=(SpdySession&&) noexcept;

  // kInvalid: the client breaks the protocol, and nothing more can be read. Any split of the bytes gives the same
  // events.
  Result<void> feed(std::string_view bytes, const OnEvent& on_event);

  void accept(uint32_t stream);                        // answers kOpen: SYN_REPLY
  void send(uint32_t stream, std::string_view bytes);  // nothing for a stream that is not open
  void end(uint32_t stream);                           // our side is done
  void reset(uint32_t stream);                         // refuses it, or ends it both ways
  void go_away();
  std::string take_output() { return std::exchange(output_, {}); }
  size_t pending() const { return output_.size(); }

 private:
  struct Zlib;
  struct Stream {
    bool ended_by_client = false, ended_by_us = false;
  };
  Result<void> control_frame(const OnEvent& on_event);
  Result<void> open_stream(std::string_view body, uint8_t flags, const OnEvent& on_event);
  Result<SpdyHeaders> read_headers(std::string_view packed);
  void control(uint16_t type, uint8_t flags, std::string_view body);
  void client_ended(uint32_t stream, const OnEvent& on_event);
  void forget_when_done(uint32_t stream);

  Limits limits_;
  std::unique_ptr<Zlib> zlib_;
  std::map<uint32_t, Stream> streams_;
  uint32_t last_stream_ = 0;
  std::string head_;        // of the frame that is being read: its eight bytes, then a control frame's body
  uint32_t wanted_ = 8;     // bytes that head_ must have before it is looked at
  uint32_t data_left_ = 0;  // of a data frame
  std::string output_;
};

}  // namespace carrick::apiserver
