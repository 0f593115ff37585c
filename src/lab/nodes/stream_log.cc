#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <ctime>

#include "lab/host/files.h"
#include "lab/nodes/containers.h"
#include "lab/nodes/stream_calls.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kLookAgain = std::chrono::milliseconds(50);

Timestamp now() {
  timespec at{};
  ::clock_gettime(CLOCK_REALTIME, &at);
  return {at.tv_sec, static_cast<int32_t>(at.tv_nsec)};
}

}  // namespace

struct OpenLog::Source {
  Source(asio::io_context& io, Fd pipe, const apiserver::LogOptions& options)
      : output(io, pipe.release()), timer(io), filter(options, now()), follow(options.follow) {}

  // The next bytes of the file; empty at its end.
  std::string read_on() {
    std::string piece(64 * 1024, '\0');
    // NOLINTNEXTLINE(clang-analyzer-unix.BlockInCriticalSection): a regular file
    const ssize_t size = ::read(file.get(), piece.data(), piece.size());
    piece.resize(size > 0 ? static_cast<size_t>(size) : 0);
    return piece;
  }

  // A new file has taken the place of this one (LogWriter puts full ones aside, a restarted container begins anew).
  bool turn_over() {
    struct stat ours{}, there{};
    if (::stat(path.c_str(), &there) != 0 || (file && ::fstat(file.get(), &ours) == 0 && ours.st_ino == there.st_ino))
      return false;
    file = Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return static_cast<bool>(file);
  }

  asio::awaitable<bool> give(std::string text) {
    if (text.empty()) co_return true;
    const auto [error, size] = co_await asio::async_write(output, asio::buffer(text), kTuple);
    co_return !error;
  }

  asio::posix::stream_descriptor output;
  asio::steady_timer timer;
  LogFilter filter;
  bool follow;
  std::string path, begin;  // what was there when the log was opened
  Fd file;
  std::function<bool()> is_running;
};

asio::awaitable<void> OpenLog::copy() {
  const auto held = source;
  Source& s = *held;
  bool good = co_await s.give(s.filter.take(std::exchange(s.begin, {})));
  while (good && s.follow && !s.filter.finished()) {
    const bool was_running = s.is_running();  // asked first: its last words come before its end
    std::string bytes = s.file ? s.read_on() : "";
    if (bytes.empty()) {
      if (s.turn_over()) continue;
      if (!was_running) break;
      // A caller that has gone is noticed when it closes its end, not only when there is something to say.
      s.timer.expires_after(kLookAgain);
      co_await s.timer.async_wait(kTuple);
      pollfd gone{s.output.native_handle(), 0, 0};
      if (::poll(&gone, 1, 0) > 0) break;
      continue;
    }
    good = co_await s.give(s.filter.take(bytes));
  }
}

Result<OpenLog> open_log(asio::io_context& io, const LabConfig& config, const RunningContainer& container,
                         const apiserver::NodeCall& call) {
  const bool attach = call.kind == apiserver::NodeCall::Kind::kAttach;
  if (attach && call.in)
    return fail(ErrorKind::kUnsupported,
                "the standard input of a container's own program cannot be attached to: use exec -i");
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0) return fail_errno(errno, "pipe");
  OpenLog log{.to_caller = Fd(fds[0]), .source = {}};
  apiserver::LogOptions options = call.log;
  if (attach) options = {.follow = true, .tail_lines = 0};
  log.source = std::make_shared<OpenLog::Source>(io, Fd(fds[1]), options);
  OpenLog::Source& s = *log.source;
  s.path = options.previous ? previous_log_path(config, container.sandbox, call.container)
                            : container_log_path(config, container.sandbox, call.container);
  s.is_running = container.is_running;
  s.follow = options.follow && !options.previous;
  s.file = Fd(::open(s.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!s.file && options.previous)
    return fail(ErrorKind::kInvalid, "previous terminated container \"{}\" in pod \"{}\" not found", call.container,
                call.pod);
  for (std::string piece; s.file && !(piece = s.read_on()).empty();) s.begin += piece;  // LogWriter::kMaxFile at most
  if (options.tail_lines) s.begin.erase(0, tail_offset(s.begin, *options.tail_lines));
  return log;
}

}  // namespace carrick::lab
