#include "lab/programs/sctp.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lab/programs/http.h"
#include "net/raw_address.h"

namespace carrick::lab {
namespace {

constexpr size_t kHeader = 12, kInitChunk = 20;
constexpr uint16_t kStateCookie = 7;
constexpr uint32_t kWindow = 65536;
constexpr auto kSendAgain = std::chrono::milliseconds(500);  // RFC 9260 says 1 s; a lab's links lose nothing for long
using Clock = std::chrono::steady_clock;

void put16(std::vector<uint8_t>& out, uint16_t value) {
  out.push_back(static_cast<uint8_t>(value >> 8));
  out.push_back(static_cast<uint8_t>(value));
}
void put32(std::vector<uint8_t>& out, uint32_t value) {
  put16(out, static_cast<uint16_t>(value >> 16));
  put16(out, static_cast<uint16_t>(value));
}
uint16_t get16(std::span<const uint8_t> from, size_t at) { return static_cast<uint16_t>(from[at] << 8 | from[at + 1]); }
uint32_t get32(std::span<const uint8_t> from, size_t at) {
  return static_cast<uint32_t>(get16(from, at)) << 16 | get16(from, at + 2);
}

uint32_t random32() {
  uint32_t value = 0;
  (void)!::getrandom(&value, sizeof value, 0);
  return value != 0 ? value : 1;
}

Result<Fd> raw_socket(int family) {
  Fd fd(::socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_SCTP));
  if (!fd) return fail_errno(errno, "socket");
  return fd;
}

// Of IPv4 the IP header comes along.
std::optional<SctpPacket> receive(const Fd& fd, bool v4, net::RawAddress* from) {
  uint8_t bytes[2048];
  net::RawAddress peer;
  const ssize_t size = ::recvfrom(fd.get(), bytes, sizeof bytes, 0, peer.get(), peer.size_slot());
  if (size <= 0) return std::nullopt;
  const size_t skip = v4 ? static_cast<size_t>(bytes[0] & 15) * 4 : 0;
  if (static_cast<size_t>(size) < skip) return std::nullopt;
  if (from) *from = peer;
  return decode_sctp(std::span<const uint8_t>(bytes, static_cast<size_t>(size)).subspan(skip));
}

class Connecting {
 public:
  Connecting(Fd fd, bool v4, uint16_t port)
      : fd_(std::move(fd)), v4_(v4), port_(port), own_port_(static_cast<uint16_t>(32768 + random32() % 28000)) {}

  Result<void> run(Clock::time_point deadline) {
    SctpPacket next{
        .from = own_port_, .to = port_, .tag = 0, .chunk = SctpChunk::kInit, .initiate_tag = tag_, .cookie = {}};
    while (true) {
      TRY_VOID(send(next));
      const auto again = std::min(deadline, Clock::now() + kSendAgain);
      const auto answer = TRY(wait(again));
      if (!answer) {
        if (Clock::now() >= deadline) return fail(ErrorKind::kTransient, "no answer");
        continue;
      }
      if (answer->chunk == SctpChunk::kAbort) return fail(ErrorKind::kConflict, "refused");
      if (answer->chunk == SctpChunk::kInitAck && next.chunk == SctpChunk::kInit) {
        next = {.from = own_port_,
                .to = port_,
                .tag = answer->initiate_tag,
                .chunk = SctpChunk::kCookieEcho,
                .initiate_tag = 0,
                .cookie = answer->cookie};
      } else if (answer->chunk == SctpChunk::kCookieAck) {
        next.chunk = SctpChunk::kAbort;
        next.cookie.clear();
        return send(next);
      }
    }
  }

 private:
  Result<void> send(const SctpPacket& packet) {
    const auto bytes = encode_sctp(packet);
    if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) return failure();
    return {};
  }
  // What ICMP said of an earlier packet comes as the error of a later call.
  Result<void> failure() const {
    if (errno == ECONNREFUSED || errno == ENOPROTOOPT) return fail(ErrorKind::kConflict, "refused");
    return fail_errno(errno, "sctp");
  }
  Result<std::optional<SctpPacket>> wait(Clock::time_point until) {
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
      if (left <= 0) return std::optional<SctpPacket>();
      pollfd wait{fd_.get(), POLLIN, 0};
      if (::poll(&wait, 1, static_cast<int>(left)) <= 0) continue;
      if (wait.revents & POLLERR) {
        socklen_t size = sizeof errno;
        int error = 0;
        ::getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        errno = error;
        if (error != 0) return std::unexpected(failure().error());
      }
      auto packet = receive(fd_, v4_, nullptr);
      if (packet && packet->from == port_ && packet->to == own_port_ && packet->tag == tag_) return packet;
    }
  }

  Fd fd_;
  bool v4_;
  uint16_t port_, own_port_;
  uint32_t tag_ = random32();
};

// Without a memory of its own, but for the key of its cookies: that is the initiate tag, given back.
void answer(const Fd& fd, const SctpPacket& packet, const net::RawAddress& from, const std::vector<uint16_t>& ports) {
  // Another container of the pod may serve that port: it hears the same packets.
  if (std::ranges::find(ports, packet.to) == ports.end()) return;
  SctpPacket reply{.from = packet.to, .to = packet.from, .tag = packet.initiate_tag};
  if (packet.chunk == SctpChunk::kInit) {
    reply.chunk = SctpChunk::kInitAck;
    reply.initiate_tag = random32();
    reply.cookie.assign(reinterpret_cast<const char*>(&packet.initiate_tag), 4);
    reply.cookie.append(reinterpret_cast<const char*>(&reply.initiate_tag), 4);
  } else if (packet.chunk == SctpChunk::kCookieEcho && packet.cookie.size() == 8) {
    uint32_t ours = 0;
    std::memcpy(&reply.tag, packet.cookie.data(), 4);
    std::memcpy(&ours, packet.cookie.data() + 4, 4);
    if (ours != packet.tag) return;
    reply.chunk = SctpChunk::kCookieAck;
  } else {
    return;
  }
  const auto bytes = encode_sctp(reply);
  (void)::sendto(fd.get(), bytes.data(), bytes.size(), 0, from.get(), from.size());
}

}  // namespace

uint32_t crc32c(std::span<const uint8_t> bytes) {
  uint32_t crc = ~0u;
  for (const uint8_t byte : bytes) {
    crc ^= byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
  }
  return ~crc;
}

std::vector<uint8_t> encode_sctp(const SctpPacket& packet) {
  std::vector<uint8_t> out;
  put16(out, packet.from);
  put16(out, packet.to);
  put32(out, packet.tag);
  put32(out, 0);
  out.push_back(static_cast<uint8_t>(packet.chunk));
  out.push_back(0);
  const bool init = packet.chunk == SctpChunk::kInit || packet.chunk == SctpChunk::kInitAck;
  const bool cookie = packet.chunk == SctpChunk::kInitAck;
  const size_t length = (init ? kInitChunk : 4) + (cookie ? 4 : 0) + packet.cookie.size();
  put16(out, static_cast<uint16_t>(length));
  if (init) {
    put32(out, packet.initiate_tag);
    put32(out, kWindow);
    put16(out, 10);
    put16(out, 10);
    put32(out, packet.initiate_tag);
  }
  if (cookie) {
    put16(out, kStateCookie);
    put16(out, static_cast<uint16_t>(4 + packet.cookie.size()));
  }
  out.insert(out.end(), packet.cookie.begin(), packet.cookie.end());
  while (out.size() % 4 != 0) out.push_back(0);
  const uint32_t sum = crc32c(out);
  for (int i = 0; i < 4; ++i) out[8 + static_cast<size_t>(i)] = static_cast<uint8_t>(sum >> (8 * i));  // RFC 9260 6.8
  return out;
}

std::optional<SctpPacket> decode_sctp(std::span<const uint8_t> bytes) {
  if (bytes.size() < kHeader + 4) return std::nullopt;
  std::vector<uint8_t> copy(bytes.begin(), bytes.end());
  std::fill_n(copy.begin() + 8, 4, uint8_t{0});
  const uint32_t sum = crc32c(copy);
  for (int i = 0; i < 4; ++i)
    if (bytes[8 + static_cast<size_t>(i)] != static_cast<uint8_t>(sum >> (8 * i))) return std::nullopt;
  SctpPacket out{.from = get16(bytes, 0), .to = get16(bytes, 2), .tag = get32(bytes, 4)};
  out.chunk = static_cast<SctpChunk>(bytes[kHeader]);
  const size_t length = get16(bytes, kHeader + 2);
  if (length < 4 || kHeader + length > bytes.size()) return std::nullopt;
  const auto chunk = bytes.subspan(kHeader, length);
  switch (out.chunk) {
    case SctpChunk::kInit:
    case SctpChunk::kInitAck:
      if (length < kInitChunk) return std::nullopt;
      out.initiate_tag = get32(chunk, 4);
      for (size_t at = kInitChunk; at + 4 <= length;) {
        const size_t size = get16(chunk, at + 2);
        if (size < 4 || at + size > length) return std::nullopt;
        if (get16(chunk, at) == kStateCookie)
          out.cookie.assign(reinterpret_cast<const char*>(chunk.data() + at + 4), size - 4);
        at += (size + 3) / 4 * 4;
      }
      return out;
    case SctpChunk::kCookieEcho:
      out.cookie.assign(reinterpret_cast<const char*>(chunk.data() + 4), length - 4);
      return out;
    case SctpChunk::kAbort:
    case SctpChunk::kCookieAck:
      return out;
  }
  return std::nullopt;
}

Result<void> connect_sctp(const net::IpAddress& to, uint16_t port, std::chrono::milliseconds limit) {
  Fd fd = TRY(raw_socket(to.is_v4() ? AF_INET : AF_INET6));
  const net::RawAddress peer({to, 0});
  if (::connect(fd.get(), peer.get(), peer.size()) != 0) return fail_errno(errno, "connect");
  return Connecting(std::move(fd), to.is_v4(), port).run(Clock::now() + limit);
}

Result<void> serve_sctp(const std::vector<uint16_t>& ports) {
  Fd v4 = TRY(raw_socket(AF_INET));
  const Fd v6 = raw_socket(AF_INET6).value_or(Fd());  // a machine may have IPv4 alone
  pollfd waits[] = {{v4.get(), POLLIN, 0}, {v6 ? v6.get() : -1, POLLIN, 0}};
  while (true) {
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return fail_errno(errno, "poll");
    for (const pollfd& wait : waits) {
      if (wait.revents == 0) continue;
      const bool is_v4 = wait.fd == v4.get();
      net::RawAddress from;
      if (const auto packet = receive(is_v4 ? v4 : v6, is_v4, &from)) answer(is_v4 ? v4 : v6, *packet, from, ports);
    }
  }
}

}  // namespace carrick::lab
