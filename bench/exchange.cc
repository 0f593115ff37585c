#include "exchange.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "lab/host/cgroups.h"
#include "net/raw_address.h"

namespace carrick::bench {
namespace {

using Clock = std::chrono::steady_clock;

// The machine may default to BBR, which paces; cubic is what figures elsewhere are taken with. Refused is no obstacle.
void prepare_tcp(int fd) {
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "cubic", 5);
}

Result<void> settle(int netns, const std::string& cgroup, int cpu) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!cgroup.empty()) TRY_VOID(lab::enter_cgroup(cgroup));
  if (::setns(netns, CLONE_NEWNET) != 0) return fail_errno(errno, "enter network namespace");
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) return fail_errno(errno, fmt::format("pin to CPU {}", cpu));
  return {};
}

Result<Fd> server_socket(Kind kind, bool v4) {
  Fd fd(::socket(v4 ? AF_INET : AF_INET6, (kind == Kind::kUdpRr ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  net::RawAddress any({v4 ? net::IpAddress::v4(0) : net::IpAddress(), kServerPort});
  if (::bind(fd.get(), any.get(), any.size()) != 0) return fail_errno(errno, fmt::format("bind port {}", kServerPort));
  if (kind != Kind::kUdpRr && ::listen(fd.get(), 128) != 0) return fail_errno(errno, "listen");
  return fd;
}

// Until it is killed.
[[noreturn]] void serve(const Fd& socket, Kind kind) {
  char byte;
  if (kind == Kind::kUdpRr) {
    while (true) {
      net::RawAddress from;
      if (::recvfrom(socket.get(), &byte, 1, 0, from.get(), from.size_slot()) == 1)
        ::sendto(socket.get(), &byte, 1, 0, from.get(), from.size());
    }
  }
  while (true) {
    Fd connection(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) continue;
    prepare_tcp(connection.get());
    while (::recv(connection.get(), &byte, 1, 0) == 1 && ::send(connection.get(), &byte, 1, MSG_NOSIGNAL) == 1) {
    }
  }
}

Result<Fd> connected(Kind kind, net::RawAddress to) {
  Fd fd(::socket(to.get()->sa_family, (kind == Kind::kUdpRr ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "socket");
  timeval limit{2, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (kind != Kind::kUdpRr) prepare_tcp(fd.get());
  if (kind == Kind::kTcpCrr) {
    linger reset{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  if (::connect(fd.get(), to.get(), to.size()) != 0) return fail_errno(errno, "connect");
  return fd;
}

Result<void> exchange(const Fd& socket) {
  char byte = 'x';
  if (::send(socket.get(), &byte, 1, MSG_NOSIGNAL) != 1) return fail_errno(errno, "send");
  if (::recv(socket.get(), &byte, 1, 0) != 1) return fail_errno(errno, "receive");
  return {};
}

double cpu_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

Result<double> ask_for(const net::SocketAddress& target, Kind kind, std::chrono::milliseconds duration,
                       clockid_t server_clock, Seconds seconds) {
  net::RawAddress to(target);
  Fd socket;
  if (kind != Kind::kTcpCrr) socket = TRY(connected(kind, to));
  auto one = [&]() -> Result<void> {
    if (kind == Kind::kTcpCrr) socket = TRY(connected(kind, to));
    return exchange(socket);
  };
  for (int i = 0; i < 200; ++i) TRY_VOID(one());  // caches and conntrack are warm
  uint64_t count = 0;
  auto cpu = [&] { return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) + cpu_seconds(server_clock); };
  double cpu_before = cpu();
  auto begin = Clock::now();
  auto end = begin + duration;
  auto now = begin;
  while (now < end) {
    for (int i = 0; i < 64; ++i) TRY_VOID(one());
    count += 64;
    now = Clock::now();
  }
  double taken = seconds == Seconds::kCpu ? cpu() - cpu_before : std::chrono::duration<double>(now - begin).count();
  return static_cast<double>(count) / taken;
}

struct Report {
  double rate = 0;
  char error[240] = {};
};

void tell(int pipe, const Result<double>& outcome) {
  Report report;
  if (outcome)
    report.rate = *outcome;
  else
    std::strncpy(report.error, outcome.error().message.c_str(), sizeof report.error - 1);
  (void)!::write(pipe, &report, sizeof report);
}

// A child that runs `work` and reports through the pipe's read end.
template <class Work>
Result<std::pair<pid_t, Fd>> start(Work work) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd read_end(ends[0]), write_end(ends[1]);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) {
    work(write_end.get());
    ::_exit(0);
  }
  return std::pair(child, std::move(read_end));
}

Result<double> read_report(const Fd& pipe, const char* who) {
  Report report;
  if (::read(pipe.get(), &report, sizeof report) != sizeof report) return fail(ErrorKind::kInternal, "{} died", who);
  if (report.error[0]) return fail(ErrorKind::kTransient, "{}: {}", who, report.error);
  return report.rate;
}

class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_;
};

}  // namespace

const char* kind_name(Kind kind) {
  return kind == Kind::kTcpRr ? "TCP_RR" : kind == Kind::kTcpCrr ? "TCP_CRR" : "UDP_RR";
}

Result<double> measure(const Endpoints& endpoints, Kind kind, std::chrono::milliseconds duration, int cpu,
                       Seconds seconds) {
  auto [server, listening] = TRY(start([&](int pipe) {
    auto settled = settle(endpoints.server_netns, "", cpu);
    auto socket = settled ? server_socket(kind, endpoints.server.is_v4()) : std::unexpected(settled.error());
    tell(pipe, socket ? Result<double>(0) : std::unexpected(socket.error()));
    if (socket) serve(*socket, kind);
  }));
  Child server_guard(server);
  TRY(read_report(listening, "server"));
  clockid_t server_clock = 0;
  if (int error = ::clock_getcpuclockid(server, &server_clock); error != 0)
    return fail_errno(error, "CPU clock of the server");
  auto [client, result] = TRY(start([&](int pipe) {
    auto settled = settle(endpoints.client_netns, endpoints.client_cgroup, cpu);
    tell(pipe,
         settled ? ask_for(endpoints.target, kind, duration, server_clock, seconds) : std::unexpected(settled.error()));
  }));
  Child client_guard(client);
  return read_report(result, "client");
}

}  // namespace carrick::bench
