#include <algorithm>
#include <boost/asio/write.hpp>
#include <cstring>

#include "base/log.h"
#include "dns/transport/shared.h"

namespace carrick::dns {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;

constexpr size_t kFirstBuffer = 2048;
constexpr size_t kMostBuffered = 256 * 1024;  // of answers a slow client has not taken

net::SocketAddress socket_address(const Tcp::endpoint& endpoint) {
  if (endpoint.address().is_v4()) return {net::IpAddress::v4(endpoint.address().to_v4().to_uint()), endpoint.port()};
  return {net::IpAddress(endpoint.address().to_v6().to_bytes()), endpoint.port()};
}

}  // namespace

void Transport::TcpPort::accept() {
  acceptor_.async_accept([self = shared_from_this()](boost::system::error_code error, Tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      self->take(std::move(socket));
      return self->accept();
    }
    // Out of descriptors or memory: the connection stays in the backlog for a moment.
    self->pause_.expires_after(std::chrono::milliseconds(100));
    self->pause_.async_wait([self](boost::system::error_code stopped) {
      if (!stopped) self->accept();
    });
  });
}

void Transport::TcpPort::take(Tcp::socket socket) {
  boost::system::error_code error;
  auto endpoint = socket.remote_endpoint(error);
  if (error) return;
  auto peer = socket_address(endpoint);
  auto at = shared_->sessions_of.find(peer.address);
  size_t of_peer = at == shared_->sessions_of.end() ? 0 : at->second;
  if (shared_->sessions >= shared_->limits.tcp_connections ||
      of_peer >= std::max<size_t>(1, shared_->limits.tcp_connections / 4)) {
    ++shared_->counters->tcp_refused;
    return;
  }
  socket.set_option(Tcp::no_delay(true), error);
  std::make_shared<TcpSession>(shared_, std::move(socket), peer)->start();
}

class Transport::TcpSession::Reply {
 public:
  explicit Reply(std::shared_ptr<TcpSession> session) : session_(std::move(session)) {}
  void defer() {
    deferred_ = true;
    ++session_->pending_;
  }
  void send(std::span<const uint8_t> bytes) {
    if (!bytes.empty()) session_->append(bytes);
    if (!deferred_) return;
    --session_->pending_;
    if (session_->in_batch_) return;  // take_questions writes at its end
    session_->write();
    session_->take_questions();
  }

 private:
  std::shared_ptr<TcpSession> session_;
  bool deferred_ = false;
};

Transport::TcpSession::TcpSession(std::shared_ptr<Shared> shared, Tcp::socket socket, net::SocketAddress peer)
    : shared_(std::move(shared)),
      socket_(std::move(socket)),
      idle_(shared_->io),
      asker_{peer, true},
      in_(kFirstBuffer) {
  ++shared_->sessions;
  ++shared_->sessions_of[asker_.address.address];
  ++shared_->counters->tcp_connections;
}

Transport::TcpSession::~TcpSession() {
  --shared_->sessions;
  --shared_->counters->tcp_connections;
  auto at = shared_->sessions_of.find(asker_.address.address);
  if (--at->second == 0) shared_->sessions_of.erase(at);
}

void Transport::TcpSession::start() {
  touch();
  read();
}

bool Transport::TcpSession::choked() const {
  return pending_ >= shared_->limits.tcp_pending || out_.size() + writing_.size() > kMostBuffered;
}

void Transport::TcpSession::read() {
  if (reading_ || peer_done_ || choked() || !socket_.is_open()) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(in_.data() + used_, in_.size() - used_),
                          [self = shared_from_this()](boost::system::error_code error, size_t size) {
                            self->reading_ = false;
                            if (error == asio::error::eof) {  // half closed: what is under way is still answered
                              self->peer_done_ = true;
                              if (self->pending_ == 0 && self->out_.empty() && self->writing_.empty()) self->close();
                              return;
                            }
                            if (error) return self->close();
                            self->used_ += size;
                            self->take_questions();
                          });
}

// Answers every whole question that is buffered, in one write.
void Transport::TcpSession::take_questions() {
  size_t at = 0;
  in_batch_ = true;
  while (!choked() && used_ - at >= 2) {
    size_t size = static_cast<size_t>(in_[at]) << 8 | in_[at + 1];
    if (used_ - at < 2 + size) {
      if (in_.size() < 2 + size) in_.resize(2 + size);
      break;
    }
    touch();
    shared_->handle(std::span(in_.data() + at + 2, size), asker_, Reply(shared_from_this()));
    at += 2 + size;
  }
  in_batch_ = false;
  if (at > 0) std::memmove(in_.data(), in_.data() + at, used_ - at);
  used_ -= at;
  write();
  read();
}

void Transport::TcpSession::append(std::span<const uint8_t> message) {
  out_.push_back(static_cast<uint8_t>(message.size() >> 8));
  out_.push_back(static_cast<uint8_t>(message.size() & 0xff));
  out_.insert(out_.end(), message.begin(), message.end());
}

void Transport::TcpSession::write() {
  if (!writing_.empty() || !socket_.is_open()) return;
  if (out_.empty()) {
    if (peer_done_ && pending_ == 0) close();
    return;
  }
  std::swap(out_, writing_);
  asio::async_write(socket_, asio::buffer(writing_),
                    [self = shared_from_this()](boost::system::error_code error, size_t) {
                      if (error) return self->close();
                      self->writing_.clear();
                      self->touch();
                      self->write();
                      self->take_questions();
                    });
}

void Transport::TcpSession::touch() {
  idle_.expires_after(shared_->limits.tcp_idle);
  idle_.async_wait([self = weak_from_this()](boost::system::error_code error) {
    auto session = self.lock();
    if (error || !session) return;
    if (session->pending_ > 0) return session->touch();  // it waits for us, not we for it
    session->close();
  });
}

void Transport::TcpSession::close() {
  boost::system::error_code ignored;
  idle_.cancel();
  socket_.close(ignored);
}

}  // namespace carrick::dns
