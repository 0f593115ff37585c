#include <sys/ioctl.h>

#include "apiserver/document.h"
#include "apiserver/streams/carrier.h"

namespace carrick::apiserver {
namespace {

using Clock = std::chrono::steady_clock;
using Descriptor = asio::posix::stream_descriptor;

class ExecSession : public Carrier<ExecDialect>, public std::enable_shared_from_this<ExecSession> {
 public:
  ExecSession(std::shared_ptr<TlsStream> stream, std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes,
              StreamTimes times)
      : Carrier(std::move(stream), std::move(answer->exec), times),
        answer_(std::move(answer)),
        nodes_(nodes),
        input_bell_(stream_->get_executor()) {}

  asio::awaitable<void> run(std::string leftover) {
    const auto self = shared_from_this();
    hear(leftover);
    spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> { co_await s->write_client(); });
    spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> { co_await s->read_client(); });
    const auto deadline = Clock::now() + times_.creation;
    while (!dialect_->ready() && !client_gone_ && Clock::now() < deadline) co_await changed_.wait(deadline);
    if (dialect_->ready() && !client_gone_) {
      auto streams = co_await ask_node(nodes_, answer_->call);
      if (!streams)
        end_ = ExecEnd{.exit_code = 0, .failure = streams.error().message};
      else
        co_await carry(std::move(*streams));
      if (!end_) end_ = ExecEnd{.exit_code = 0, .failure = "the node gave the streams up"};
      dialect_->finish(*end_);
    }
    close_node();
    co_await farewell();
  }

 private:
  template <class Body>
  void spawn(Body body) {
    asio::co_spawn(stream_->get_executor(), body(shared_from_this()), asio::detached);
  }

  void hear(std::string_view bytes) override {
    const auto read = dialect_->feed(bytes, [this](const ExecEvent& event) {
      switch (event.kind) {
        case ExecEvent::Kind::kInput:
          input_ += event.data;
          input_bell_.ring();
          return;
        case ExecEvent::Kind::kInputEnd:
          input_ended_ = true;
          input_bell_.ring();
          return;
        case ExecEvent::Kind::kResize:
          size_ = winsize{.ws_row = event.height, .ws_col = event.width, .ws_xpixel = 0, .ws_ypixel = 0};
          resize();
          return;
      }
    });
    if (!read) leave();
    changed_.ring();
  }
  bool may_read() const override { return input_.size() < kMaxPending; }

  void resize() {
    if (answer_->call.tty && out_ && size_) (void)::ioctl(out_->native_handle(), TIOCSWINSZ, &*size_);
  }

  std::unique_ptr<Descriptor> open(Fd& fd) {
    return fd ? std::make_unique<Descriptor>(stream_->get_executor(), fd.release()) : nullptr;
  }

  asio::awaitable<void> carry(NodeStreams streams) {
    in_ = open(streams.in);
    out_ = open(streams.out);
    err_ = open(streams.err);
    control_ = open(streams.control);
    resize();
    outputs_ = (out_ ? 1 : 0) + (err_ ? 1 : 0);
    if (in_) spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> { co_await s->write_input(); });
    if (out_)
      spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> {
        co_await s->read_output(*s->out_, Output::kOut);
      });
    if (err_)
      spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> {
        co_await s->read_output(*s->err_, Output::kErr);
      });
    spawn([](std::shared_ptr<ExecSession> s) -> asio::awaitable<void> { co_await s->read_end(); });
    while (!end_ && !client_gone_) co_await changed_.wait();
    // As long as output comes, it is brought; a silent pipe is given up.
    while (outputs_ > 0 && !client_gone_) {
      const auto deadline = last_output_ + times_.drain;
      if (Clock::now() >= deadline) break;
      co_await changed_.wait(deadline);
    }
  }

  asio::awaitable<void> write_input() {
    while (in_ && in_->is_open()) {
      if (input_.empty()) {
        if (input_ended_) break;
        co_await input_bell_.wait();
        continue;
      }
      const std::string piece = std::exchange(input_, {});
      changed_.ring();
      const auto [error, size] = co_await asio::async_write(*in_, asio::buffer(piece), kTuple);
      if (error) break;
    }
    // A terminal has no end of input of its own.
    if (in_ && !answer_->call.tty) in_->close();
    input_.clear();
    input_closed_ = true;
    changed_.ring();
  }

  asio::awaitable<void> read_output(Descriptor& from, Output output) {
    std::array<char, kPiece> piece;
    while (co_await wait_for_room()) {
      const auto [error, size] = co_await from.async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      last_output_ = Clock::now();
      dialect_->write(output, {piece.data(), size});
      say();
    }
    --outputs_;
    changed_.ring();
  }

  asio::awaitable<void> read_end() {
    std::string line;
    std::array<char, 4096> piece;
    while (line.find('\n') == std::string::npos && line.size() < 64 * 1024) {
      const auto [error, size] = co_await control_->async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      line.append(piece.data(), size);
    }
    last_output_ = Clock::now();
    if (!end_) end_ = parse_exec_end(line);
    changed_.ring();
  }

  // Descriptors that a coroutine still waits on are closed here and die with the session.
  void close_node() {
    for (auto* descriptor : {&in_, &out_, &err_, &control_}) {
      boost::system::error_code ignored;
      if (*descriptor) (*descriptor)->close(ignored);
    }
    input_bell_.ring();
  }

  std::shared_ptr<StreamAnswer> answer_;
  NodeDoor& nodes_;
  Bell input_bell_;
  std::unique_ptr<Descriptor> in_, out_, err_, control_;
  std::string input_;
  bool input_ended_ = false, input_closed_ = false;
  std::optional<winsize> size_;
  std::optional<ExecEnd> end_;
  int outputs_ = 0;
  Clock::time_point last_output_ = Clock::now();
};

}  // namespace

ExecEnd parse_exec_end(std::string_view line) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object())
    return {.exit_code = 0, .failure = "the node that ran the command went away before its end"};
  return {.exit_code = static_cast<int>(number_at(value.get_object(), "exitCode")),
          .failure = std::string(text_at(value.get_object(), "failure"))};
}

asio::awaitable<StatusOr<NodeStreams>> ask_node(NodeDoor& nodes, NodeCall call) {
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(StatusOr<NodeStreams>)>(
      [&nodes, call = std::move(call)](auto handler) {
        // The door's callback may be copied, a coroutine's handler may not.
        auto shared = std::make_shared<decltype(handler)>(std::move(handler));
        nodes.call(call, [shared](StatusOr<NodeStreams> streams) { std::move (*shared)(std::move(streams)); });
      },
      asio::use_awaitable);
}

asio::awaitable<void> run_exec(std::shared_ptr<TlsStream> stream, std::string head, std::string leftover,
                               std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes, StreamTimes times) {
  boost::beast::get_lowest_layer(*stream).expires_after(times.write);
  const auto [error, size] = co_await asio::async_write(*stream, asio::buffer(head), kTuple);
  if (error) co_return;
  boost::beast::get_lowest_layer(*stream).expires_never();
  co_await std::make_shared<ExecSession>(std::move(stream), std::move(answer), nodes, times)->run(std::move(leftover));
}

}  // namespace carrick::apiserver
