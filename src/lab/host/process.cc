#include "lab/host/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "lab/host/files.h"

namespace carrick::lab {
namespace {

// Above any number that a child expects, so that moving descriptors into place overwrites none that is still needed.
constexpr int kParkingNumber = 200;

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> environment(const std::vector<std::string>& extra, bool inherits) {
  std::vector<std::string> out = extra;
  if (!inherits) return out;
  for (char** variable = environ; *variable; ++variable) {
    std::string_view text(*variable);
    std::string_view name = text.substr(0, text.find('=') + 1);
    bool replaced = false;
    for (const std::string& other : extra) replaced = replaced || other.starts_with(name);
    if (!replaced) out.emplace_back(text);
  }
  return out;
}

struct ChildPlan {
  const SpawnRequest* request;
  std::vector<std::pair<int, int>> parked;  // {parked number, target}
  int exe = -1, log = -1, cgroup = -1, report = -1;
  char** argv;
  char** envp;
};

// Runs in the child between fork and exec: system calls only. The step's number and errno go to the parent.
int become(void* argument) {
  auto& plan = *static_cast<const ChildPlan*>(argument);
  auto give_up = [&](int step) {
    int report[2] = {step, errno};
    (void)!::write(plan.report, report, sizeof report);
    ::_exit(127);
  };
  for (int signal : {SIGPIPE, SIGCHLD, SIGTERM, SIGINT, SIGHUP}) ::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (plan.cgroup >= 0 && ::write(plan.cgroup, "0", 1) != 1) give_up(1);
  if (plan.request->netns >= 0 && ::setns(plan.request->netns, CLONE_NEWNET) != 0) give_up(2);
  if (plan.log >= 0 && (::dup2(plan.log, 1) < 0 || ::dup2(plan.log, 2) < 0)) give_up(3);
  for (auto [from, to] : plan.parked)
    if (::dup2(from, to) < 0) give_up(3);
  if (plan.exe >= 0)
    ::syscall(SYS_execveat, plan.exe, "", plan.argv, plan.envp, AT_EMPTY_PATH);
  else
    ::execve(plan.argv[0], plan.argv, plan.envp);
  give_up(4);
  ::_exit(127);
}

std::string_view step_name(int step) {
  switch (step) {
    case 1:
      return "enter cgroup";
    case 2:
      return "enter network namespace";
    case 3:
      return "move descriptors";
    default:
      return "exec";
  }
}

}  // namespace

Result<pid_t> spawn(const SpawnRequest& request) {
  std::vector<std::string> argv = request.argv;
  std::vector<std::string> env = environment(request.extra_env, request.inherits_env);
  auto argv_pointers = pointers(argv), env_pointers = pointers(env);
  ChildPlan plan{&request, {}, -1, -1, -1, -1, argv_pointers.data(), env_pointers.data()};

  std::vector<Fd> keep;
  auto park = [&](int fd) -> Result<int> {
    int parked = ::fcntl(fd, F_DUPFD_CLOEXEC, kParkingNumber);
    if (parked < 0) return fail_errno(errno, "dup");
    keep.emplace_back(parked);
    return parked;
  };
  for (auto [ours, theirs] : request.fds) plan.parked.emplace_back(TRY(park(ours)), theirs);
  if (request.exe_fd >= 0) plan.exe = TRY(park(request.exe_fd));
  if (!request.log_file.empty()) {
    Fd log(::open(request.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    if (!log) return fail_errno(errno, request.log_file);
    plan.log = TRY(park(log.get()));
  }
  if (!request.cgroup.empty()) {
    std::string path = request.cgroup + "/cgroup.procs";
    Fd procs(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!procs) return fail_errno(errno, path);
    plan.cgroup = TRY(park(procs.get()));
  }
  int report[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd report_read(report[0]), report_write(report[1]);
  plan.report = TRY(park(report_write.get()));

  // The child borrows our memory until it executes (as vfork does, but on a stack of its own): no page table is copied,
  // whatever our size. `become` makes system calls only, and signals are kept away from it meanwhile.
  constexpr size_t kStackSize = 64 * 1024;
  auto stack = std::make_unique<char[]>(kStackSize);
  sigset_t all, before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  int flags = CLONE_VM | CLONE_VFORK | SIGCHLD | static_cast<int>(request.new_namespaces);
  pid_t pid = ::clone(become, stack.get() + kStackSize, flags, &plan);
  int clone_error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = clone_error;
  if (pid < 0) return fail_errno(errno, "fork");
  report_write.reset();
  ::close(plan.report);
  keep.back().release();
  int failure[2];
  ssize_t n;
  do n = ::read(report_read.get(), failure, sizeof failure);
  while (n < 0 && errno == EINTR);
  if (n == sizeof failure) {
    ::waitpid(pid, nullptr, 0);
    return fail_errno(failure[1],
                      fmt::format("{}: {}", request.argv.empty() ? "" : request.argv[0], step_name(failure[0])));
  }
  return pid;
}

int exit_code_of(int wait_status) {
  return WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : 128 + WTERMSIG(wait_status);
}

int wait_for_child(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return exit_code_of(status);
}

Result<uint64_t> process_start_time(pid_t pid) {
  std::string stat = TRY(read_file(fmt::format("/proc/{}/stat", pid)));
  // The command name (field 2) may hold spaces and parentheses: count from the last ')'. Fields there begin with 3.
  size_t at = stat.rfind(')');
  for (int field = 3; field <= 22 && at != std::string::npos; ++field) at = stat.find(' ', at + (field > 3 ? 1 : 0));
  if (at == std::string::npos) return fail(ErrorKind::kInternal, "/proc/{}/stat: unexpected form", pid);
  return std::strtoull(stat.c_str() + at + 1, nullptr, 10);
}

Result<Fd> open_process(pid_t pid, uint64_t start_time) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!pidfd) return fail_errno(errno, fmt::format("process {}", pid));
  // Read after the descriptor is held: from here on the number cannot pass to another process unnoticed.
  auto started = process_start_time(pid);
  if (!started || *started != start_time) return fail(ErrorKind::kNotFound, "process {} has ended", pid);
  if (wait_for_end(pidfd, std::chrono::milliseconds(0))) return fail(ErrorKind::kNotFound, "process {} has ended", pid);
  return pidfd;
}

Result<void> kill_process(const Fd& pidfd, int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) != 0 && errno != ESRCH)
    return fail_errno(errno, "kill");
  return {};
}

bool wait_for_end(const Fd& pidfd, std::chrono::milliseconds limit) {
  auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wait{pidfd.get(), POLLIN, 0};
    int n = ::poll(&wait, 1, static_cast<int>(left < 0 ? 0 : left));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

}  // namespace carrick::lab
