#include "lab/pods/log_shim.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "lab/host/process.h"
#include "lab/pods/container_log.h"

namespace carrick::lab {
namespace {

constexpr int kCannotRun = 125;
constexpr int kHandedOn[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

Timestamp now() {
  timespec at{};
  ::clock_gettime(CLOCK_REALTIME, &at);
  return {at.tv_sec, static_cast<int32_t>(at.tv_nsec)};
}

struct Pipe {
  Fd read, write;
  bool open() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) return false;
    read = Fd(fds[0]);
    write = Fd(fds[1]);
    return ::fcntl(read.get(), F_SETFL, O_NONBLOCK) == 0;
  }
};

// All that is there now; false at the end.
bool copy(const Fd& from, bool err, LogWriter& log) {
  char piece[16384];
  while (true) {
    const ssize_t size = ::read(from.get(), piece, sizeof piece);
    if (size > 0) log.write(err, {piece, static_cast<size_t>(size)}, now());
    if (size == 0) return false;
    if (size < 0) return errno == EAGAIN || errno == EINTR;
  }
}

class Shim {
 public:
  Shim(pid_t child, LogWriter& log, const Fd& signals) : child_(child), log_(log), signals_(signals) {}

  int run(Pipe (&outputs)[2]) {
    pollfd waits[] = {
        {signals_.get(), POLLIN, 0}, {outputs[0].read.get(), POLLIN, 0}, {outputs[1].read.get(), POLLIN, 0}};
    while (exit_code_ < 0) {
      if (::poll(waits, 3, -1) < 0 && errno != EINTR) break;
      for (int i : {1, 2})
        if (waits[i].revents != 0 && !copy(outputs[i - 1].read, i == 2, log_)) waits[i].fd = -1;
      if (waits[0].revents != 0) take_signal();
    }
    // What its children still hold open is theirs; what it wrote is here.
    for (int i : {0, 1}) copy(outputs[i].read, i == 1, log_);
    log_.finish(now());
    return exit_code_ < 0 ? kCannotRun : exit_code_;
  }

 private:
  void take_signal() {
    signalfd_siginfo signal{};
    if (::read(signals_.get(), &signal, sizeof signal) != sizeof signal) return;
    if (signal.ssi_signo != SIGCHLD) {
      ::kill(child_, static_cast<int>(signal.ssi_signo));
      return;
    }
    int status = 0;
    for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (ended == child_) exit_code_ = exit_code_of(status);
  }

  pid_t child_;
  LogWriter& log_;
  const Fd& signals_;
  int exit_code_ = -1;
};

// Signals that come as bytes of the descriptor; the child gets back what was.
class Signals {
 public:
  Signals() {
    sigset_t handled;
    sigemptyset(&handled);
    sigaddset(&handled, SIGCHLD);
    for (const int signal : kHandedOn) sigaddset(&handled, signal);
    ::sigprocmask(SIG_BLOCK, &handled, &before_);
    fd_ = Fd(::signalfd(-1, &handled, SFD_CLOEXEC));
  }
  const Fd& fd() const { return fd_; }
  void restore() const { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
  Fd fd_;
};

}  // namespace

int run_logged(const std::string& log_path, const std::function<pid_t()>& start) {
  auto log = LogWriter::open(log_path);
  Pipe outputs[2];
  if (!log || !outputs[0].open() || !outputs[1].open()) {
    std::fprintf(stderr, "%s: the log cannot be kept\n", log_path.c_str());
    return kCannotRun;
  }
  const Signals signals;
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);  // orphans of the program end here
  std::fflush(nullptr);
  // The child is made with them as its own, for it may be made in ways that leave no place between fork and program.
  const Fd own_output(::fcntl(1, F_DUPFD_CLOEXEC, 3)), own_errors(::fcntl(2, F_DUPFD_CLOEXEC, 3));
  ::dup2(outputs[0].write.get(), 1);
  ::dup2(outputs[1].write.get(), 2);
  const pid_t child = start();
  ::dup2(own_output.get(), 1);
  ::dup2(own_errors.get(), 2);
  if (child < 0) return kCannotRun;
  for (Pipe& output : outputs) output.write.reset();
  return Shim(child, *log, signals.fd()).run(outputs);
}

int run_as_init(const std::function<int()>& become) {
  const Signals signals;
  const pid_t child = ::fork();
  if (child < 0) return kCannotRun;
  if (child == 0) {
    signals.restore();
    ::_exit(become());
  }
  while (true) {
    signalfd_siginfo signal{};
    if (::read(signals.fd().get(), &signal, sizeof signal) != sizeof signal) {
      if (errno == EINTR) continue;
      return kCannotRun;
    }
    if (signal.ssi_signo != SIGCHLD) {
      ::kill(child, static_cast<int>(signal.ssi_signo));
      continue;
    }
    int status = 0;
    for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;)
      if (ended == child) return exit_code_of(status);
  }
}

}  // namespace carrick::lab
