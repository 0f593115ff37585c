#include <gmock/gmock.h>

#include "apiserver/streams/spdy.h"
#include "apiserver/streams/test_client.h"
#include "apiserver/streams/upgrade.h"
#include "apiserver/streams/websocket.h"

namespace carrick::apiserver {
namespace {

using test::SpdyClient;
using test::ws_frame;
using testing::ElementsAre;
using testing::HasSubstr;

// What one feed leads to, as words; the input also byte by byte, which must say the same.
std::vector<std::string> heard(const std::vector<std::string>& feeds) {
  const auto run = [&](bool single_bytes) {
    WebSocketSession session;
    std::vector<std::string> out;
    for (const std::string& bytes : feeds) {
      const size_t step = single_bytes ? 1 : std::max<size_t>(bytes.size(), 1);
      for (size_t at = 0; at < bytes.size(); at += step) {
        const auto read = session.feed(bytes.substr(at, step), [&](const WebSocketMessage& message) {
          out.push_back((message.text ? "text " : "binary ") + std::string(message.payload));
        });
        if (read) continue;
        out.push_back(read.error().message);
        return out;
      }
    }
    if (session.closed_by_client()) out.emplace_back("closed");
    std::string answers = session.take_output();
    for (const auto& frame : test::ws_frames(answers)) out.push_back(fmt::format("-> {}", frame.opcode));
    return out;
  };
  const auto whole = run(false);
  auto sorted_whole = whole, sorted_single = run(true);
  EXPECT_EQ(sorted_whole, sorted_single);
  return whole;
}

TEST(WebSocket, Accept) {  // RFC 6455, section 1.3
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(WebSocket, Messages) {
  EXPECT_THAT(heard({ws_frame(2, "abc") + ws_frame(1, "\xc3\xa9")}), ElementsAre("binary abc", "text \xc3\xa9"));
  EXPECT_THAT(heard({ws_frame(2, "a", false), ws_frame(9, "?"), ws_frame(0, "b", false), ws_frame(0, "c")}),
              ElementsAre("binary abc", "-> 10"));
  EXPECT_THAT(heard({ws_frame(2, std::string(70'000, 'x'))}), ElementsAre("binary " + std::string(70'000, 'x')));
  EXPECT_THAT(heard({ws_frame(8, "\x03\xe8")}), ElementsAre("closed", "-> 8"));
  EXPECT_THAT(heard({ws_frame(8, "") + ws_frame(2, "after the end")}), ElementsAre("closed", "-> 8"));
}

TEST(WebSocket, BrokenClients) {
  const auto refused = [](std::string_view why) {
    return ElementsAre(HasSubstr("the client breaks the WebSocket protocol: " + std::string(why)));
  };
  EXPECT_THAT(heard({std::string("\x82\x01x", 3)}), refused("a frame of a client is not masked"));
  EXPECT_THAT(heard({std::string("\xf2\x80\0\0\0\0", 6)}), refused("a reserved bit is set"));
  EXPECT_THAT(heard({ws_frame(0, "x")}), refused("nothing to continue"));
  EXPECT_THAT(heard({ws_frame(2, "x", false) + ws_frame(2, "y")}),
              ElementsAre(HasSubstr("a message begins inside another")));
  EXPECT_THAT(heard({ws_frame(9, "x", false)}), refused("a control frame is too long"));
  EXPECT_THAT(heard({ws_frame(3, "x")}), refused("an unknown kind of frame"));
  EXPECT_THAT(heard({ws_frame(1, "\xff")}), refused("a text message is not UTF-8"));
  EXPECT_THAT(heard({std::string("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", 10)}), refused("a message is too long"));
}

std::vector<std::string> spdy_heard(const std::string& bytes, size_t step, SpdySession::Limits limits = {}) {
  SpdySession session(limits);
  std::vector<std::string> out;
  for (size_t at = 0; at < bytes.size(); at += step) {
    const auto read = session.feed(std::string_view(bytes).substr(at, step), [&](const SpdyEvent& event) {
      std::string word = fmt::format("{} ", event.stream);
      switch (event.kind) {
        case SpdyEvent::Kind::kOpen:
          word += "open";
          for (const auto& [name, value] : *event.headers) word += fmt::format(" {}={}", name, value);
          session.accept(event.stream);
          break;
        case SpdyEvent::Kind::kData:
          if (!out.empty() && out.back().starts_with(word + "data ")) {  // in pieces
            out.back() += event.data;
            return;
          }
          word += "data " + std::string(event.data);
          break;
        case SpdyEvent::Kind::kEnd:
          word += "end";
          break;
        case SpdyEvent::Kind::kReset:
          word += "reset";
          break;
        case SpdyEvent::Kind::kGoAway:
          word += "go away";
          break;
      }
      out.push_back(word);
    });
    if (!read) {
      out.push_back(read.error().message);
      return out;
    }
  }
  std::string answers = session.take_output();
  for (const auto& frame : test::spdy_frames(answers)) out.push_back(fmt::format("-> {} {}", frame.type, frame.stream));
  return out;
}

TEST(Spdy, StreamsInAnyPieces) {
  SpdyClient client;
  const std::string bytes = client.open(1, {{"StreamType", "error"}}) + client.open(3, {{"streamtype", "stdin"}}) +
                            SpdyClient::data(3, "hello") + SpdyClient::control(6, 0, test::big_endian(7, 4)) +
                            SpdyClient::data(3, "", true) + SpdyClient::data(3, "late") +
                            SpdyClient::control(4, 0, test::big_endian(0, 4)) +
                            SpdyClient::control(3, 0, test::big_endian(1, 4) + test::big_endian(5, 4)) +
                            SpdyClient::control(7, 0, std::string(8, '\0'));
  for (const size_t step : {bytes.size(), size_t{1}, size_t{3}, size_t{11}})
    EXPECT_THAT(spdy_heard(bytes, step),
                ElementsAre("1 open streamtype=error", "3 open streamtype=stdin", "3 data hello", "3 end", "1 reset",
                            "0 go away", "-> 2 1", "-> 2 3", "-> 6 7"));
}

TEST(Spdy, BrokenClients) {
  const auto last = [](const std::string& bytes, SpdySession::Limits limits = {}) {
    return spdy_heard(bytes, bytes.size(), limits).back();
  };
  SpdyClient a, b, c, d, e, f;
  EXPECT_THAT(last(a.open(2, {})), HasSubstr("a stream's number is not the next odd one"));
  EXPECT_THAT(last(b.open(3, {}) + b.open(1, {})), HasSubstr("a stream's number is not the next odd one"));
  EXPECT_THAT(last(SpdyClient::control(1, 0, std::string(10, '\0') + "nothing packed")), HasSubstr("unpacked"));
  EXPECT_THAT(last(SpdyClient::control(2, 0, std::string(8, '\0'))), HasSubstr("not opened"));
  EXPECT_THAT(last(std::string("\x80\x02\0\1\0\0\0\0", 8)), HasSubstr("another version"));
  EXPECT_THAT(last(std::string("\x80\x03\0\1\0\xff\xff\xff", 8)), HasSubstr("control frame is too large"));
  EXPECT_THAT(last(c.open(1, {{"a", std::string(100'000, 'x')}})),
              HasSubstr("a header block is too large"));  // packed it is small
  EXPECT_THAT(last(SpdyClient::control(
                  1, 0, std::string(10, '\0') + d.pack(test::big_endian(1, 4) + test::big_endian(~0u, 4)))),
              HasSubstr("ends too early"));
  EXPECT_THAT(last(SpdyClient::control(1, 0, std::string(10, '\0') + e.pack(test::big_endian(~0u, 4)))),
              HasSubstr("too many headers"));
  // One stream more than allowed is refused, and the session goes on.
  EXPECT_EQ(last(f.open(1, {}) + f.open(3, {}), {.streams = 1}), "-> 3 3");
}

struct Exec {
  explicit Exec(std::unique_ptr<ExecDialect> with) : dialect(std::move(with)) {}
  void feed(const std::string& bytes) {
    const auto read = dialect->feed(bytes, [&](const ExecEvent& event) {
      if (event.kind == ExecEvent::Kind::kInput) events.push_back("in " + std::string(event.data));
      if (event.kind == ExecEvent::Kind::kInputEnd) events.emplace_back("in end");
      if (event.kind == ExecEvent::Kind::kResize) events.push_back(fmt::format("{}x{}", event.width, event.height));
    });
    if (!read) events.push_back(read.error().message);
  }
  std::vector<std::string> ws_output() {
    std::vector<std::string> out;
    std::string bytes = dialect->take_output();
    for (const auto& frame : test::ws_frames(bytes)) {
      std::string payload = frame.payload;
      if (frame.opcode == 2 && !payload.empty()) payload[0] = static_cast<char>('0' + payload[0]);
      out.push_back(frame.opcode == 8 ? "close" : payload);
    }
    return out;
  }
  std::unique_ptr<ExecDialect> dialect;
  std::vector<std::string> events;
};

TEST(ExecDialect, WebSocket5) {
  Exec exec(websocket_exec(5, false, {.in = true, .out = true, .err = true}));
  EXPECT_TRUE(exec.dialect->ready());
  exec.feed(ws_frame(2, std::string("\0ls\n", 4)) + ws_frame(2, "\x04{\"Width\":80,\"Height\":24}") +
            ws_frame(2, std::string("\xff\x00", 2)) + ws_frame(2, std::string("\0late", 5)) + ws_frame(2, ""));
  EXPECT_THAT(exec.events, ElementsAre("in ls\n", "80x24", "in end"));
  exec.dialect->write(Output::kOut, "o");
  exec.dialect->write(Output::kErr, "e");
  exec.dialect->finish({.exit_code = 3});
  EXPECT_THAT(
      exec.ws_output(),
      ElementsAre(
          "1o", "2e",
          R"(3{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code: exit status 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}})",
          "close"));
}

TEST(ExecDialect, WebSocketOlder) {
  Exec four(websocket_exec(4, false, {.out = true}));
  four.feed(ws_frame(2, std::string("\xff\x00", 2)) + ws_frame(2, std::string("\0x", 2)));  // not asked for
  EXPECT_TRUE(four.events.empty());
  four.dialect->write(Output::kErr, "not asked for");
  four.dialect->finish({});
  EXPECT_THAT(four.ws_output(), ElementsAre("1", R"(3{"metadata":{},"status":"Success"})", "close"));
  Exec text(websocket_exec(4, true, {.in = true, .out = true}));
  text.feed(ws_frame(1, "0bHMK"));
  EXPECT_THAT(text.events, ElementsAre("in ls\n"));
  text.dialect->write(Output::kOut, "ok");
  EXPECT_THAT(text.ws_output(), ElementsAre("1", "1b2s="));
  Exec one(websocket_exec(1, false, {.out = true}));
  one.dialect->finish({});
  EXPECT_THAT(one.ws_output(), ElementsAre("1", "close"));
}

TEST(ExecDialect, SpdyCountsStreams) {
  SpdyClient client;
  // cyclonus asks for a terminal and opens stderr in the place of resize.
  Exec exec(spdy_exec(4, {.out = true, .err = true, .tty = true}));
  exec.feed(client.open(1, {{"streamtype", "error"}}) + client.open(3, {{"streamtype", "stdout"}}));
  EXPECT_FALSE(exec.dialect->ready());
  exec.feed(client.open(5, {{"streamtype", "stderr"}}));
  EXPECT_TRUE(exec.dialect->ready());
  exec.dialect->write(Output::kOut, "hello");
  exec.dialect->finish({});
  std::string bytes = exec.dialect->take_output();
  std::vector<std::string> out;
  for (const auto& frame : test::spdy_frames(bytes))
    if (frame.type != 2)
      out.push_back(fmt::format("{} {} {}{}", frame.type, frame.stream, frame.type ? "" : frame.payload,
                                frame.fin ? " fin" : ""));
  EXPECT_THAT(out, ElementsAre("0 3 hello", "0 3  fin", "0 5  fin", R"(0 1 {"metadata":{},"status":"Success"})",
                               "0 1  fin", "7 5 "));
}

TEST(ExecDialect, SpdyInputAndResize) {
  SpdyClient client;
  Exec exec(spdy_exec(4, {.in = true, .out = true, .tty = true}));
  exec.feed(client.open(1, {{"streamtype", "error"}}) + client.open(3, {{"streamtype", "stdin"}}) +
            client.open(5, {{"streamtype", "stdout"}}) + client.open(7, {{"streamtype", "resize"}}));
  EXPECT_TRUE(exec.dialect->ready());
  exec.feed(SpdyClient::data(3, "a") + SpdyClient::data(7, "{\"Width\":8,\"Hei") + SpdyClient::data(7, "ght\":9}\n") +
            SpdyClient::data(3, "", true));
  EXPECT_THAT(exec.events, ElementsAre("in a", "8x9", "in end"));
}

struct Forward {
  explicit Forward(std::unique_ptr<ForwardDialect> with) : dialect(std::move(with)) {}
  void feed(const std::string& bytes) {
    const auto read = dialect->feed(bytes, [&](const ForwardEvent& event) {
      switch (event.kind) {
        case ForwardEvent::Kind::kOpen:
          events.push_back(fmt::format("{} open {}", event.id, event.port));
          break;
        case ForwardEvent::Kind::kData:
          events.push_back(fmt::format("{} data {}", event.id, event.data));
          break;
        case ForwardEvent::Kind::kEnd:
          events.push_back(fmt::format("{} end", event.id));
          break;
        case ForwardEvent::Kind::kAbort:
          events.push_back(fmt::format("{} abort", event.id));
          break;
      }
    });
    if (!read) events.push_back(read.error().message);
  }
  std::unique_ptr<ForwardDialect> dialect;
  std::vector<std::string> events;
};

std::vector<std::pair<std::string, std::string>> pair_headers(const char* type, const char* port, const char* request) {
  return {{"streamType", type}, {"port", port}, {"requestID", request}};
}

TEST(ForwardDialect, Spdy) {
  SpdyClient client;
  Forward forward(spdy_forward());
  forward.feed("");
  forward.feed(client.open(1, pair_headers("error", "80", "0"), true) +
               client.open(3, pair_headers("data", "80", "0")) + SpdyClient::data(3, "GET") +
               client.open(5, {{"streamtype", "error"}, {"port", "81"}}) +
               client.open(7, {{"streamtype", "data"}, {"port", "81"}}) + SpdyClient::data(3, "", true) +
               client.open(9, pair_headers("data", "0", "2")) + client.open(11, pair_headers("stdin", "80", "3")) +
               SpdyClient::control(3, 0, test::big_endian(7, 4) + test::big_endian(5, 4)));
  EXPECT_THAT(forward.events, ElementsAre("3 open 80", "3 data GET", "7 open 81", "3 end", "7 abort"));
  forward.dialect->write(3, "answer");
  forward.dialect->end(3);
  forward.dialect->fail(7, "nobody listens");  // no longer there
  std::string bytes = forward.dialect->take_output();
  std::vector<std::string> out;
  for (const auto& frame : test::spdy_frames(bytes))
    if (frame.type != 2)
      out.push_back(fmt::format("{} {} {}{}", frame.type, frame.stream, frame.type ? "" : frame.payload,
                                frame.fin ? " fin" : ""));
  EXPECT_THAT(out, ElementsAre("3 9 ", "3 11 ", "3 5 ", "0 3 answer", "0 3  fin", "0 1  fin"));
}

TEST(ForwardDialect, Tunnelled) {
  SpdyClient client;
  Forward forward(tunnelled_forward());
  const std::string inside =
      client.open(1, pair_headers("error", "80", "0")) + client.open(3, pair_headers("data", "80", "0"));
  forward.feed(ws_frame(2, inside.substr(0, 20)) + ws_frame(2, inside.substr(20)));
  EXPECT_THAT(forward.events, ElementsAre("3 open 80"));
  forward.dialect->fail(3, "nobody listens");
  std::string bytes = forward.dialect->take_output(), spdy;
  for (const auto& frame : test::ws_frames(bytes)) spdy += frame.payload;
  std::vector<std::string> data;
  for (const auto& frame : test::spdy_frames(spdy))
    if (frame.type == 0) data.push_back(fmt::format("{} {}", frame.stream, frame.payload));
  EXPECT_THAT(data, ElementsAre("1 nobody listens", "1 "));
}

TEST(ForwardDialect, Channels) {
  Forward forward(websocket_forward(false, {80, 8080}));
  forward.feed("");
  forward.feed(ws_frame(2, std::string("\0GET", 4)) + ws_frame(2, "\x02x") + ws_frame(2, "\x01no") +
               ws_frame(2, "\x08no"));
  EXPECT_THAT(forward.events, ElementsAre("0 open 80", "1 open 8080", "0 data GET", "1 data x"));
  forward.dialect->write(1, "y");
  forward.dialect->end(0);
  forward.dialect->fail(1, "gone");
  std::string bytes = forward.dialect->take_output();
  std::vector<std::string> out;
  for (const auto& frame : test::ws_frames(bytes)) out.push_back(frame.payload);
  EXPECT_THAT(out, ElementsAre(std::string("\0\x50\0", 3), std::string("\1\x50\0", 3), "\2\x90\x1f", "\3\x90\x1f",
                               "\2y", "\3gone", "\3\xe8"));
}

TEST(Upgrade, Negotiation) {
  const auto exec = [](UpgradeOffer offer) {
    if (offer.websocket_key.empty()) offer.websocket_key = "dGhlIHNhbXBsZSBub25jZQ==";
    if (offer.websocket_version.empty()) offer.websocket_version = "13";
    const auto upgraded = upgrade_exec(offer, {.out = true});
    return upgraded ? upgraded->headers.back().second
                    : fmt::format("{} {}", upgraded.error().code, upgraded.error().message);
  };
  EXPECT_EQ(
      exec({.protocol = "websocket", .subprotocols = {"v1.channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"}}),
      "v5.channel.k8s.io");
  EXPECT_EQ(exec({.protocol = "websocket", .subprotocols = {"v4.channel.k8s.io"}}), "v4.channel.k8s.io");
  EXPECT_EQ(exec({.protocol = "websocket"}), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  EXPECT_EQ(
      exec({.protocol = "spdy/3.1", .subprotocols = {"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io"}}),
      "v4.channel.k8s.io");
  EXPECT_THAT(exec({.protocol = "websocket", .subprotocols = {"v9.channel.k8s.io"}}),
              HasSubstr("400 Sec-WebSocket-Protocol"));
  EXPECT_THAT(exec({.protocol = "websocket", .websocket_version = "8"}), HasSubstr("400 Sec-WebSocket-Version"));
  EXPECT_THAT(exec({.protocol = "websocket", .websocket_key = "short"}), HasSubstr("400 Sec-WebSocket-Key"));
  EXPECT_THAT(exec({.protocol = "spdy/3.1", .subprotocols = {"v9.channel.k8s.io"}}), HasSubstr("403 "));
  EXPECT_THAT(exec({.protocol = "h2c"}), HasSubstr("400 Upgrade request required"));
  EXPECT_THAT(exec({}), HasSubstr("400 Upgrade request required"));
  const auto forward = [](UpgradeOffer offer, std::vector<uint16_t> ports) {
    offer.websocket_key = "dGhlIHNhbXBsZSBub25jZQ==";
    offer.websocket_version = "13";
    const auto upgraded = upgrade_forward(offer, ports);
    return upgraded ? upgraded->headers.back().second : upgraded.error().message;
  };
  EXPECT_EQ(forward({.protocol = "websocket", .subprotocols = {"SPDY/3.1+portforward.k8s.io"}}, {}),
            "SPDY/3.1+portforward.k8s.io");
  EXPECT_EQ(forward({.protocol = "websocket", .subprotocols = {"v4.channel.k8s.io"}}, {80}), "v4.channel.k8s.io");
  EXPECT_EQ(forward({.protocol = "websocket", .subprotocols = {"v4.channel.k8s.io"}}, {}),
            "query parameter \"ports\" is required");
  EXPECT_EQ(forward({.protocol = "spdy/3.1", .subprotocols = {"portforward.k8s.io"}}, {}), "portforward.k8s.io");
}

}  // namespace
}  // namespace carrick::apiserver
