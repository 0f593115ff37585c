#include "lab/pods/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

#include "lab/host/process.h"

namespace carrick::lab {
namespace {

constexpr int kCannotRun = 125;
constexpr unsigned long kGetPeer = 0x5441;  // TIOCGPTPEER: the other end, whatever its path

void copy_size(const Fd& terminal) {
  winsize size{};
  if (::ioctl(0, TIOCGWINSZ, &size) == 0) (void)::ioctl(terminal.get(), TIOCSWINSZ, &size);
}

bool write_all(int to, const char* bytes, ssize_t left) {
  while (left > 0) {
    const ssize_t done = ::write(to, bytes, static_cast<size_t>(left));
    if (done < 0 && errno == EAGAIN) {
      pollfd wait{to, POLLOUT, 0};
      ::poll(&wait, 1, -1);
      continue;
    }
    if (done < 0 && errno != EINTR) return false;
    if (done > 0) {
      bytes += done;
      left -= done;
    }
  }
  return true;
}

// False at the end of either.
bool copy_some(int from, int to) {
  char piece[8192];
  const ssize_t size = ::read(from, piece, sizeof piece);
  if (size < 0) return errno == EINTR || errno == EAGAIN;
  return size > 0 && write_all(to, piece, size);
}

void copy_until_end(const Fd& terminal, const Fd& signals) {
  pollfd waits[] = {{0, POLLIN, 0}, {terminal.get(), POLLIN, 0}, {signals.get(), POLLIN, 0}};
  while (true) {
    if (::poll(waits, 3, -1) < 0 && errno != EINTR) return;
    if (waits[2].revents != 0) {
      signalfd_siginfo info{};
      (void)!::read(signals.get(), &info, sizeof info);
      copy_size(terminal);
    }
    if (waits[1].revents != 0 && !copy_some(terminal.get(), 1)) return;  // the last program of the terminal has ended
    if (waits[0].revents != 0 && !copy_some(0, terminal.get())) return;
  }
}

// The outer terminal hands every byte on; as it was afterwards.
class Raw {
 public:
  Raw() : changed_(::tcgetattr(0, &before_) == 0) {
    termios raw = before_;
    ::cfmakeraw(&raw);
    if (changed_) ::tcsetattr(0, TCSANOW, &raw);
  }
  ~Raw() {
    if (changed_) ::tcsetattr(0, TCSANOW, &before_);
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;

 private:
  termios before_{};
  bool changed_;
};

}  // namespace

Result<Fd> open_terminal() {
  Fd terminal(::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
  int unlocked = 0;
  if (!terminal || ::ioctl(terminal.get(), TIOCSPTLCK, &unlocked) != 0) return fail_errno(errno, "terminal");
  return terminal;
}

int run_in_terminal(Fd terminal, const std::function<int()>& become) {
  sigset_t handled, before;
  sigemptyset(&handled);
  sigaddset(&handled, SIGWINCH);
  ::sigprocmask(SIG_BLOCK, &handled, &before);
  const Fd signals(::signalfd(-1, &handled, SFD_CLOEXEC));
  Fd theirs(::ioctl(terminal.get(), kGetPeer, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!theirs) return kCannotRun;
  copy_size(terminal);
  const pid_t child = ::fork();
  if (child < 0) return kCannotRun;
  if (child == 0) {
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::setsid();
    for (const int number : {0, 1, 2}) ::dup2(theirs.get(), number);
    (void)::ioctl(0, TIOCSCTTY, 0);
    ::_exit(become());
  }
  theirs.reset();
  {
    const Raw raw;
    copy_until_end(terminal, signals);
  }
  terminal.reset();  // whoever is left hears that the line was cut
  return wait_for_child(child);
}

}  // namespace carrick::lab
