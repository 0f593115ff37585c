#include "dns/transport/transport.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/fd.h"
#include "dns/transport/shared.h"
#include "net/raw_address.h"

namespace carrick::dns {
namespace {

constexpr int kPortTries = 16;  // for port 0: a port free for UDP may be taken for TCP

Result<Fd> bound_socket(const net::SocketAddress& address, int type) {
  bool v4 = address.address.is_v4();
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  int on = 1;
  if (type == SOCK_STREAM) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!v4) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  net::RawAddress raw(address);
  if (::bind(fd.get(), raw.get(), raw.size()) != 0) return fail_errno(errno, fmt::format("bind {}", address.str()));
  if (type == SOCK_STREAM && ::listen(fd.get(), 256) != 0)
    return fail_errno(errno, fmt::format("listen {}", address.str()));
  if (type == SOCK_DGRAM) {
    int bytes = 1 << 20;  // a burst of a thousand questions; the kernel caps it
    ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }
  return fd;
}

Result<uint16_t> port_of(int fd) {
  net::RawAddress raw;
  if (::getsockname(fd, raw.get(), raw.size_slot()) != 0) return fail_errno(errno, "getsockname");
  return raw.socket_address().port;
}

}  // namespace

Message reply_to(const Message& query) {
  Message reply;
  reply.id = query.id;
  reply.is_response = true;
  reply.opcode = query.opcode;
  reply.recursion_desired = query.recursion_desired;
  reply.checking_disabled = query.checking_disabled;
  reply.question = query.question;
  if (query.edns) reply.edns = Edns{.dnssec_ok = query.edns->dnssec_ok};
  return reply;
}

std::optional<Message> refuse(const Message& query) {
  auto with = [&](uint16_t rcode) {
    Message reply = reply_to(query);
    reply.rcode = rcode;
    return reply;
  };
  if (query.edns && query.edns->version != 0) return with(kBadVers);  // RFC 6891 6.1.3
  const Question& question = *query.question;
  if (question.klass != kClassIn && question.klass != kClassAny) return with(kNotImp);
  if (question.type == kAxfr || question.type == kIxfr) return with(kRefused);
  if (question.type == kOpt) return with(kFormErr);
  return std::nullopt;
}

void Transport::Shared::count_request(const Asker& asker) {
  bool v4 = asker.address.address.is_v4();
  ++(asker.tcp ? (v4 ? counters->requests_tcp_v4 : counters->requests_tcp_v6)
               : (v4 ? counters->requests_udp_v4 : counters->requests_udp_v6));
}

std::span<const uint8_t> Transport::Shared::encoded(const Message& message, const Asker& asker) {
  size_t limit = buffer_.size();
  if (!asker.tcp)
    limit = message.edns ? std::clamp<size_t>(message.edns->udp_size, 512, limits.udp_size) : 512;  // DNS-T2
  size_t size = 0;
  if (message.edns) {
    Message ours = message;
    ours.edns->udp_size = limits.udp_size;
    size = encode(ours, buffer_, limit);
  } else {
    size = encode(message, buffer_, limit);
  }
  if (size > 2 && buffer_[2] & 0x02) ++counters->truncated;
  return {buffer_.data(), size};
}

std::span<const uint8_t> Transport::Shared::encoded(const Undecodable& bad) {
  Message message;
  message.id = bad.id;
  message.is_response = true;
  message.opcode = bad.opcode;
  message.recursion_desired = bad.recursion_desired;
  message.rcode = bad.rcode;
  return {buffer_.data(), encode(message, buffer_, 512)};
}

Transport::Transport(boost::asio::io_context& io, std::shared_ptr<Responder> responder, TransportLimits limits,
                     std::shared_ptr<Counters> counters)
    : shared_(std::make_shared<Shared>(io, std::move(responder), limits, std::move(counters))) {}

Transport::~Transport() = default;

Result<void> Transport::listen(const std::vector<net::SocketAddress>& addresses) {
  if (addresses.empty()) return fail(ErrorKind::kInvalid, "DNS: no address to listen on");
  for (const net::SocketAddress& address : addresses) {
    if (address.address.is_unspecified() || address.address == net::IpAddress::v4(0))
      return fail(ErrorKind::kInvalid, "DNS cannot listen on {}: answers have to come from the address that was asked",
                  address.str());
    TRY_VOID(listen_at(address));
  }
  return {};
}

Result<void> Transport::listen_at(net::SocketAddress address) {
  const bool any_port = address.port == 0;
  for (int attempt = 0;; ++attempt) {
    Fd udp = TRY(bound_socket(address, SOCK_DGRAM));
    net::SocketAddress exact{address.address, TRY(port_of(udp.get()))};
    auto tcp = bound_socket(exact, SOCK_STREAM);
    if (!tcp && any_port && attempt < kPortTries) continue;
    if (!tcp) return std::unexpected(tcp.error());
    udp_.push_back(std::make_shared<UdpPort>(shared_, udp.release()));
    tcp_.push_back(std::make_shared<TcpPort>(
        shared_, address.address.is_v4() ? ::boost::asio::ip::tcp::v4() : ::boost::asio::ip::tcp::v6(),
        tcp->release()));
    bound_.push_back(exact);
    return {};
  }
}

void Transport::start() {
  for (auto& port : udp_) port->wait();
  for (auto& port : tcp_) port->accept();
}

}  // namespace carrick::dns
