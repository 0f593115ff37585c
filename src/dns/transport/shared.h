#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>

#include "dns/transport/transport.h"

// The parts of a Transport. Handlers hold them by shared_ptr, so that an io_context which is destroyed with operations
// under way finds nothing gone.
namespace carrick::dns {

struct Transport::Shared {
  Shared(boost::asio::io_context& context, std::shared_ptr<Responder> who, TransportLimits limits_,
         std::shared_ptr<Counters> counts)
      : io(context), responder(std::move(who)), limits(limits_), counters(std::move(counts)) {}

  // Calls reply.send(bytes) once, empty for silence; reply.defer() before, if that happens after this returns.
  template <class Reply>
  void handle(std::span<const uint8_t> wire, const Asker& asker, Reply reply);

  boost::asio::io_context& io;
  std::shared_ptr<Responder> responder;
  const TransportLimits limits;
  std::shared_ptr<Counters> counters;
  size_t sessions = 0;
  std::map<net::IpAddress, size_t> sessions_of;

 private:
  void count_request(const Asker& asker);
  std::span<const uint8_t> encoded(const Message& message, const Asker& asker);
  std::span<const uint8_t> encoded(const Undecodable& bad);
  std::array<uint8_t, 65535> buffer_;
};

template <class Reply>
void Transport::Shared::handle(std::span<const uint8_t> wire, const Asker& asker, Reply reply) {
  auto begin = std::chrono::steady_clock::now();
  auto query = decode_query(wire);
  if (!query) {
    if (query.error().silent) {
      ++counters->ignored;
      return reply.send({});
    }
    count_request(asker);
    counters->response(query.error().rcode);
    return reply.send(encoded(query.error()));
  }
  count_request(asker);
  auto finish = [this, begin, asker](Reply& to, const std::optional<Message>& message) {
    if (!message) {
      ++counters->ignored;
      return to.send({});
    }
    counters->response(message->rcode);
    counters->duration(std::chrono::steady_clock::now() - begin);
    to.send(encoded(*message, asker));
  };
  auto refusal = refuse(*query);
  if (!refusal) refusal = responder->answer_now(*query, asker);
  if (refusal) return finish(reply, refusal);
  reply.defer();
  boost::asio::co_spawn(
      io, responder->answer_later(std::move(*query), asker),
      [finish, reply = std::move(reply)](std::exception_ptr broken, std::optional<Message> message) mutable {
        finish(reply, broken ? std::nullopt : message);
      });
}

class Transport::UdpPort : public std::enable_shared_from_this<UdpPort> {
 public:
  UdpPort(std::shared_ptr<Shared> shared, int fd) : shared_(std::move(shared)), socket_(shared_->io, fd) {}
  void wait();

 private:
  class Reply;
  bool receive_one();

  std::shared_ptr<Shared> shared_;
  boost::asio::posix::stream_descriptor socket_;
  std::array<uint8_t, 4096> datagram_;  // questions are small; a longer one is malformed
};

class Transport::TcpPort : public std::enable_shared_from_this<TcpPort> {
 public:
  TcpPort(std::shared_ptr<Shared> shared, const boost::asio::ip::tcp& family, int fd)
      : shared_(std::move(shared)), acceptor_(shared_->io, family, fd), pause_(shared_->io) {}
  void accept();

 private:
  void take(boost::asio::ip::tcp::socket socket);

  std::shared_ptr<Shared> shared_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer pause_;
};

class Transport::TcpSession : public std::enable_shared_from_this<TcpSession> {
 public:
  TcpSession(std::shared_ptr<Shared> shared, boost::asio::ip::tcp::socket socket, net::SocketAddress peer);
  ~TcpSession();
  void start();

 private:
  class Reply;
  void read();
  void take_questions();
  void append(std::span<const uint8_t> message);
  void write();
  void touch();
  void close();
  bool choked() const;

  std::shared_ptr<Shared> shared_;
  boost::asio::ip::tcp::socket socket_;
  boost::asio::steady_timer idle_;
  Asker asker_;
  std::vector<uint8_t> in_, out_, writing_;
  size_t used_ = 0;     // bytes of in_ that hold data
  size_t pending_ = 0;  // deferred answers
  bool reading_ = false, peer_done_ = false, in_batch_ = false;
};

}  // namespace carrick::dns
