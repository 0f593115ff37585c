#include "apiserver/streams/forward_dialect.h"

#include <charconv>
#include <map>
#include <optional>

#include "apiserver/streams/spdy.h"
#include "apiserver/streams/websocket.h"
#include "base/encoding.h"

namespace carrick::apiserver {
namespace {

std::string_view header(const SpdyHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

std::optional<uint32_t> parse_number(std::string_view text, uint32_t most) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

// A connection is a pair of streams: the one of errors, then the one of data, whose number is the connection's.
class SpdyForward : public ForwardDialect {
 public:
  Result<void> feed(std::string_view bytes, const OnEvent& on_event) override {
    return session_.feed(bytes, [&](const SpdyEvent& event) { heard(event, on_event); });
  }
  bool gone() const override { return gone_; }
  void write(uint32_t id, std::string_view bytes) override { session_.send(id, bytes); }
  void end(uint32_t id) override {
    session_.end(id);
    if (const auto pair = connections_.find(id); pair != connections_.end()) session_.end(pair->second);
  }
  void fail(uint32_t id, std::string_view sentence) override {
    const auto pair = connections_.find(id);
    if (pair == connections_.end()) return;
    session_.send(pair->second, sentence);
    session_.end(pair->second);
    session_.reset(id);
    connections_.erase(pair);
  }
  std::string take_output() override { return session_.take_output(); }
  size_t pending() const override { return session_.pending(); }

 private:
  struct Half {
    uint32_t data = 0, error = 0;
    uint16_t port = 0;
  };
  void heard(const SpdyEvent& event, const OnEvent& on_event) {
    switch (event.kind) {
      case SpdyEvent::Kind::kOpen:
        return opened(event.stream, *event.headers, on_event);
      case SpdyEvent::Kind::kData:
        if (connections_.contains(event.stream))
          on_event({.kind = ForwardEvent::Kind::kData, .id = event.stream, .data = event.data});
        return;
      case SpdyEvent::Kind::kEnd:
        if (connections_.contains(event.stream)) on_event({.kind = ForwardEvent::Kind::kEnd, .id = event.stream});
        return;
      case SpdyEvent::Kind::kReset:
        for (auto& [id, error] : connections_)
          if (id == event.stream || error == event.stream) {
            const uint32_t gone = id;
            session_.reset(event.stream == id ? error : id);
            connections_.erase(gone);
            return on_event({.kind = ForwardEvent::Kind::kAbort, .id = gone});
          }
        return;
      case SpdyEvent::Kind::kGoAway:
        gone_ = true;
        return;
    }
  }
  void opened(uint32_t stream, const SpdyHeaders& headers, const OnEvent& on_event) {
    const std::string_view type = header(headers, "streamtype");
    const auto port = parse_number(header(headers, "port"), 65535);
    if (!port || *port == 0 || (type != "data" && type != "error")) return session_.reset(stream);
    session_.accept(stream);
    std::string request(header(headers, "requestid"));
    // Clients older than the header open both streams in a row.
    if (request.empty()) request = std::to_string(type == "error" ? stream : stream - 2);
    Half& half = halves_[request];
    (type == "data" ? half.data : half.error) = stream;
    half.port = static_cast<uint16_t>(*port);
    if (half.data == 0 || half.error == 0) return;
    const Half whole = half;
    halves_.erase(request);
    connections_[whole.data] = whole.error;
    on_event({.kind = ForwardEvent::Kind::kOpen, .id = whole.data, .port = whole.port});
  }

  SpdySession session_;
  std::map<std::string, Half> halves_;        // by request; at most as many as streams may be open
  std::map<uint32_t, uint32_t> connections_;  // stream of data -> stream of errors
  bool gone_ = false;
};

class TunnelledForward : public ForwardDialect {
 public:
  Result<void> feed(std::string_view bytes, const OnEvent& on_event) override {
    Result<void> inside;
    const auto read = socket_.feed(bytes, [&](const WebSocketMessage& message) {
      if (inside) inside = spdy_.feed(message.payload, on_event);
    });
    if (!inside) return inside;
    return read;
  }
  bool gone() const override { return socket_.closed_by_client() || spdy_.gone(); }
  void write(uint32_t id, std::string_view bytes) override { spdy_.write(id, bytes); }
  void end(uint32_t id) override { spdy_.end(id); }
  void fail(uint32_t id, std::string_view sentence) override { spdy_.fail(id, sentence); }
  std::string take_output() override {
    if (const std::string bytes = spdy_.take_output(); !bytes.empty()) socket_.send(bytes);
    return socket_.take_output();
  }
  size_t pending() const override { return socket_.pending() + spdy_.pending(); }

 private:
  WebSocketSession socket_;
  SpdyForward spdy_;
};

class WebSocketForward : public ForwardDialect {
 public:
  WebSocketForward(bool base64_text, std::vector<uint16_t> ports)
      : base64_(base64_text), ports_(std::move(ports)), left_(ports_.size()), ended_(ports_.size()) {}

  Result<void> feed(std::string_view bytes, const OnEvent& on_event) override {
    if (!std::exchange(begun_, true))
      for (size_t i = 0; i < ports_.size(); ++i) {
        const std::string port{static_cast<char>(ports_[i]), static_cast<char>(ports_[i] >> 8)};  // little endian
        say(2 * i, port);
        say(2 * i + 1, port);
        on_event({.kind = ForwardEvent::Kind::kOpen, .id = static_cast<uint32_t>(i), .port = ports_[i]});
      }
    return socket_.feed(bytes, [&](const WebSocketMessage& message) { heard(message.payload, on_event); });
  }
  bool gone() const override { return socket_.closed_by_client(); }
  void write(uint32_t id, std::string_view bytes) override { say(2 * id, bytes); }
  // There is no word for the end of one of many.
  void end(uint32_t id) override {
    if (!std::exchange(ended_[id], 1) && --left_ == 0) socket_.close();
  }
  void fail(uint32_t id, std::string_view sentence) override {
    say(2 * id + 1, sentence);
    end(id);
  }
  std::string take_output() override { return socket_.take_output(); }
  size_t pending() const override { return socket_.pending(); }

 private:
  void say(size_t channel, std::string_view bytes) {
    if (base64_)
      socket_.send(static_cast<char>('0' + channel) + base64(bytes), true);
    else
      socket_.send(static_cast<char>(channel) + std::string(bytes));
  }
  void heard(std::string_view payload, const OnEvent& on_event) {
    if (payload.empty()) return;
    auto channel = static_cast<uint8_t>(payload[0]);
    payload.remove_prefix(1);
    std::string decoded;
    if (base64_) {
      channel -= '0';
      decoded = from_base64(payload).value_or("");
      payload = decoded;
    }
    const uint32_t id = channel / 2;
    if (channel % 2 == 0 && id < ports_.size() && !payload.empty())
      on_event({.kind = ForwardEvent::Kind::kData, .id = id, .data = payload});
  }

  bool base64_, begun_ = false;
  std::vector<uint16_t> ports_;
  size_t left_;
  std::vector<char> ended_;
  WebSocketSession socket_;
};

}  // namespace

std::unique_ptr<ForwardDialect> spdy_forward() { return std::make_unique<SpdyForward>(); }
std::unique_ptr<ForwardDialect> tunnelled_forward() { return std::make_unique<TunnelledForward>(); }
std::unique_ptr<ForwardDialect> websocket_forward(bool base64, std::vector<uint16_t> ports) {
  return std::make_unique<WebSocketForward>(base64, std::move(ports));
}

}  // namespace carrick::apiserver
