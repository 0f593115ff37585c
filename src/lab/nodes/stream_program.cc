#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>

#include "kernel/netns.h"
#include "lab/host/cgroups.h"
#include "lab/nodes/containers.h"
#include "lab/nodes/stream_calls.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kDialLimit = std::chrono::seconds(10);

struct Ends {
  Fd ours, theirs;
};

// Our end does not block; the program's does, as programs expect.
Result<Ends> make_pipe(bool to_program) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Ends ends{Fd(fds[to_program ? 1 : 0]), Fd(fds[to_program ? 0 : 1])};
  if (::fcntl(ends.ours.get(), F_SETFL, O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  return ends;
}

Result<Ends> make_terminal() {
  Fd ours(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK));
  char name[64];
  if (!ours || ::grantpt(ours.get()) != 0 || ::unlockpt(ours.get()) != 0 ||
      ::ptsname_r(ours.get(), name, sizeof name) != 0)
    return fail_errno(errno, "terminal");
  Fd theirs(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) return fail_errno(errno, name);
  return Ends{std::move(ours), std::move(theirs)};
}

Result<Fd> copy_of(const Fd& fd) {
  Fd copy(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail_errno(errno, "dup");
  return copy;
}

// What the program has as 0, 1 and 2.
Result<std::vector<Fd>> connect_streams(const apiserver::NodeCall& call, apiserver::NodeStreams& streams) {
  std::vector<Fd> theirs(3);
  if (call.tty) {
    Ends terminal = TRY(make_terminal());
    for (Fd& fd : theirs) fd = TRY(copy_of(terminal.theirs));
    if (call.in) streams.in = TRY(copy_of(terminal.ours));
    streams.out = std::move(terminal.ours);
    return theirs;
  }
  const std::pair<bool, Fd*> wanted[] = {{call.in, &streams.in}, {call.out, &streams.out}, {call.err, &streams.err}};
  for (size_t i = 0; i < theirs.size(); ++i) {
    if (!wanted[i].first) {
      theirs[i] = Fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
      if (!theirs[i]) return fail_errno(errno, "/dev/null");
      continue;
    }
    Ends pipe = TRY(make_pipe(i == 0));
    *wanted[i].second = std::move(pipe.ours);
    theirs[i] = std::move(pipe.theirs);
  }
  return theirs;
}

}  // namespace

Program::Program(asio::io_context& io, pid_t pid)
    : pidfd_(io, static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))), pid_(pid) {}

Program::~Program() {
  if (pid_ == 0) return;
  kill();
  ::waitpid(pid_, nullptr, 0);
}

void Program::kill() {
  if (pid_ == 0) return;
  ::kill(-pid_, SIGKILL);  // no such group before lab-container has made it
  ::kill(pid_, SIGKILL);
}

asio::awaitable<int> Program::end() {
  co_await pidfd_.async_wait(asio::posix::stream_descriptor::wait_read, kTuple);
  co_return wait_for_child(std::exchange(pid_, 0));
}

Result<std::shared_ptr<Program>> start_program(asio::io_context& io, const LabConfig& config,
                                               const RunningContainer& container, const apiserver::NodeCall& call,
                                               apiserver::NodeStreams& streams) {
  const std::vector<Fd> theirs = TRY(connect_streams(call, streams));
  SpawnRequest request = container_request(config, container.sandbox, call.container);
  TRY_VOID(create_cgroup(request.cgroup));  // a pod of the responder has none until now
  if (call.tty) {
    request.argv.emplace_back("--terminal");
  }
  request.argv.emplace_back("--");
  request.argv.insert(request.argv.end(), call.command.begin(), call.command.end());
  for (int i = 0; i < 3; ++i) request.fds.emplace_back(theirs[static_cast<size_t>(i)].get(), i);
  return std::make_shared<Program>(io, TRY(spawn(request)));
}

asio::awaitable<Result<Fd>> dial_pod(const Sandbox& sandbox, uint16_t port) {
  std::string why;
  auto netns = kernel::open_netns(sandbox.netns);
  if (!netns) co_return std::unexpected(netns.error());
  for (const char* address : {"127.0.0.1", "::1"}) {
    const auto ip = asio::ip::make_address(address);
    Fd fd;
    {
      auto inside = kernel::NetnsScope::enter(netns->get());
      if (!inside) co_return std::unexpected(inside.error());
      fd = Fd(::socket(ip.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    }
    if (!fd) co_return fail_errno(errno, "socket");
    asio::ip::tcp::socket socket(co_await asio::this_coro::executor);
    boost::system::error_code error;
    socket.assign(ip.is_v4() ? asio::ip::tcp::v4() : asio::ip::tcp::v6(), fd.get(), error);
    if (error) co_return fail(ErrorKind::kInternal, "socket: {}", error.message());
    fd.release();
    asio::steady_timer limit(co_await asio::this_coro::executor, kDialLimit);
    limit.async_wait([&socket](const boost::system::error_code& aborted) {
      boost::system::error_code ignored;
      if (!aborted) socket.cancel(ignored);
    });
    const auto [failed] = co_await socket.async_connect({ip, port}, kTuple);
    limit.cancel();
    if (!failed) co_return Fd(socket.release());
    why = fmt::format("connect to {}:{} inside the pod: {}", address, port, failed.message());
    if (failed != asio::error::connection_refused) break;
  }
  co_return fail(ErrorKind::kTransient, "{}", why);
}

}  // namespace carrick::lab
