#include <sys/socket.h>

#include "dns/transport/shared.h"
#include "net/raw_address.h"

namespace carrick::dns {
namespace {
constexpr int kBatch = 64;  // datagrams before other work of the thread gets its turn
}

class Transport::UdpPort::Reply {
 public:
  Reply(std::shared_ptr<UdpPort> port, const net::RawAddress& to) : port_(std::move(port)), to_(to) {}
  void defer() {}
  void send(std::span<const uint8_t> bytes) {
    // A full send buffer loses the answer, as the network might: the client asks again.
    if (!bytes.empty())
      ::sendto(port_->socket_.native_handle(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL, to_.get(),
               to_.size());
  }

 private:
  std::shared_ptr<UdpPort> port_;
  net::RawAddress to_;
};

void Transport::UdpPort::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (error) return;
                       for (int i = 0; i < kBatch && self->receive_one(); ++i) {
                       }
                       self->wait();
                     });
}

bool Transport::UdpPort::receive_one() {
  net::RawAddress from;
  ssize_t size = ::recvfrom(socket_.native_handle(), datagram_.data(), datagram_.size(), MSG_DONTWAIT, from.get(),
                            from.size_slot());
  if (size < 0) return errno == ECONNREFUSED || errno == EINTR;  // a pending ICMP error is read like a datagram
  shared_->handle(std::span(datagram_.data(), static_cast<size_t>(size)), Asker{from.socket_address(), false},
                  Reply(shared_from_this(), from));
  return true;
}

}  // namespace carrick::dns
