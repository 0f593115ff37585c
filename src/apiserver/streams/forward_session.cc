#include <sys/socket.h>

#include <map>

#include "apiserver/streams/carrier.h"

namespace carrick::apiserver {
namespace {

using Descriptor = asio::posix::stream_descriptor;

class ForwardSession : public Carrier<ForwardDialect>, public std::enable_shared_from_this<ForwardSession> {
 public:
  ForwardSession(std::shared_ptr<TlsStream> stream, std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes,
                 StreamTimes times)
      : Carrier(std::move(stream), std::move(answer->forward), times), answer_(std::move(answer)), nodes_(nodes) {}

  asio::awaitable<void> run(std::string leftover) {
    const auto self = shared_from_this();
    hear(leftover);
    spawn(write(self));
    spawn(read(self));
    while (!client_gone_) co_await changed_.wait();
    for (auto& [id, connection] : connections_) connection->close();
    co_await farewell();
  }

 private:
  struct Connection {
    explicit Connection(const asio::any_io_executor& executor) : bell(executor) {}
    void close() {
      closed = true;
      boost::system::error_code ignored;
      if (socket) socket->close(ignored);
      bell.ring();
    }
    std::unique_ptr<Descriptor> socket;
    Bell bell;
    std::string to_pod;
    bool client_ended = false, pod_ended = false, closed = false;
  };
  using Self = std::shared_ptr<ForwardSession>;
  using Shared = std::shared_ptr<Connection>;

  void spawn(asio::awaitable<void> body) { asio::co_spawn(stream_->get_executor(), std::move(body), asio::detached); }
  static asio::awaitable<void> write(Self self) { co_await self->write_client(); }
  static asio::awaitable<void> read(Self self) { co_await self->read_client(); }

  void hear(std::string_view bytes) override {
    const auto read = dialect_->feed(bytes, [this](const ForwardEvent& event) {
      if (event.kind == ForwardEvent::Kind::kOpen) {
        auto connection = std::make_shared<Connection>(stream_->get_executor());
        connections_[event.id] = connection;
        return spawn(connect(shared_from_this(), connection, event.id, event.port));
      }
      const auto found = connections_.find(event.id);
      if (found == connections_.end()) return;
      Connection& connection = *found->second;
      if (event.kind == ForwardEvent::Kind::kData) {
        connection.to_pod += event.data;
        waiting_ += event.data.size();
      }
      if (event.kind == ForwardEvent::Kind::kEnd) connection.client_ended = true;
      if (event.kind == ForwardEvent::Kind::kAbort) {
        connection.close();
        connections_.erase(found);
        return;
      }
      connection.bell.ring();
    });
    if (!read) leave();
    changed_.ring();
  }
  bool may_read() const override { return waiting_ < kMaxPending; }

  static asio::awaitable<void> connect(Self self, Shared connection, uint32_t id, uint16_t port) {
    NodeCall call = self->answer_->call;
    call.port = port;
    auto streams = co_await ask_node(self->nodes_, call);
    if (connection->closed) co_return;
    if (!streams || !streams->out) {
      self->dialect_->fail(id, fmt::format("error forwarding port {} to pod {}, uid {}: {}", port, call.pod, call.uid,
                                           streams ? "the node gave no connection" : streams.error().message));
      self->drop(connection, id);
      self->say();
      co_return;
    }
    connection->socket = std::make_unique<Descriptor>(self->stream_->get_executor(), streams->out.release());
    self->spawn(to_pod(self, connection, id));
    co_await from_pod(self, connection, id);
  }

  static asio::awaitable<void> to_pod(Self self, Shared connection, uint32_t id) {
    while (!connection->closed) {
      if (connection->to_pod.empty()) {
        if (connection->client_ended) break;
        co_await connection->bell.wait();
        continue;
      }
      const std::string piece = std::exchange(connection->to_pod, {});
      const auto [error, size] = co_await asio::async_write(*connection->socket, asio::buffer(piece), kTuple);
      self->waiting_ -= piece.size();
      self->changed_.ring();
      if (error) break;
    }
    if (!connection->closed) ::shutdown(connection->socket->native_handle(), SHUT_WR);
    connection->client_ended = true;
    if (connection->pod_ended) self->drop(connection, id);
  }

  static asio::awaitable<void> from_pod(Self self, Shared connection, uint32_t id) {
    std::array<char, kPiece> piece;
    while (co_await self->wait_for_room() && !connection->closed) {
      const auto [error, size] = co_await connection->socket->async_read_some(asio::buffer(piece), kTuple);
      if (error) break;
      self->dialect_->write(id, {piece.data(), size});
      self->say();
    }
    if (connection->closed) co_return;
    connection->pod_ended = true;
    self->dialect_->end(id);
    self->say();
    if (connection->client_ended) self->drop(connection, id);
  }

  void drop(const Shared& connection, uint32_t id) {
    waiting_ -= std::exchange(connection->to_pod, {}).size();
    connection->close();
    if (const auto found = connections_.find(id); found != connections_.end() && found->second == connection)
      connections_.erase(found);
    changed_.ring();
  }

  std::shared_ptr<StreamAnswer> answer_;
  NodeDoor& nodes_;
  std::map<uint32_t, Shared> connections_;
  size_t waiting_ = 0;  // bytes that pods have not taken yet
};

}  // namespace

asio::awaitable<void> run_forward(std::shared_ptr<TlsStream> stream, std::string head, std::string leftover,
                                  std::shared_ptr<StreamAnswer> answer, NodeDoor& nodes, StreamTimes times) {
  boost::beast::get_lowest_layer(*stream).expires_after(times.write);
  const auto [error, size] = co_await asio::async_write(*stream, asio::buffer(head), kTuple);
  if (error) co_return;
  boost::beast::get_lowest_layer(*stream).expires_never();
  co_await std::make_shared<ForwardSession>(std::move(stream), std::move(answer), nodes, times)
      ->run(std::move(leftover));
}

}  // namespace carrick::apiserver
