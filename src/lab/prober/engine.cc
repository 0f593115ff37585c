#include "lab/prober/engine.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <optional>

#include "base/fd.h"
#include "base/text.h"
#include "kernel/netns.h"
#include "lab/responder/conversation.h"

namespace carrick::lab {
namespace {

using Clock = std::chrono::steady_clock;

struct Flight {
  Fd fd;
  uint32_t task = 0;
  uint32_t generation = 0;  // tells a late event or time-out from one of the slot's present user
  bool asked = false;
  Clock::time_point started;
};

// What a responder says: "namespace/pod 8080 10.1.1.2:40000\n", the client perhaps "[2001:db8::1]:40000". Programs say
// what they like.
struct Identity {
  uint64_t who = 0;
  net::IpAddress client;
};
std::optional<Identity> identity_in(std::string_view text) {
  auto words = split(text.substr(0, text.find('\n')), ' ');
  if (words.size() < 3 || std::ranges::count(words[0], '/') != 1) return std::nullopt;
  std::string_view client = words[2].substr(0, words[2].rfind(':'));
  if (client.size() == words[2].size()) return std::nullopt;
  if (client.starts_with('[') && client.ends_with(']')) client = client.substr(1, client.size() - 2);
  auto address = net::IpAddress::parse(client);
  if (!address) return std::nullopt;
  return Identity{net::stable_hash(words[0]), *address};
}

// What an errno of a failed connection means for whoever tried it.
Verdict verdict_of(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case EPERM:
      return Verdict::kRefuse;  // EPERM: a socket program said no
    default:
      return Verdict::kDeny;
  }
}

class Engine {
 public:
  Engine(std::span<const std::string> namespaces, std::span<const ProbeTask> tasks, std::span<const uint32_t> order,
         const ProbeLimits& limits, std::span<ProbeOutcome> outcomes)
      : namespaces_(namespaces),
        tasks_(tasks),
        order_(order),
        limits_(limits),
        outcomes_(outcomes),
        flights_(limits.in_flight) {
    for (size_t i = flights_.size(); i-- > 0;) free_.push_back(static_cast<uint32_t>(i));
  }

  Result<void> run() {
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    if (!epoll_) return fail_errno(errno, "epoll");
    epoll_event events[512];
    while (next_ < order_.size() || free_.size() < flights_.size()) {
      // A few at a time, so that answers are taken while more questions are put.
      for (int batch = 0; batch < 64 && next_ < order_.size() && !free_.empty(); ++batch)
        TRY_VOID(launch(order_[next_++]));
      bool may_launch = next_ < order_.size() && !free_.empty();
      int n = ::epoll_wait(epoll_.get(), events, std::size(events), may_launch ? 0 : wait_ms());
      if (n < 0 && errno != EINTR) return fail_errno(errno, "epoll_wait");
      for (int i = 0; i < n; ++i) handle(events[i].data.u64);
      expire();
    }
    return {};
  }

 private:
  Result<void> enter(uint32_t source) {
    if (source == current_source_) return {};
    Fd netns = TRY(kernel::open_netns(namespaces_[source]));
    if (::setns(netns.get(), CLONE_NEWNET) != 0) return fail_errno(errno, namespaces_[source]);
    current_source_ = source;
    return {};
  }

  Result<void> launch(uint32_t index) {
    const ProbeTask& task = tasks_[index];
    TRY_VOID(enter(task.source));
    bool v4 = task.address.is_v4(), tcp = task.protocol == net::Protocol::kTcp;
    uint32_t slot = free_.back();
    Flight& flight = flights_[slot];
    flight.fd =
        Fd(::socket(v4 ? AF_INET : AF_INET6, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!flight.fd) return fail_errno(errno, "socket");
    free_.pop_back();
    flight.task = index;
    flight.asked = false;
    flight.started = Clock::now();
    if (tcp) {  // closed by a reset: no TIME_WAIT is left in the pod
      linger none{.l_onoff = 1, .l_linger = 0};
      ::setsockopt(flight.fd.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    }
    sockaddr_in to4{.sin_family = AF_INET, .sin_port = htons(task.port)};
    sockaddr_in6 to6{.sin6_family = AF_INET6, .sin6_port = htons(task.port)};
    if (v4) to4.sin_addr.s_addr = htonl(task.address.v4_host_order());
    std::memcpy(&to6.sin6_addr, task.address.bytes().data(), 16);
    if (!task.from.is_unspecified()) TRY_VOID(bind_to(flight.fd, task.from));
    int connected = v4 ? ::connect(flight.fd.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4)
                       : ::connect(flight.fd.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6);
    if (connected != 0 && errno != EINPROGRESS) {
      finish(slot, verdict_of(errno), errno);
      return {};
    }
    // Edge-triggered: one registration tells both that it is connected and that the answer is there.
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data = {.u64 = tag(slot)}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, flight.fd.get(), &event) != 0) return fail_errno(errno, "epoll_ctl");
    deadlines_.emplace_back(flight.started + limits_.timeout, tag(slot));
    return {};
  }

  static Result<void> bind_to(const Fd& fd, const net::IpAddress& own) {
    sockaddr_in own4{.sin_family = AF_INET};
    sockaddr_in6 own6{.sin6_family = AF_INET6};
    if (own.is_v4()) own4.sin_addr.s_addr = htonl(own.v4_host_order());
    std::memcpy(&own6.sin6_addr, own.bytes().data(), 16);
    int bound = own.is_v4() ? ::bind(fd.get(), reinterpret_cast<sockaddr*>(&own4), sizeof own4)
                            : ::bind(fd.get(), reinterpret_cast<sockaddr*>(&own6), sizeof own6);
    if (bound != 0) return fail_errno(errno, "bind to " + own.str());
    return {};
  }

  uint64_t tag(uint32_t slot) const { return static_cast<uint64_t>(flights_[slot].generation) << 32 | slot; }
  Flight* find(uint64_t tag_value) {
    Flight& flight = flights_[tag_value & 0xffffffff];
    return flight.fd && flight.generation == tag_value >> 32 ? &flight : nullptr;
  }

  void handle(uint64_t tag_value) {
    Flight* flight = find(tag_value);
    if (!flight) return;
    auto slot = static_cast<uint32_t>(tag_value & 0xffffffff);
    if (!flight->asked) {
      if (::send(flight->fd.get(), kProbeQuestion.data(), kProbeQuestion.size(), MSG_NOSIGNAL) < 0) {
        if (errno == EAGAIN || errno == ENOTCONN) return;
        return finish(slot, verdict_of(errno), errno);
      }
      flight->asked = true;
    }
    char answer[512];
    ssize_t n = ::recv(flight->fd.get(), answer, sizeof answer, 0);
    if (n < 0 && errno == EAGAIN) return;
    // A program that does not like the question may end the connection at once: there was one.
    if (n < 0 && errno == ECONNRESET && is_tcp(*flight)) return finish(slot, Verdict::kAllow, 0);
    if (n < 0) return finish(slot, verdict_of(errno), errno);
    auto identity = identity_in({answer, static_cast<size_t>(n)});
    uint32_t task = flight->task;
    finish(slot, Verdict::kAllow, 0, identity ? identity->who : 0);
    if (identity) outcomes_[task].seen_as = identity->client;
  }

  void finish(uint32_t slot, Verdict verdict, int error, uint64_t answered_by = 0) {
    Flight& flight = flights_[slot];
    auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - flight.started).count();
    outcomes_[flight.task] = {verdict, static_cast<int16_t>(error), static_cast<uint32_t>(took), answered_by, {}};
    flight.fd.reset();
    ++flight.generation;
    free_.push_back(slot);
  }

  void expire() {
    auto now = Clock::now();
    while (!deadlines_.empty() && (deadlines_.front().first <= now || !find(deadlines_.front().second))) {
      uint64_t late = deadlines_.front().second;
      deadlines_.pop_front();
      if (Flight* flight = find(late))
        // Connected, but nobody said a word: the handshake is what the network was asked for.
        finish(static_cast<uint32_t>(late & 0xffffffff),
               flight->asked && is_tcp(*flight) ? Verdict::kAllow : Verdict::kDeny, 0);
    }
  }
  bool is_tcp(const Flight& flight) const { return tasks_[flight.task].protocol == net::Protocol::kTcp; }

  int wait_ms() const {
    if (deadlines_.empty()) return 100;
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadlines_.front().first - Clock::now()).count();
    return static_cast<int>(std::max<int64_t>(0, left));
  }

  std::span<const std::string> namespaces_;
  std::span<const ProbeTask> tasks_;
  std::span<const uint32_t> order_;
  ProbeLimits limits_;
  std::span<ProbeOutcome> outcomes_;
  Fd epoll_;
  std::vector<Flight> flights_;
  std::vector<uint32_t> free_;
  std::deque<std::pair<Clock::time_point, uint64_t>> deadlines_;  // all limits are equal: in order of start
  size_t next_ = 0;
  uint32_t current_source_ = UINT32_MAX;
};

}  // namespace

std::string_view verdict_word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllow:
      return "allow";
    case Verdict::kDeny:
      return "deny";
    case Verdict::kRefuse:
      return "refuse";
    case Verdict::kUnknown:
      break;
  }
  return "unknown";
}

Result<void> run_probes(std::span<const std::string> namespaces, std::span<const ProbeTask> tasks,
                        std::span<const uint32_t> order, const ProbeLimits& limits, std::span<ProbeOutcome> outcomes) {
  return Engine(namespaces, tasks, order, limits, outcomes).run();
}

}  // namespace carrick::lab
