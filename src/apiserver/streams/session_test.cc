#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <mutex>

#include "apiserver/http_fixture.h"
#include "apiserver/streams/test_client.h"

namespace carrick::apiserver {
namespace {

using test::SpdyClient;
using test::ws_frame;
using testing::HasSubstr;

struct Pipe {
  Pipe() {
    int fds[2];
    EXPECT_EQ(::pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    read = Fd(fds[0]);
    write = Fd(fds[1]);
  }
  Fd read, write;
};

void put(const Fd& fd, std::string_view text) {
  EXPECT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
}

// A node whose programs are pipes: "cat" gives back what it gets, "say" speaks and ends with 3, "hang" does not end,
// "vanish" ends without a word; port 80 is an echo.
class PretendNode : public NodeDoor {
 public:
  void call(const NodeCall& call, std::function<void(StatusOr<NodeStreams>)> done) override {
    const std::lock_guard lock(mutex_);
    last_ = decode_node_call(encode_node_call(call)).value();
    if (call.kind == NodeCall::Kind::kDial) return done(dial(call));
    if (call.kind == NodeCall::Kind::kLog) return done(log(call));
    NodeStreams streams;
    int control[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, control), 0);
    streams.control = Fd(control[0]);
    Fd ours(control[1]);
    Pipe out;
    const std::string& command = call.command.empty() ? call.container : call.command.front();
    if (command == "cat") {
      streams.in = std::move(out.write);
      put(ours, "{\"exitCode\":0}\n");
    } else if (command == "say") {
      Pipe err;
      put(out.write, "hello");
      put(err.write, "oops");
      put(ours, "{\"exitCode\":3}\n");
      streams.err = std::move(err.read);
    } else if (command == "hang") {
      kept_.push_back(std::move(ours));
      kept_.push_back(std::move(out.write));
    } else if (command == "daemon") {  // has ended, and left a child that holds its output
      put(out.write, "started");
      put(ours, "{\"exitCode\":0}\n");
      kept_.push_back(std::move(out.write));
    } else if (command == "refuse") {
      return done(std::unexpected(internal("no such program")));
    }
    streams.out = std::move(out.read);
    done(std::move(streams));
  }
  NodeCall last() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  // True once the session has closed its end of a program's control socket.
  bool abandoned() {
    const std::lock_guard lock(mutex_);
    char byte;
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): MSG_DONTWAIT does not block
    return !kept_.empty() && ::recv(kept_.front().get(), &byte, 1, MSG_DONTWAIT) == 0;
  }

 private:
  StatusOr<NodeStreams> dial(const NodeCall& call) {
    if (call.port != 80) return std::unexpected(internal("connection refused"));
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    echoes_.emplace_back([fd = Fd(pair[1])] {
      ::fcntl(fd.get(), F_SETFL, 0);
      char piece[4096];
      ssize_t size;
      while ((size = ::read(fd.get(), piece, sizeof piece)) > 0) put(fd, {piece, static_cast<size_t>(size)});
    });
    NodeStreams streams;
    streams.out = Fd(pair[0]);
    return streams;
  }
  StatusOr<NodeStreams> log(const NodeCall& call) {
    if (call.container == "waiting") return std::unexpected(bad_request("container is waiting to start"));
    Pipe out;
    put(out.write, "line 1\nline 2\n");
    if (call.log.follow) kept_.push_back(std::move(out.write));
    NodeStreams streams;
    streams.out = std::move(out.read);
    return streams;
  }

  std::mutex mutex_;
  NodeCall last_;
  std::vector<Fd> kept_;
  std::vector<std::jthread> echoes_;
};

class StreamTest : public HttpTest {
 protected:
  void SetUp() override {
    nodes_ = &node_;
    start();
    Client c = client();
    const std::string pods = "/api/v1/namespaces/default/pods";
    for (const char* node : {"", "node1"}) {
      const std::string name = *node ? "web" : "pending";
      ASSERT_EQ(
          c.send(
               http::verb::post, pods,
               fmt::format(
                   R"({{"metadata":{{"name":"{}"}},"spec":{{"nodeName":"{}","containers":[{{"name":"c","image":"i"}},{{"name":"waiting","image":"i"}}]}}}})",
                   name, node))
              .result_int(),
          201u);
    }
  }
  static std::string exec_path(const std::string& query) {
    return "/api/v1/namespaces/default/pods/web/exec?container=c&stdout=true&" + query;
  }
  static std::string upgrade(const std::string& method, const std::string& path, const std::string& headers) {
    return method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n" + headers + "\r\n";
  }
  static std::string websocket(const std::string& path, const std::string& protocol) {
    return upgrade("GET", path,
                   "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: "
                   "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: " +
                       protocol + "\r\n");
  }
  static std::string spdy(const std::string& path, const std::string& versions) {
    return upgrade("POST", path,
                   "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: " + versions + "\r\nContent-Length: 0\r\n");
  }
  // The whole conversation after the head: channel digit and text of each frame.
  static std::vector<std::string> ws_rest(Client& c, std::string text) {
    text += c.read_all();
    EXPECT_TRUE(text.starts_with("HTTP/1.1 101 ")) << text;
    text.erase(0, text.find("\r\n\r\n") + 4);
    std::vector<std::string> out;
    for (const auto& frame : test::ws_frames(text)) {
      if (frame.opcode != 2) continue;
      std::string payload = frame.payload;
      if (!payload.empty()) payload[0] = static_cast<char>('0' + payload[0]);
      out.push_back(payload);
    }
    return out;
  }

  PretendNode node_;
};

TEST_F(StreamTest, ExecOverWebSocket) {
  Client c = client();
  c.write(websocket(exec_path("stderr=true&command=say&command=a%20b"), "v5.channel.k8s.io"));
  const auto said = ws_rest(c, "");
  EXPECT_THAT(said, testing::UnorderedElementsAre("1hello", "2oops", HasSubstr(R"("message":"3")")));
  EXPECT_THAT(said.back(), HasSubstr("NonZeroExitCode"));  // the end comes last
  EXPECT_EQ(node_.last().command, (std::vector<std::string>{"say", "a b"}));
  EXPECT_EQ(node_.last().node, "node1");
}

// What follows the request at once is not lost, and a megabyte goes through both ways.
TEST_F(StreamTest, InputIsGivenOn) {
  Client c = client();
  std::string frames, wanted;
  for (int i = 0; i < 64; ++i) {
    const std::string block(16 * 1024, static_cast<char>('a' + i % 26));
    wanted += block;
    frames += ws_frame(2, std::string(1, '\0') + block);
  }
  std::thread writer([&] {
    c.write(websocket(exec_path("stdin=true&command=cat"), "v5.channel.k8s.io") + frames +
            ws_frame(2, std::string("\xff\0", 2)));
  });
  writer.join();
  std::string got;
  for (const std::string& said : ws_rest(c, ""))
    if (said[0] == '1') got += said.substr(1);
  EXPECT_EQ(got.size(), wanted.size());
  EXPECT_TRUE(got == wanted);
}

TEST_F(StreamTest, ExecOverSpdy) {
  Client c = client();
  SpdyClient streams;
  c.write(spdy(exec_path("stderr=true&command=say"), "v4.channel.k8s.io") + streams.open(1, {{"streamtype", "error"}}) +
          streams.open(3, {{"streamtype", "stdout"}}) + streams.open(5, {{"streamtype", "stderr"}}));
  std::string text = c.read_all();
  EXPECT_THAT(text, HasSubstr("X-Stream-Protocol-Version: v4.channel.k8s.io"));
  text.erase(0, text.find("\r\n\r\n") + 4);
  std::map<uint32_t, std::string> data;
  for (const auto& frame : test::spdy_frames(text))
    if (frame.type == 0) data[frame.stream] += frame.payload;
  EXPECT_EQ(data[3], "hello");
  EXPECT_EQ(data[5], "oops");
  EXPECT_THAT(data[1], HasSubstr(R"("causes":[{"reason":"ExitCode","message":"3"}])"));
}

TEST_F(StreamTest, FailuresAreTold) {
  const auto ask = [&](const std::string& query) {
    Client c = client();
    c.write(websocket(exec_path(query), "v4.channel.k8s.io"));
    return ws_rest(c, "").back();
  };
  EXPECT_THAT(ask("command=refuse"), HasSubstr("no such program"));
  EXPECT_THAT(ask("command=vanish"), HasSubstr("went away before its end"));
}

TEST_F(StreamTest, AChildThatHoldsTheOutputDoesNotHoldTheClient) {
  Client c = client();
  c.write(websocket(exec_path("command=daemon"), "v4.channel.k8s.io"));
  EXPECT_THAT(ws_rest(c, ""), testing::ElementsAre("1", "1started", HasSubstr("Success")));
}

TEST_F(StreamTest, AClientThatLeavesEndsTheProgram) {
  {
    Client c = client();
    c.write(websocket(exec_path("command=hang"), "v4.channel.k8s.io"));
    c.read_until("\r\n\r\n");
    while (node_.last().command.empty()) std::this_thread::yield();
    EXPECT_FALSE(node_.abandoned());
  }
  while (!node_.abandoned()) std::this_thread::yield();
}

TEST_F(StreamTest, AServerThatStopsEndsItsSessions) {
  Client c = client();
  c.write(websocket(exec_path("command=hang"), "v4.channel.k8s.io"));
  c.read_until("\r\n\r\n");
  while (node_.last().command.empty()) std::this_thread::yield();
  // TearDown waits for every coroutine.
}

TEST_F(StreamTest, BrokenFramesEndTheSession) {
  Client c = client();
  c.write(websocket(exec_path("stdin=true&command=hang"), "v4.channel.k8s.io") + std::string("\x82\x01x", 3));
  EXPECT_THAT(c.read_all(), HasSubstr("a frame of a client is not masked"));
}

TEST_F(StreamTest, RefusedBeforeTheUpgrade) {
  const auto code = [&](http::verb method, const std::string& path) {
    return client().send(method, path).result_int();
  };
  const std::string pods = "/api/v1/namespaces/default/pods/";
  EXPECT_EQ(code(http::verb::get, exec_path("command=say")), 400u);  // no upgrade
  EXPECT_EQ(code(http::verb::get, pods + "missing/exec?command=x&stdout=true"), 404u);
  EXPECT_EQ(code(http::verb::get, pods + "pending/exec?container=c&command=x&stdout=true"), 400u);
  EXPECT_EQ(code(http::verb::get, pods + "web/exec?command=x&stdout=true"), 400u);  // which container?
  EXPECT_EQ(code(http::verb::get, pods + "web/exec?container=no&command=x&stdout=true"), 400u);
  EXPECT_EQ(code(http::verb::get, pods + "web/exec?container=c&command=x"), 400u);
  EXPECT_EQ(code(http::verb::get, pods + "web/exec?container=c&stdout=true"), 400u);
  EXPECT_EQ(code(http::verb::put, pods + "web/exec?container=c&stdout=true"), 405u);
  EXPECT_EQ(code(http::verb::post, pods + "web/log?container=c"), 405u);
  EXPECT_EQ(code(http::verb::get, pods + "web/log?container=c&tailLines=-1"), 422u);
  EXPECT_EQ(code(http::verb::get, pods + "web/log?container=c&tailLines=x"), 400u);
  EXPECT_EQ(code(http::verb::get, pods + "web/log?container=c&sinceSeconds=1&sinceTime=2026-01-02T15:04:05Z"), 422u);
  EXPECT_EQ(code(http::verb::get, pods + "web/log?container=waiting"), 400u);  // the node's word
  Client anonymous = client(false);
  anonymous.write(websocket(exec_path("command=say"), "v4.channel.k8s.io"));
  EXPECT_THAT(anonymous.read_until("\r\n\r\n"), HasSubstr("401"));
}

TEST_F(StreamTest, Logs) {
  Client c = client();
  const auto answer =
      c.send(http::verb::get, "/api/v1/namespaces/default/pods/web/log?container=c&tailLines=2&timestamps=true");
  EXPECT_EQ(answer.body(), "line 1\nline 2\n");
  EXPECT_EQ(answer[http::field::content_type], "text/plain");
  EXPECT_EQ(node_.last().log.tail_lines, 2);
  EXPECT_TRUE(node_.last().log.timestamps);
  Client follower = client();
  follower.write("GET /api/v1/namespaces/default/pods/web/log?container=c&follow=true HTTP/1.1\r\nHost: l\r\n\r\n");
  EXPECT_THAT(follower.read_until("line 2\n"), HasSubstr("chunked"));
}

TEST_F(StreamTest, PortForwardTunnelled) {
  Client c = client();
  SpdyClient streams;
  const auto header = [](const char* type, const char* port, const char* request) {
    return std::vector<std::pair<std::string, std::string>>{
        {"streamtype", type}, {"port", port}, {"requestid", request}};
  };
  c.write(websocket("/api/v1/namespaces/default/pods/web/portforward", "SPDY/3.1+portforward.k8s.io") +
          ws_frame(2, streams.open(1, header("error", "80", "0")) + streams.open(3, header("data", "80", "0")) +
                          streams.open(5, header("error", "81", "1")) + streams.open(7, header("data", "81", "1"))) +
          ws_frame(2, SpdyClient::data(3, "ping") + SpdyClient::data(3, "", true)));
  std::string text = c.read_until("\r\n\r\n"), ws, inside;
  ws = text.substr(text.find("\r\n\r\n") + 4);
  std::map<uint32_t, std::string> data;
  std::set<uint32_t> ended;
  while (!ended.contains(3) || data[5].empty()) {
    for (const auto& frame : test::ws_frames(ws)) inside += frame.payload;
    for (const auto& frame : test::spdy_frames(inside)) {
      if (frame.type == 0) data[frame.stream] += frame.payload;
      if (frame.fin) ended.insert(frame.stream);
    }
    if (!ended.contains(3) || data[5].empty()) ws += c.read_some();
  }
  EXPECT_EQ(data[3], "ping");
  EXPECT_THAT(data[5], HasSubstr("error forwarding port 81 to pod web, uid "));
  EXPECT_THAT(data[5], HasSubstr("connection refused"));
}

TEST_F(StreamTest, PortForwardByChannels) {
  Client c = client();
  c.write(websocket("/api/v1/namespaces/default/pods/web/portforward?ports=80", "v4.channel.k8s.io") +
          ws_frame(2, std::string("\0ping", 5)));
  std::string ws = c.read_until("\r\n\r\n");
  ws.erase(0, ws.find("\r\n\r\n") + 4);
  std::vector<std::string> got;
  while (got.size() < 3) {
    for (const auto& frame : test::ws_frames(ws)) got.push_back(frame.payload);
    if (got.size() < 3) ws += c.read_some();
  }
  EXPECT_THAT(got, testing::ElementsAre(std::string("\0P\0", 3), std::string("\1P\0", 3), std::string("\0ping", 5)));
}

}  // namespace
}  // namespace carrick::apiserver
