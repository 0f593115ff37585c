#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "apiserver/streams/session.h"

// What exec and port-forward have in common: one coroutine reads from the client, one writes to it, and whoever fills
// or empties a buffer wakes those who wait. All on one thread.
namespace carrick::apiserver {

inline constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
inline constexpr size_t kPiece = 32u << 10;        // read at once
inline constexpr size_t kMaxPending = 256u << 10;  // beyond it, who fills a buffer waits

// Waiting for "something has changed"; any number may wait.
class Bell {
 public:
  explicit Bell(const asio::any_io_executor& executor) : timer_(executor, asio::steady_timer::time_point::max()) {}
  void ring() { timer_.cancel(); }
  asio::awaitable<void> wait() { co_await timer_.async_wait(kTuple); }
  // The bell must live until then, whoever waits.
  asio::awaitable<void> wait(asio::steady_timer::time_point until) {
    asio::steady_timer alarm(timer_.get_executor(), until);
    alarm.async_wait([this](const boost::system::error_code& error) {
      if (!error) ring();
    });
    co_await wait();
  }

 private:
  asio::steady_timer timer_;
};

// `Dialect` is ExecDialect or ForwardDialect. The session that derives from it is held by each of its coroutines.
template <class Dialect>
class Carrier {
 public:
  Carrier(std::shared_ptr<TlsStream> stream, std::unique_ptr<Dialect> dialect, StreamTimes times)
      : stream_(std::move(stream)),
        dialect_(std::move(dialect)),
        times_(times),
        to_client_(stream_->get_executor()),
        room_(stream_->get_executor()),
        changed_(stream_->get_executor()) {}

 protected:
  virtual ~Carrier() = default;
  virtual void hear(std::string_view bytes) = 0;  // feeds the dialect
  virtual bool may_read() const = 0;              // false while too much waits to go to the node

  asio::awaitable<void> read_client() {
    std::array<char, kPiece> piece;
    while (true) {
      if (!discarding_ && !may_read()) {
        co_await changed_.wait();
        continue;
      }
      const auto [error, size] = co_await stream_->async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      if (discarding_) continue;
      hear({piece.data(), size});
      say();
    }
    reader_done_ = true;
    leave();
  }

  asio::awaitable<void> write_client() {
    while (!written_off_) {
      std::string bytes = dialect_->take_output();
      if (bytes.empty()) {
        if (finishing_) break;
        co_await to_client_.wait();
        continue;
      }
      boost::beast::get_lowest_layer(*stream_).expires_after(times_.write);
      const auto [error, size] = co_await asio::async_write(*stream_, asio::buffer(bytes), kTuple);
      boost::beast::get_lowest_layer(*stream_).expires_never();
      room_.ring();
      if (error) break;
    }
    written_off_ = true;
    leave();
  }

  // Waits until the dialect's output may grow.
  asio::awaitable<bool> wait_for_room() {
    while (dialect_->pending() > kMaxPending && !client_gone_) co_await room_.wait();
    co_return !client_gone_;
  }

  // The output may have something to send.
  void say() {
    to_client_.ring();
    if (dialect_->gone()) leave();
  }
  void leave() {
    client_gone_ = true;
    changed_.ring();
    to_client_.ring();
    room_.ring();
  }
  // Sends what is left and closes. What the client still sends is read and dropped: a socket that is closed with
  // unread bytes takes back what is on its way to the client.
  asio::awaitable<void> farewell() {
    finishing_ = discarding_ = true;
    to_client_.ring();
    changed_.ring();
    const auto deadline = std::chrono::steady_clock::now() + times_.write;
    while (!written_off_ && std::chrono::steady_clock::now() < deadline) co_await changed_.wait(deadline);
    written_off_ = true;
    boost::system::error_code ignored;
    auto& socket = boost::beast::get_lowest_layer(*stream_).socket();
    socket.shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    const auto patience = std::chrono::steady_clock::now() + times_.drain;
    while (!reader_done_ && std::chrono::steady_clock::now() < patience) co_await changed_.wait(patience);
    socket.close(ignored);
    while (!reader_done_) co_await changed_.wait();
  }

  std::shared_ptr<TlsStream> stream_;
  std::unique_ptr<Dialect> dialect_;
  StreamTimes times_;
  Bell to_client_, room_, changed_;
  bool client_gone_ = false, finishing_ = false, written_off_ = false, discarding_ = false, reader_done_ = false;
};

}  // namespace carrick::apiserver
