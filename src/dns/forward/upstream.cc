#include "dns/forward/upstream.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <random>

namespace carrick::dns {
namespace {

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using Deadline = std::chrono::steady_clock::time_point;

asio::ip::address asio_address(const net::IpAddress& address) {
  if (address.is_v4()) return asio::ip::address_v4(address.v4_host_order());
  return asio::ip::address_v6(address.bytes());
}

uint16_t random_id() {
  static thread_local std::random_device device;
  return static_cast<uint16_t>(device());
}

bool answers(const Message& response, const Message& query) {
  return response.id == query.id && response.opcode == query.opcode && response.question == query.question;
}

// Ends the operations on `socket` at the deadline. Lives as long as the exchange.
template <class Socket>
class Watch {
 public:
  Watch(Socket& socket, Deadline deadline) : timer_(socket.get_executor(), deadline) {
    timer_.async_wait([&socket, alive = std::weak_ptr<int>(alive_)](boost::system::error_code error) {
      boost::system::error_code ignored;
      if (!error && !alive.expired()) socket.close(ignored);
    });
  }

 private:
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  asio::steady_timer timer_;
};

awaitable<Message> over_udp(asio::ip::address address, uint16_t port, const Message& query, Deadline deadline) {
  asio::ip::udp::endpoint endpoint(address, port);
  asio::ip::udp::socket socket(co_await asio::this_coro::executor, endpoint.protocol());
  socket.connect(endpoint);
  Watch watch(socket, deadline);
  auto wire = encode(query);
  co_await socket.async_send(asio::buffer(wire), use_awaitable);
  std::vector<uint8_t> buffer(4096);
  while (true) {
    size_t size = co_await socket.async_receive(asio::buffer(buffer), use_awaitable);
    auto response = decode_response(std::span(buffer.data(), size));
    if (response && answers(*response, query)) co_return std::move(*response);
  }
}

awaitable<Message> over_tcp(asio::ip::address address, uint16_t port, const Message& query, Deadline deadline) {
  asio::ip::tcp::endpoint endpoint(address, port);
  asio::ip::tcp::socket socket(co_await asio::this_coro::executor, endpoint.protocol());
  Watch watch(socket, deadline);
  co_await socket.async_connect(endpoint, use_awaitable);
  auto message = encode(query);
  std::vector<uint8_t> wire = {static_cast<uint8_t>(message.size() >> 8), static_cast<uint8_t>(message.size() & 0xff)};
  wire.insert(wire.end(), message.begin(), message.end());
  co_await asio::async_write(socket, asio::buffer(wire), use_awaitable);
  while (true) {
    uint8_t prefix[2];
    co_await asio::async_read(socket, asio::buffer(prefix), use_awaitable);
    std::vector<uint8_t> buffer(static_cast<size_t>(prefix[0]) << 8 | prefix[1]);
    co_await asio::async_read(socket, asio::buffer(buffer), use_awaitable);
    auto response = decode_response(buffer);
    if (response && answers(*response, query)) co_return std::move(*response);
  }
}

}  // namespace

awaitable<Result<Message>> ask_upstream(net::SocketAddress server, Message query, Deadline deadline) {
  try {
    query.id = random_id();
    auto address = asio_address(server.address);
    Message response = co_await over_udp(address, server.port, query, deadline);
    if (response.truncated) response = co_await over_tcp(address, server.port, query, deadline);
    co_return response;
  } catch (const boost::system::system_error& error) {
    co_return fail(ErrorKind::kTransient, "DNS upstream {}: {}", server.str(),
                   error.code() == asio::error::operation_aborted || error.code() == asio::error::bad_descriptor
                       ? "no answer in time"
                       : error.code().message());
  }
}

}  // namespace carrick::dns
