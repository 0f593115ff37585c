#include "apiserver/streams/spdy.h"

#include <zlib.h>

#include <algorithm>
#include <array>

namespace carrick::apiserver {
namespace {

constexpr char kDictionaryText[] =
#include "apiserver/streams/spdy_dictionary.inc"
    ;
constexpr uInt kDictionarySize = sizeof kDictionaryText - 1;
static_assert(kDictionarySize == 1423);

const Bytef* dictionary() { return reinterpret_cast<const Bytef*>(kDictionaryText); }

constexpr uint16_t kVersion = 3;
enum Type : uint16_t { kSynStream = 1, kSynReply = 2, kRstStream = 3, kPing = 6, kGoAway = 7, kHeaders = 8 };
constexpr uint8_t kFin = 1;
constexpr uint32_t kRefused = 3;  // of RST_STREAM

uint32_t number(std::string_view bytes, size_t at, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

std::string big_endian(uint32_t value, int size = 4) {
  std::string out;
  for (int i = size - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::unexpected<Error> broken(std::string_view why) {
  return fail(ErrorKind::kInvalid, "the client breaks SPDY/3.1: {}", why);
}

}  // namespace

// One stream of compression each way for the whole session.
struct SpdySession::Zlib {
  z_stream in{}, out{};
  Zlib() {
    inflateInit(&in);
    deflateInit(&out, Z_DEFAULT_COMPRESSION);
    deflateSetDictionary(&out, dictionary(), kDictionarySize);
  }
  ~Zlib() {
    inflateEnd(&in);
    deflateEnd(&out);
  }
  Zlib(const Zlib&) = delete;
  Zlib& operator=(const Zlib&) = delete;

  Result<std::string> unpack(std::string_view packed, size_t limit) {
    std::string out_text;
    in.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    in.avail_in = static_cast<uInt>(packed.size());
    while (true) {
      std::array<char, 4096> piece;
      in.next_out = reinterpret_cast<Bytef*>(piece.data());
      in.avail_out = piece.size();
      int code = inflate(&in, Z_SYNC_FLUSH);
      if (code == Z_NEED_DICT) code = inflateSetDictionary(&in, dictionary(), kDictionarySize);
      if (code != Z_OK && code != Z_BUF_ERROR) return broken("a header block cannot be unpacked");
      const size_t got = piece.size() - in.avail_out;
      out_text.append(piece.data(), got);
      if (out_text.size() > limit) return broken("a header block is too large");
      if (in.avail_in == 0 && in.avail_out > 0) return out_text;
      if (code == Z_BUF_ERROR && got == 0) return broken("a header block cannot be unpacked");
    }
  }

  std::string pack(std::string_view plain) {
    std::string packed(deflateBound(&out, plain.size()) + 64, '\0');
    out.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    out.avail_in = static_cast<uInt>(plain.size());
    out.next_out = reinterpret_cast<Bytef*>(packed.data());
    out.avail_out = static_cast<uInt>(packed.size());
    deflate(&out, Z_SYNC_FLUSH);
    packed.resize(packed.size() - out.avail_out);
    return packed;
  }
};

SpdySession::SpdySession(Limits limits) : limits_(limits), zlib_(std::make_unique<Zlib>()) {}
SpdySession::~SpdySession() = default;
SpdySession::SpdySession(SpdySession&&) noexcept = default;
SpdySession& SpdySession::operator=(SpdySession&&) noexcept = default;

Result<void> SpdySession::feed(std::string_view bytes, const OnEvent& on_event) {
  while (!bytes.empty()) {
    if (data_left_ > 0) {
      const std::string_view piece = bytes.substr(0, data_left_);
      bytes.remove_prefix(piece.size());
      data_left_ -= static_cast<uint32_t>(piece.size());
      const uint32_t stream = number(head_, 0, 4);
      const auto found = streams_.find(stream);
      if (found != streams_.end() && !found->second.ended_by_client)
        on_event({.kind = SpdyEvent::Kind::kData, .stream = stream, .data = piece});
      if (data_left_ > 0) return {};
      if (static_cast<uint8_t>(head_[4]) & kFin) client_ended(stream, on_event);
      head_.clear();
      continue;
    }
    const std::string_view piece = bytes.substr(0, wanted_ - head_.size());
    head_ += piece;
    bytes.remove_prefix(piece.size());
    if (head_.size() < wanted_) return {};
    const bool is_control = static_cast<uint8_t>(head_[0]) & 0x80;
    const uint32_t size = number(head_, 5, 3);
    if (wanted_ == 8 && is_control) {
      if ((number(head_, 0, 2) & 0x7fff) != kVersion) return broken("another version than 3");
      if (size > limits_.control_bytes) return broken("a control frame is too large");
      wanted_ = 8 + size;
      if (size > 0) continue;
    }
    if (is_control) {
      wanted_ = 8;
      TRY_VOID(control_frame(on_event));
      head_.clear();
      continue;
    }
    data_left_ = size;
    if (size > 0) continue;
    if (static_cast<uint8_t>(head_[4]) & kFin) client_ended(number(head_, 0, 4), on_event);
    head_.clear();
  }
  return {};
}

Result<void> SpdySession::control_frame(const OnEvent& on_event) {
  const uint32_t type = number(head_, 2, 2);
  const auto flags = static_cast<uint8_t>(head_[4]);
  const std::string_view body = std::string_view(head_).substr(8);
  switch (type) {
    case kSynStream:
      return open_stream(body, flags, on_event);
    case kRstStream: {
      if (body.size() != 8) return broken("RST_STREAM has another size");
      const uint32_t stream = number(body, 0, 4) & 0x7fffffff;
      if (streams_.erase(stream) > 0) on_event({.kind = SpdyEvent::Kind::kReset, .stream = stream});
      return {};
    }
    case kPing:
      if (body.size() != 4) return broken("PING has another size");
      control(kPing, 0, body);
      return {};
    case kGoAway:
      on_event({.kind = SpdyEvent::Kind::kGoAway});
      return {};
    case kHeaders: {
      if (body.size() < 4) return broken("HEADERS has another size");
      TRY_VOID(read_headers(body.substr(4)));  // the compression goes on from block to block
      if (flags & kFin) client_ended(number(body, 0, 4) & 0x7fffffff, on_event);
      return {};
    }
    case kSynReply:
      return broken("an answer to a stream that was not opened");
    default:
      return {};  // SETTINGS, WINDOW_UPDATE, and whatever else may be passed over
  }
}

Result<void> SpdySession::open_stream(std::string_view body, uint8_t flags, const OnEvent& on_event) {
  if (body.size() < 10) return broken("SYN_STREAM has another size");
  const uint32_t stream = number(body, 0, 4) & 0x7fffffff;
  const SpdyHeaders headers = TRY(read_headers(body.substr(10)));
  if (stream % 2 == 0 || stream <= last_stream_) return broken("a stream's number is not the next odd one");
  last_stream_ = stream;
  if (streams_.size() >= limits_.streams) {
    control(kRstStream, 0, big_endian(stream) + big_endian(kRefused));
    return {};
  }
  streams_[stream] = {};
  on_event({.kind = SpdyEvent::Kind::kOpen, .stream = stream, .headers = &headers});
  if (flags & kFin) client_ended(stream, on_event);
  return {};
}

Result<SpdyHeaders> SpdySession::read_headers(std::string_view packed) {
  const std::string plain = TRY(zlib_->unpack(packed, limits_.header_bytes));
  std::string_view rest = plain;
  const auto take_number = [&]() -> Result<uint32_t> {
    if (rest.size() < 4) return broken("a header block ends too early");
    const uint32_t value = number(rest, 0, 4);
    rest.remove_prefix(4);
    return value;
  };
  const auto take_text = [&]() -> Result<std::string> {
    const uint32_t size = TRY(take_number());
    if (size > rest.size()) return broken("a header block ends too early");
    std::string text(rest.substr(0, size));
    rest.remove_prefix(size);
    return text;
  };
  const uint32_t count = TRY(take_number());
  if (count > limits_.headers) return broken("too many headers");
  SpdyHeaders headers;
  for (uint32_t i = 0; i < count; ++i) {
    std::string name = TRY(take_text());
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
    headers.emplace_back(std::move(name), TRY(take_text()));
  }
  return headers;
}

void SpdySession::client_ended(uint32_t stream, const OnEvent& on_event) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || std::exchange(found->second.ended_by_client, true)) return;
  on_event({.kind = SpdyEvent::Kind::kEnd, .stream = stream});
  forget_when_done(stream);
}

void SpdySession::forget_when_done(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found != streams_.end() && found->second.ended_by_client && found->second.ended_by_us) streams_.erase(found);
}

void SpdySession::control(uint16_t type, uint8_t flags, std::string_view body) {
  output_ += big_endian(0x8000u | kVersion, 2) + big_endian(type, 2);
  output_ += static_cast<char>(flags);
  output_ += big_endian(static_cast<uint32_t>(body.size()), 3);
  output_ += body;
}

void SpdySession::accept(uint32_t stream) {
  if (!streams_.contains(stream)) return;
  control(kSynReply, 0, big_endian(stream) + zlib_->pack(big_endian(0)));  // no headers
}

void SpdySession::send(uint32_t stream, std::string_view bytes) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.ended_by_us) return;
  constexpr size_t kMaxFrame = 1u << 20;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kMaxFrame))) {
    const std::string_view piece = bytes.substr(0, kMaxFrame);
    output_ += big_endian(stream) + '\0' + big_endian(static_cast<uint32_t>(piece.size()), 3);
    output_ += piece;
  }
}

void SpdySession::end(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || std::exchange(found->second.ended_by_us, true)) return;
  output_ += big_endian(stream) + static_cast<char>(kFin) + big_endian(0, 3);
  forget_when_done(stream);
}

void SpdySession::reset(uint32_t stream) {
  if (streams_.erase(stream) > 0) control(kRstStream, 0, big_endian(stream) + big_endian(kRefused));
}

void SpdySession::go_away() { control(kGoAway, 0, big_endian(last_stream_) + big_endian(0)); }

}  // namespace carrick::apiserver
