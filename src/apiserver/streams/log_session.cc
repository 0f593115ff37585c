#include "apiserver/streams/carrier.h"

namespace carrick::apiserver {
namespace {

using Descriptor = asio::posix::stream_descriptor;

struct LogSession : std::enable_shared_from_this<LogSession> {
  LogSession(std::shared_ptr<TlsStream> to, Fd from, StreamTimes with)
      : stream(std::move(to)), source(stream->get_executor(), from.release()), times(with) {}

  asio::awaitable<bool> write(std::string text) {
    boost::beast::get_lowest_layer(*stream).expires_after(times.write);
    const auto [error, size] = co_await asio::async_write(*stream, asio::buffer(text), kTuple);
    boost::beast::get_lowest_layer(*stream).expires_never();
    co_return !error;
  }

  // A client that reads a log has nothing to say: whatever comes is its end.
  static asio::awaitable<void> watch_for_close(std::shared_ptr<LogSession> self) {
    char byte;
    co_await self->stream->async_read_some(asio::buffer(&byte, 1), kTuple);
    boost::system::error_code ignored;
    self->source.close(ignored);
  }

  asio::awaitable<void> run() {
    const auto self = shared_from_this();
    asio::co_spawn(stream->get_executor(), watch_for_close(self), asio::detached);
    bool good = co_await write(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nCache-Control: no-cache, private\r\nConnection: "
        "close\r\nTransfer-Encoding: chunked\r\n\r\n");
    std::array<char, kPiece> piece;
    while (good && source.is_open()) {
      const auto [error, size] = co_await source.async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      good = co_await write(fmt::format("{:x}\r\n{}\r\n", size, std::string_view(piece.data(), size)));
    }
    if (good) co_await write("0\r\n\r\n");
    boost::system::error_code ignored;
    source.close(ignored);
    boost::beast::get_lowest_layer(*stream).socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }

  std::shared_ptr<TlsStream> stream;
  Descriptor source;
  StreamTimes times;
};

}  // namespace

asio::awaitable<StatusOr<>> run_log(std::shared_ptr<TlsStream> stream, std::shared_ptr<StreamAnswer> answer,
                                    NodeDoor& nodes, StreamTimes times) {
  auto streams = co_await ask_node(nodes, answer->call);
  if (!streams) co_return std::unexpected(streams.error());
  if (!streams->out) co_return std::unexpected(internal("the node gave no log"));
  boost::beast::get_lowest_layer(*stream).expires_never();
  co_await std::make_shared<LogSession>(std::move(stream), std::move(streams->out), times)->run();
  co_return StatusOr<>{};
}

}  // namespace carrick::apiserver
