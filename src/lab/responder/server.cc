#include <netinet/in.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <memory>

#include "kernel/netns.h"
#include "kernel/unix_socket.h"
#include "lab/responder/conversation.h"
#include "lab/responder/responder.h"
#include "lab/responder/sockets.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr auto kIdleLimit = std::chrono::seconds(60);
constexpr size_t kMaxUnsent = 256 * 1024;   // a reader that does not read is closed
constexpr size_t kMaxConnections = 12'000;  // of all pods; the oldest idle one gives way
constexpr size_t kMaxControlLine = 1024 * 1024;

struct Pod;

// Anything that epoll reports on.
struct Source {
  enum class Kind { kControlListener, kControl, kSignal, kTcpListener, kUdp, kConnection };
  Source(Kind kind_, Fd fd_) : kind(kind_), fd(std::move(fd_)) {}
  virtual ~Source() = default;

  Kind kind;
  Fd fd;
  Pod* pod = nullptr;
  Listener listener;
  bool dead = false;  // closed during this round of events; freed after it
};

struct Connection : Source {
  explicit Connection(Fd fd_) : Source(Kind::kConnection, std::move(fd_)) {}
  std::unique_ptr<Conversation> conversation;
  std::string unsent;
  bool closing = false;  // once unsent is empty
  bool waits_for_room = false;
  Clock::time_point last_use;
  std::list<Connection*>::iterator age;
};

struct Control : Source {
  explicit Control(Fd fd_) : Source(Kind::kControl, std::move(fd_)) {}
  std::string input;
};

struct Pod {
  ResponderIdentity who;
  std::string netns;
  std::map<Listener, std::unique_ptr<Source>> sockets;
  std::set<Connection*> connections;
  Clock::time_point last_use = Clock::now();  // by any client
};

class Responder {
 public:
  Result<void> open(const std::string& control_path);
  Result<void> serve();

 private:
  Result<void> watch(Source& source, uint32_t events, int operation = EPOLL_CTL_ADD);
  void handle(Source& source, uint32_t events);
  void accept_connections(Source& listener);
  void answer_datagrams(Source& socket);
  void read_connection(Connection& connection);
  void flush(Connection& connection);
  void close_connection(Connection& connection);
  void expire();
  void read_control(Control& control);
  json::object command(const json::value& request);
  json::array set_pod(const json::value& request);
  void remove_pod(const std::string& key);

  Fd epoll_;
  std::unique_ptr<Source> control_listener_, signals_;
  std::map<Source*, std::unique_ptr<Control>> controls_;
  std::map<std::string, std::unique_ptr<Pod>> pods_;
  std::list<Connection*> by_age_;  // least recently used first
  std::vector<std::unique_ptr<Source>> graveyard_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(65536);
  bool stop_ = false;
};

Result<void> Responder::open(const std::string& control_path) {
  epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return fail_errno(errno, "epoll");
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  signals_ = std::make_unique<Source>(Source::Kind::kSignal, Fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK)));
  TRY_VOID(watch(*signals_, EPOLLIN));

  control_listener_ = std::make_unique<Source>(Source::Kind::kControlListener, TRY(kernel::listen_unix(control_path)));
  return watch(*control_listener_, EPOLLIN);
}

Result<void> Responder::watch(Source& source, uint32_t events, int operation) {
  epoll_event event{.events = events, .data = {.ptr = &source}};
  if (::epoll_ctl(epoll_.get(), operation, source.fd.get(), &event) != 0) return fail_errno(errno, "epoll_ctl");
  return {};
}

Result<void> Responder::serve() {
  epoll_event events[256];
  auto next_expiry = Clock::now() + std::chrono::seconds(1);
  while (!stop_) {
    int n = ::epoll_wait(epoll_.get(), events, std::size(events), by_age_.empty() ? -1 : 1000);
    if (n < 0 && errno != EINTR) return fail_errno(errno, "epoll_wait");
    for (int i = 0; i < n; ++i) {
      auto& source = *static_cast<Source*>(events[i].data.ptr);
      if (!source.dead) handle(source, events[i].events);
    }
    graveyard_.clear();
    if (Clock::now() >= next_expiry) {
      expire();
      next_expiry = Clock::now() + std::chrono::seconds(1);
    }
  }
  return {};
}

void Responder::handle(Source& source, uint32_t events) {
  switch (source.kind) {
    case Source::Kind::kSignal:
      stop_ = true;
      break;
    case Source::Kind::kTcpListener:
      accept_connections(source);
      break;
    case Source::Kind::kUdp:
      answer_datagrams(source);
      break;
    case Source::Kind::kControl:
      read_control(static_cast<Control&>(source));
      break;
    case Source::Kind::kControlListener: {
      auto control =
          std::make_unique<Control>(Fd(::accept4(source.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)));
      if (control->fd && watch(*control, EPOLLIN)) controls_.emplace(control.get(), std::move(control));
      break;
    }
    case Source::Kind::kConnection: {
      auto& connection = static_cast<Connection&>(source);
      if (events & EPOLLOUT) flush(connection);
      if (!connection.dead && (events & (EPOLLIN | EPOLLERR | EPOLLHUP))) read_connection(connection);
      break;
    }
  }
}

void Responder::accept_connections(Source& listener) {
  for (int round = 0; round < 64; ++round) {  // others are served in between
    sockaddr_in6 peer{};
    socklen_t length = sizeof peer;
    Fd fd(::accept4(listener.fd.get(), reinterpret_cast<sockaddr*>(&peer), &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd) {
      // Out of descriptors: the oldest idle connection makes room, else epoll would spin on this listener.
      if ((errno == EMFILE || errno == ENFILE) && !by_age_.empty()) {
        close_connection(*by_age_.front());
        continue;
      }
      return;
    }
    if (by_age_.size() >= kMaxConnections) close_connection(*by_age_.front());
    auto* connection = new Connection(std::move(fd));
    connection->pod = listener.pod;
    connection->listener = listener.listener;
    connection->conversation =
        std::make_unique<Conversation>(listener.pod->who, listener.listener.port, socket_text(&peer));
    connection->last_use = listener.pod->last_use = Clock::now();
    connection->age = by_age_.insert(by_age_.end(), connection);
    listener.pod->connections.insert(connection);
    if (!watch(*connection, EPOLLIN))
      close_connection(*connection);
    else
      read_connection(*connection);  // the question is often there already
  }
}

void Responder::read_connection(Connection& connection) {
  ssize_t n = ::recv(connection.fd.get(), buffer_.get(), 16384, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return close_connection(connection);
  if (connection.closing)
    return;  // said its last word: what still comes is read away, for close() must find nothing unread
  connection.last_use = connection.pod->last_use = Clock::now();
  by_age_.splice(by_age_.end(), by_age_, connection.age);
  connection.closing = !connection.conversation->feed({buffer_.get(), static_cast<size_t>(n)}, connection.unsent);
  flush(connection);
}

void Responder::flush(Connection& connection) {
  while (!connection.unsent.empty()) {
    ssize_t n = ::send(connection.fd.get(), connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return close_connection(connection);
    connection.unsent.erase(0, static_cast<size_t>(n));
  }
  if (connection.unsent.empty() && connection.closing) {
    // FIN first: a close with unread input would be a reset, which can overtake the answer.
    ::shutdown(connection.fd.get(), SHUT_WR);
    return;
  }
  if (connection.unsent.size() > kMaxUnsent) return close_connection(connection);
  bool waits = !connection.unsent.empty();
  if (waits != connection.waits_for_room) {
    connection.waits_for_room = waits;
    (void)watch(connection, waits ? EPOLLOUT : EPOLLIN, EPOLL_CTL_MOD);
  }
}

void Responder::close_connection(Connection& connection) {
  if (connection.dead) return;
  connection.dead = true;
  connection.fd.reset();
  by_age_.erase(connection.age);
  connection.pod->connections.erase(&connection);
  graveyard_.emplace_back(&connection);
}

void Responder::expire() {
  auto limit = Clock::now() - kIdleLimit;
  while (!by_age_.empty() && by_age_.front()->last_use < limit) close_connection(*by_age_.front());
  graveyard_.clear();
}

void Responder::answer_datagrams(Source& socket) {
  for (int round = 0; round < 64; ++round) {
    sockaddr_in6 peer{};
    iovec part{buffer_.get(), 65536};
    alignas(cmsghdr) char control[256];
    msghdr message{.msg_name = &peer,
                   .msg_namelen = sizeof peer,
                   .msg_iov = &part,
                   .msg_iovlen = 1,
                   .msg_control = control,
                   .msg_controllen = sizeof control};
    ssize_t n = ::recvmsg(socket.fd.get(), &message, 0);
    if (n < 0) return;
    std::string_view payload(buffer_.get(), static_cast<size_t>(n));
    std::string answer = identity_line(socket.pod->who, socket.listener.port, socket_text(&peer));
    if (payload != kProbeQuestion) answer += payload;
    // The packet information of the question, sent back, makes the asked address the answer's source. Its interface
    // index must not be kept: the way back may be another.
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
        auto* info = reinterpret_cast<in_pktinfo*>(CMSG_DATA(c));
        info->ipi_ifindex = 0;
        info->ipi_spec_dst = info->ipi_addr;
      }
      if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
        reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_ifindex = 0;
    }
    iovec out{answer.data(), std::min<size_t>(answer.size(), 65000)};
    message.msg_iov = &out;
    (void)::sendmsg(socket.fd.get(), &message, MSG_NOSIGNAL);
  }
}

void Responder::read_control(Control& control) {
  ssize_t n = ::recv(control.fd.get(), buffer_.get(), 65536, 0);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0 || control.input.size() > kMaxControlLine) {
    control.dead = true;
    auto node = controls_.extract(&control);
    graveyard_.push_back(std::move(node.mapped()));
    graveyard_.back()->fd.reset();
    return;
  }
  control.input.append(buffer_.get(), static_cast<size_t>(n));
  for (size_t end; (end = control.input.find('\n')) != std::string::npos;) {
    std::string line = control.input.substr(0, end);
    control.input.erase(0, end + 1);
    json::object answer;
    try {
      answer = command(json::parse(line));
    } catch (const std::exception& e) {
      answer = {{"errors", json::array{fmt::format("bad command: {}", e.what())}}};
    }
    std::string text = json::serialize(answer) + "\n";
    (void)::send(control.fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
  }
}

json::object Responder::command(const json::value& request) {
  const auto& object = request.as_object();
  if (object.contains("set")) return {{"errors", set_pod(request)}};
  if (object.contains("remove")) {
    remove_pod(std::string(object.at("remove").as_string()));
    return {{"errors", json::array{}}};
  }
  if (auto* key = object.if_contains("idle")) {
    auto pod = pods_.find(std::string(key->as_string()));
    auto idle = pod == pods_.end() ? std::chrono::hours(1) : Clock::now() - pod->second->last_use;
    return {{"errors", json::array{}},
            {"idle_ms", std::chrono::duration_cast<std::chrono::milliseconds>(idle).count()}};
  }
  json::array keys;
  for (const auto& [key, pod] : pods_) keys.emplace_back(key);
  return {{"errors", json::array{}}, {"pods", keys}};
}

json::array Responder::set_pod(const json::value& request) {
  auto word = [&](const char* key) { return std::string(request.at(key).as_string()); };
  std::string key = word("set");
  auto& slot = pods_[key];
  if (!slot) slot = std::make_unique<Pod>();
  Pod& pod = *slot;
  pod.who = {word("namespace"), word("pod"), word("node")};
  pod.netns = word("netns");
  const net::IpAddress address = net::IpAddress::parse(word("address")).value_or(net::IpAddress());
  std::set<Listener> wanted;
  for (const json::value& entry : request.at("listeners").as_array())
    wanted.insert(
        {entry.at("port").to_number<uint16_t>(), static_cast<net::Protocol>(entry.at("protocol").to_number<int>())});

  for (auto it = pod.sockets.begin(); it != pod.sockets.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    it->second->dead = true;
    it->second->fd.reset();
    graveyard_.push_back(std::move(it->second));
    it = pod.sockets.erase(it);
  }
  json::array errors;
  auto netns = kernel::open_netns(pod.netns);
  if (!netns) return {json::string(netns.error().message)};
  auto inside = kernel::NetnsScope::enter(netns->get());
  if (!inside) return {json::string(inside.error().message)};
  for (const Listener& listener : wanted) {
    if (pod.sockets.contains(listener)) continue;
    auto socket = open_listener(listener, address);
    if (!socket) {
      errors.emplace_back(socket.error().message);
      continue;
    }
    auto kind = listener.protocol == net::Protocol::kTcp ? Source::Kind::kTcpListener : Source::Kind::kUdp;
    auto source = std::make_unique<Source>(kind, std::move(*socket));
    source->pod = &pod;
    source->listener = listener;
    if (auto watched = watch(*source, EPOLLIN); !watched)
      errors.emplace_back(watched.error().message);
    else
      pod.sockets.emplace(listener, std::move(source));
  }
  return errors;
}

void Responder::remove_pod(const std::string& key) {
  auto node = pods_.extract(key);
  if (node.empty()) return;
  Pod& pod = *node.mapped();
  while (!pod.connections.empty()) close_connection(**pod.connections.begin());
  for (auto& [listener, source] : pod.sockets) {
    source->dead = true;
    source->fd.reset();
    graveyard_.push_back(std::move(source));
  }
}

}  // namespace

Result<void> run_responder(const std::string& control_path) {
  Responder responder;
  TRY_VOID(responder.open(control_path));
  return responder.serve();
}

}  // namespace carrick::lab
