#include "dns/client.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <random>

#include "dns/message/message.h"
#include "net/raw_address.h"

namespace carrick::dns {
namespace {

using Clock = std::chrono::steady_clock;

uint16_t random_id() {
  static thread_local std::mt19937 source{std::random_device{}()};
  return static_cast<uint16_t>(source());
}

Result<Message> make_query(const ClientQuestion& question) {
  Message message;
  message.id = random_id();
  message.recursion_desired = true;
  message.question = Question{TRY(Name::parse(question.name)), TRY(parse_type(question.type))};
  if (question.edns) message.edns = Edns{};
  return message;
}

ClientRecord client_record(const Record& record) {
  return {record.owner.text(), type_text(record.type), data_text(record), record.ttl, address_of(record)};
}

ClientReply client_reply(const Message& message) {
  ClientReply out{
      rcode_text(message.rcode), message.authoritative, message.truncated, message.recursion_available, {}, {}, {}};
  for (const Record& record : message.answer) out.answer.push_back(client_record(record));
  for (const Record& record : message.authority) out.authority.push_back(client_record(record));
  for (const Record& record : message.additional) out.additional.push_back(client_record(record));
  return out;
}

Result<Fd> connected_socket(const net::SocketAddress& server, int type) {
  Fd fd(::socket(server.address.is_v4() ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  net::RawAddress raw(server);
  if (::connect(fd.get(), raw.get(), raw.size()) != 0 && errno != EINPROGRESS)
    return fail(ErrorKind::kTransient, "connect {}: {}", server.str(), strerror(errno));
  return fd;
}

Result<void> wait_for(int fd, short events, Clock::time_point deadline, const net::SocketAddress& server) {
  while (true) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    pollfd entry{fd, events, 0};
    int ready = left > 0 ? ::poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready > 0) return {};
    if (ready == 0) return fail(ErrorKind::kTransient, "DNS server {}: no answer in time", server.str());
    if (errno != EINTR) return fail_errno(errno, "poll");
  }
}

// Moves all of `bytes` through the socket with send or recv.
template <class Move>
Result<void> move_all(int fd, std::span<uint8_t> bytes, short events, Clock::time_point deadline,
                      const net::SocketAddress& server, Move move) {
  while (!bytes.empty()) {
    TRY_VOID(wait_for(fd, events, deadline, server));
    ssize_t size = move(fd, bytes.data(), bytes.size());
    if (size > 0) {
      bytes = bytes.subspan(static_cast<size_t>(size));
    } else if (size == 0) {
      return fail(ErrorKind::kTransient, "DNS server {}: closed the connection", server.str());
    } else if (errno != EAGAIN && errno != EINTR) {
      return fail(ErrorKind::kTransient, "DNS server {}: {}", server.str(), strerror(errno));
    }
  }
  return {};
}

Result<ClientReply> query_tcp(const ClientQuestion& question) {
  auto deadline = Clock::now() + question.timeout;
  Message message = TRY(make_query(question));
  Fd socket = TRY(connected_socket(question.server, SOCK_STREAM));
  auto body = encode(message);
  std::vector<uint8_t> wire = {static_cast<uint8_t>(body.size() >> 8), static_cast<uint8_t>(body.size() & 0xff)};
  wire.insert(wire.end(), body.begin(), body.end());
  TRY_VOID(move_all(socket.get(), wire, POLLOUT, deadline, question.server,
                    [](int fd, uint8_t* data, size_t size) { return ::send(fd, data, size, MSG_NOSIGNAL); }));
  auto receive = [](int fd, uint8_t* data, size_t size) { return ::recv(fd, data, size, 0); };
  std::vector<uint8_t> prefix(2);
  TRY_VOID(move_all(socket.get(), prefix, POLLIN, deadline, question.server, receive));
  std::vector<uint8_t> reply(static_cast<size_t>(prefix[0]) << 8 | prefix[1]);
  TRY_VOID(move_all(socket.get(), reply, POLLIN, deadline, question.server, receive));
  Message response = TRY(decode_response(reply));
  if (response.id != message.id)
    return fail(ErrorKind::kTransient, "DNS server {}: answered another question", question.server.str());
  return client_reply(response);
}

}  // namespace

std::vector<net::IpAddress> ClientReply::addresses() const {
  std::vector<net::IpAddress> out;
  for (const ClientRecord& record : answer)
    if (record.address) out.push_back(*record.address);
  return out;
}

Result<PendingQuestion> PendingQuestion::start(const ClientQuestion& question) {
  PendingQuestion out;
  Message message = TRY(make_query(question));
  out.id_ = message.id;
  out.server_ = question.server;
  out.sent_ = encode(message);
  out.socket_ = TRY(connected_socket(question.server, SOCK_DGRAM));
  if (::send(out.socket_.get(), out.sent_.data(), out.sent_.size(), MSG_NOSIGNAL) < 0)
    return fail(ErrorKind::kTransient, "DNS server {}: {}", question.server.str(), strerror(errno));
  return out;
}

std::optional<Result<ClientReply>> PendingQuestion::readable() {
  std::vector<uint8_t> buffer(65535);
  while (true) {
    ssize_t size = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return std::nullopt;
    if (size < 0) return fail(ErrorKind::kTransient, "DNS server {}: {}", server_.str(), strerror(errno));
    auto response = decode_response(std::span(buffer.data(), static_cast<size_t>(size)));
    auto asked = decode_query(sent_);
    bool ours = response && response->id == id_ && (!response->question || response->question == asked->question);
    if (ours) return client_reply(*response);
  }
}

Result<ClientReply> query(const ClientQuestion& question) {
  if (question.via == Via::kTcp) return query_tcp(question);
  auto deadline = Clock::now() + question.timeout;
  PendingQuestion pending = TRY(PendingQuestion::start(question));
  while (true) {
    TRY_VOID(wait_for(pending.fd(), POLLIN, deadline, question.server));
    if (auto reply = pending.readable()) return std::move(*reply);
  }
}

namespace {

// From the first server that answers; SERVFAIL counts as no answer while there is another.
Result<ClientReply> query_any(const std::vector<net::SocketAddress>& servers, ClientQuestion question, int& questions) {
  Result<ClientReply> last = fail(ErrorKind::kInvalid, "resolv.conf names no nameserver");
  for (const net::SocketAddress& server : servers) {
    question.server = server;
    question.via = Via::kUdp;
    ++questions;
    last = query(question);
    if (last && last->truncated) {
      question.via = Via::kTcp;
      ++questions;
      last = query(question);
    }
    if (last && last->rcode != "SERVFAIL") break;
  }
  return last;
}

}  // namespace

Result<Lookup> lookup(const ResolvConf& conf, const std::string& name, std::chrono::milliseconds timeout) {
  auto servers = upstreams_of(conf);
  Lookup out;
  for (const std::string& candidate : search_candidates(conf, name)) {
    if (!Name::parse(candidate)) continue;  // too long with this search path
    out.name = candidate;
    for (const char* type : {"A", "AAAA"}) {
      ClientQuestion question{.name = candidate, .type = type, .edns = false, .timeout = timeout};
      ClientReply reply = TRY(query_any(servers, question, out.questions));
      if (reply.rcode != "NOERROR" && reply.rcode != "NXDOMAIN")
        return fail(ErrorKind::kTransient, "DNS: {} for {}", reply.rcode, candidate);
      for (const net::IpAddress& address : reply.addresses()) out.addresses.push_back(address);
      if (reply.rcode == "NXDOMAIN") break;  // of every type (RFC 8020)
    }
    if (!out.addresses.empty()) return out;
  }
  return out;
}

}  // namespace carrick::dns
