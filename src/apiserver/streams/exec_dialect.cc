#include "apiserver/streams/exec_dialect.h"

#include <map>

#include "apiserver/document.h"
#include "apiserver/streams/spdy.h"
#include "apiserver/streams/websocket.h"
#include "base/encoding.h"

namespace carrick::apiserver {
namespace {

enum Channel : uint8_t { kStdin = 0, kStdout = 1, kStderr = 2, kError = 3, kResize = 4, kClose = 255 };
constexpr size_t kMaxResize = 4096;

class WebSocketExec : public ExecDialect {
 public:
  WebSocketExec(int version, bool base64_text, const ExecStreams& streams)
      : version_(version), base64_(base64_text), streams_(streams) {
    // Tells the client that somebody is there, as a kubelet does.
    if (version_ < 5) say(streams.out ? kStdout : streams.err ? kStderr : kError, "");
  }

  Result<void> feed(std::string_view bytes, const OnEvent& on_event) override {
    return socket_.feed(bytes, [&](const WebSocketMessage& message) { heard(message.payload, on_event); });
  }
  bool ready() const override { return true; }
  bool gone() const override { return socket_.closed_by_client(); }
  void write(Output output, std::string_view bytes) override {
    if (output == Output::kOut ? streams_.out : streams_.err) say(output == Output::kOut ? kStdout : kStderr, bytes);
  }
  void finish(const ExecEnd& end) override {
    if (const std::string text = exec_status(version_, end); !text.empty()) say(kError, text);
    socket_.close();
  }
  std::string take_output() override { return socket_.take_output(); }
  size_t pending() const override { return socket_.pending(); }

 private:
  void say(uint8_t channel, std::string_view bytes) {
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
    if (channel == kStdin && streams_.in && !input_ended_ && !payload.empty())
      on_event({.kind = ExecEvent::Kind::kInput, .data = payload});
    if (channel == kResize)
      if (const auto resize = parse_resize(payload)) on_event(*resize);
    const bool close = version_ >= 5 && channel == kClose && payload.size() == 1 && payload[0] == kStdin;
    if (close && !std::exchange(input_ended_, true)) on_event({.kind = ExecEvent::Kind::kInputEnd});
  }

  int version_;
  bool base64_;
  ExecStreams streams_;
  WebSocketSession socket_;
  bool input_ended_ = false;
};

class SpdyExec : public ExecDialect {
 public:
  SpdyExec(int version, const ExecStreams& streams) : version_(version) {
    ExecStreams wanted = streams;
    if (wanted.tty) wanted.err = false;  // a terminal has one output
    expected_ = 1 + wanted.in + wanted.out + wanted.err + (wanted.tty && version >= 3);
  }

  Result<void> feed(std::string_view bytes, const OnEvent& on_event) override {
    return session_.feed(bytes, [&](const SpdyEvent& event) { heard(event, on_event); });
  }
  bool ready() const override { return opened_ >= expected_; }
  bool gone() const override { return gone_; }
  void write(Output output, std::string_view bytes) override {
    session_.send(stream_of(output == Output::kOut ? "stdout" : "stderr"), bytes);
  }
  void finish(const ExecEnd& end) override {
    for (const char* name : {"stdout", "stderr"}) session_.end(stream_of(name));
    session_.send(stream_of("error"), exec_status(version_, end));
    for (const char* name : {"error", "stdin", "resize"}) session_.end(stream_of(name));
    session_.go_away();
  }
  std::string take_output() override { return session_.take_output(); }
  size_t pending() const override { return session_.pending(); }

 private:
  uint32_t stream_of(std::string_view name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? 0 : found->second;
  }
  void heard(const SpdyEvent& event, const OnEvent& on_event) {
    switch (event.kind) {
      case SpdyEvent::Kind::kOpen: {
        std::string name;
        for (const auto& [key, value] : *event.headers)
          if (key == "streamtype") name = value;
        session_.accept(event.stream);
        ++opened_;
        by_name_.emplace(std::move(name), event.stream);
        return;
      }
      case SpdyEvent::Kind::kData:
        if (event.stream == stream_of("stdin")) on_event({.kind = ExecEvent::Kind::kInput, .data = event.data});
        if (event.stream == stream_of("resize")) resize(event.data, on_event);
        return;
      case SpdyEvent::Kind::kEnd:
      case SpdyEvent::Kind::kReset:
        if (event.stream == stream_of("stdin")) on_event({.kind = ExecEvent::Kind::kInputEnd});
        return;
      case SpdyEvent::Kind::kGoAway:
        gone_ = true;
        return;
    }
  }
  // A stream of JSON objects, which may arrive in pieces.
  void resize(std::string_view bytes, const OnEvent& on_event) {
    resize_ += bytes;
    for (size_t end; (end = resize_.find('}')) != std::string::npos; resize_.erase(0, end + 1))
      if (const auto event = parse_resize(std::string_view(resize_).substr(0, end + 1))) on_event(*event);
    if (resize_.size() > kMaxResize) resize_.clear();
  }

  int version_;
  int expected_ = 1, opened_ = 0;
  bool gone_ = false;
  SpdySession session_;
  std::map<std::string, uint32_t, std::less<>> by_name_;  // the first of each
  std::string resize_;
};

}  // namespace

std::unique_ptr<ExecDialect> websocket_exec(int version, bool base64, const ExecStreams& streams) {
  return std::make_unique<WebSocketExec>(version, base64, streams);
}

std::unique_ptr<ExecDialect> spdy_exec(int version, const ExecStreams& streams) {
  return std::make_unique<SpdyExec>(version, streams);
}

std::string exec_status(int version, const ExecEnd& end) {
  if (version < 4) {
    if (!end.failure.empty()) return end.failure;
    return end.exit_code == 0
               ? ""
               : fmt::format("command terminated with non-zero exit code: exit status {}", end.exit_code);
  }
  json::object status{{"metadata", json::object{}}};
  if (!end.failure.empty()) {
    status["status"] = "Failure";
    status["message"] = "Internal error occurred: " + end.failure;
    status["reason"] = "InternalError";
    json::array causes;
    causes.push_back(json::object{{"message", end.failure}});
    status["details"] = json::object{{"causes", std::move(causes)}};
    status["code"] = 500;
  } else if (end.exit_code == 0) {
    status["status"] = "Success";
  } else {
    status["status"] = "Failure";
    status["message"] = fmt::format("command terminated with non-zero exit code: exit status {}", end.exit_code);
    status["reason"] = "NonZeroExitCode";
    json::array causes;
    causes.push_back(json::object{{"reason", "ExitCode"}, {"message", std::to_string(end.exit_code)}});
    status["details"] = json::object{{"causes", std::move(causes)}};
  }
  return json::serialize(status);
}

std::optional<ExecEvent> parse_resize(std::string_view text) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  const int64_t width = number_at(value.get_object(), "Width"), height = number_at(value.get_object(), "Height");
  if (width < 0 || width > 65535 || height < 0 || height > 65535) return std::nullopt;
  return ExecEvent{
      .kind = ExecEvent::Kind::kResize, .width = static_cast<uint16_t>(width), .height = static_cast<uint16_t>(height)};
}

}  // namespace carrick::apiserver
