#include "lab/nodes/run_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

constexpr size_t kMaxOutput = 1024 * 1024;

struct Running : std::enable_shared_from_this<Running> {
  Running(asio::io_context& io, int output_fd) : output(io, output_fd), timer(io) {}

  void read() {
    output.async_read_some(asio::buffer(buffer),
                           [self = shared_from_this()](boost::system::error_code error, size_t n) {
                             self->text.append(self->buffer, n);
                             if (!error && self->text.size() < kMaxOutput) return self->read();
                             self->finish();
                           });
  }
  void finish() {
    timer.cancel();
    if (text.size() >= kMaxOutput) ::kill(pid, SIGKILL);
    // Its standard output is closed: it is ending, or (killed at the deadline) has ended.
    const int exit_code = wait_for_child(std::exchange(pid, 0));
    if (late) return done(fail(ErrorKind::kTransient, "{}: no answer within its time", name));
    done(ProcessEnd{exit_code, std::move(text)});
  }

  asio::posix::stream_descriptor output;
  asio::steady_timer timer;
  std::function<void(Result<ProcessEnd>)> done;
  std::string name, text;
  char buffer[4096];
  pid_t pid = 0;
  bool late = false;
};

}  // namespace

void run_process(asio::io_context& io, SpawnRequest request, const std::string& input,
                 std::chrono::milliseconds deadline, std::function<void(Result<ProcessEnd>)> done) {
  auto give_up = [&](std::unexpected<Error> error) { asio::post(io, [done, error] { done(error); }); };
  int in[2], out[2];
  if (::pipe2(in, O_CLOEXEC) != 0) return give_up(fail_errno(errno, "pipe"));
  Fd in_read(in[0]), in_write(in[1]);
  if (::pipe2(out, O_CLOEXEC) != 0) return give_up(fail_errno(errno, "pipe"));
  Fd out_read(out[0]), out_write(out[1]);
  if (::write(in_write.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()))
    return give_up(fail_errno(errno, "pipe"));
  request.fds.emplace_back(in_read.get(), 0);
  request.fds.emplace_back(out_write.get(), 1);
  auto pid = spawn(request);
  if (!pid) return give_up(std::unexpected(pid.error()));
  auto running = std::make_shared<Running>(io, out_read.release());
  running->pid = *pid;
  running->name = request.argv[0];
  running->done = std::move(done);
  running->timer.expires_after(deadline);
  running->timer.async_wait([running](boost::system::error_code error) {
    if (error || running->pid == 0) return;
    running->late = true;
    ::kill(running->pid, SIGKILL);
  });
  running->read();
}

}  // namespace carrick::lab
