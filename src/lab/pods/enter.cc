#include "lab/pods/enter.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/file.h"
#include "base/text.h"
#include "kernel/netns.h"
#include "lab/host/cgroups.h"
#include "lab/host/process.h"
#include "lab/nodes/sandbox.h"
#include "lab/pods/confine.h"
#include "lab/pods/container_root.h"
#include "lab/pods/log_shim.h"
#include "lab/pods/terminal.h"
#include "lab/programs/programs.h"

namespace carrick::lab {
namespace {

constexpr int kCannotEnter = 125, kNotExecutable = 126, kNoProgram = 127;
constexpr unsigned long kContainerNamespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID;
constexpr auto kInitLimit = std::chrono::seconds(20);

struct Container {
  Sandbox sandbox;
  ContainerSpec spec;
  ContainerPaths paths;
  std::string program;  // this program's file, in the lab
};

// As the responder's containers have it that ask for nothing: no file is written for them.
ContainerSpec plain_container(const Sandbox& sandbox) {
  return {.env = {"HOSTNAME=" + sandbox.hostname, "HOME=/root", "PATH=" + program_path()},
          .capabilities = default_capabilities()};
}

Result<Container> load_container(const LabConfig& config, const ContainerRun& run) {
  const size_t slash = run.pod.find('/');
  if (slash == std::string::npos) return fail(ErrorKind::kInvalid, "--pod {}: not NAMESPACE/NAME", run.pod);
  const std::string folder = LabPaths{config.name, ""}.pod(run.pod.substr(0, slash), run.pod.substr(slash + 1));
  Sandbox sandbox = TRY(load_sandbox(folder));
  ContainerPaths paths(folder, run.container);
  ContainerSpec spec = plain_container(sandbox);
  if (auto text = read_file(paths.spec())) spec = TRY(decode_container(*text));
  return Container{std::move(sandbox), std::move(spec), std::move(paths), LabPaths{config.name, ""}.program()};
}

// Never returns when it succeeds.
int become(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(error));
  return error == ENOENT || error == ENOTDIR ? kNoProgram : kNotExecutable;
}

// From here on the process is one of the container's own.
Result<void> turn_into_program(const ContainerSpec& spec) {
  if (!spec.workdir.empty() && ::chdir(spec.workdir.c_str()) != 0)
    return fail_errno(errno, fmt::format("workingDir {}", spec.workdir));
  ::signal(SIGPIPE, SIG_DFL);  // this program ignores it
  ::clearenv();
  for (const std::string& variable : spec.env) ::putenv(const_cast<char*>(variable.c_str()));
  return confine(spec);
}

int run_program(const ContainerSpec& spec, const std::vector<std::string>& command) {
  if (auto turned = turn_into_program(spec); !turned) {
    std::fprintf(stderr, "%s\n", turned.error().message.c_str());
    return kCannotEnter;
  }
  return become(command);
}

// fork() with namespaces of its own for the child. This process has one thread.
pid_t fork_with(unsigned long namespaces) {
  std::fflush(nullptr);
  return static_cast<pid_t>(::syscall(SYS_clone, namespaces | SIGCHLD, nullptr, nullptr, nullptr, nullptr));
}

Result<void> set_up_init(const Container& container, int netns) {
  if (::setns(netns, CLONE_NEWNET) != 0) return fail_errno(errno, "enter the pod's network namespace");
  const std::string& hostname = container.sandbox.hostname;
  if (::sethostname(hostname.data(), hostname.size()) != 0) return fail_errno(errno, "hostname");
  return make_container_root(container.paths.root(), container.sandbox, container.spec);
}

// The first process of the container. Neither it nor what it holds is the business of those that follow: they may not
// look at it (it is not dumpable), and through it they would find the machine's file of this program.
[[noreturn]] void be_init(const Container& container, int netns, Fd ready) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // without who keeps its log it is not the container
  std::string said = "ready";
  if (auto made = set_up_init(container, netns); !made) said = made.error().message;
  (void)!::write(ready.get(), said.data(), said.size());
  if (said != "ready") ::_exit(kCannotEnter);
  const int number = ready.release();
  ::close(number);
  ::syscall(SYS_close_range, 3u, ~0u, 0u);
  const ContainerSpec& spec = container.spec;
  ::_exit(run_as_init([&spec] {
    if (spec.command.empty())  // it is there to be entered
      while (true) ::pause();
    return run_program(spec, spec.command);
  }));
}

Result<void> note_init(const ContainerPaths& paths, pid_t pid) {
  const uint64_t started = TRY(process_start_time(pid));
  return write_file_atomically(paths.init(), fmt::format("{} {}\n", pid, started), 0600);
}

Result<Fd> open_init(const ContainerPaths& paths) {
  const std::string text = TRY(read_file(paths.init()));
  char* rest = nullptr;
  const auto pid = static_cast<pid_t>(std::strtol(text.c_str(), &rest, 10));
  return open_process(pid, std::strtoull(rest, nullptr, 10));
}

// "ready", or why not; empty when the other end has ended without a word.
std::string read_word(const Fd& from) {
  std::string said(4096, '\0');
  const ssize_t size = ::read(from.get(), said.data(), said.size());
  said.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return said;
}

// Makes the container; its number, once it can be entered.
Result<pid_t> make_container(const Container& container) {
  TRY_VOID(make_directories(container.paths.root(), 0700));
  const Fd netns = TRY(kernel::open_netns(container.sandbox.netns));
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd from(pipe[0]), to(pipe[1]);
  const pid_t pid = fork_with(kContainerNamespaces);
  if (pid < 0) return fail_errno(errno, "namespaces of the container");
  if (pid == 0) be_init(container, netns.get(), std::move(to));
  to.reset();
  std::string said = read_word(from);
  if (said == "ready") {
    if (auto noted = note_init(container.paths, pid); noted) return pid;
    said = "its first process has ended";
  }
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  return fail(ErrorKind::kTransient, "{}", said.empty() ? "its first process has ended" : said);
}

int keep_container(const Container& container, const std::string& log) {
  Result<pid_t> made = 0;
  const int exit_code = run_logged(log, [&] {
    made = make_container(container);
    return made ? *made : -1;
  });
  if (!made) (void)write_file_atomically(container.paths.start_error(), made.error().message, 0600);
  return exit_code;
}

// For a container that the responder plays: a first process that does nothing, kept by a process that belongs to the
// pod alone. Called under the container's lock.
Result<void> make_held_container(const Container& container) {
  int pipe[2];
  if (::pipe2(pipe, O_CLOEXEC) != 0) return fail_errno(errno, "pipe");
  Fd from(pipe[0]), to(pipe[1]);
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid < 0) return fail_errno(errno, "fork");
  if (pid == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    const Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (const int number : {0, 1, 2}) ::dup2(nothing.get(), number);
    Container held = container;
    held.spec.command.clear();
    const auto made = make_container(held);
    const std::string said = made ? "ready" : made.error().message;
    (void)!::write(to.get(), said.data(), said.size());
    if (!made) ::_exit(1);
    ::prctl(PR_SET_NAME, "lab-container");
    ::syscall(SYS_close_range, 3u, ~0u, 0u);
    (void)wait_for_child(*made);
    ::_exit(0);
  }
  to.reset();
  ::waitpid(pid, nullptr, 0);
  const std::string said = read_word(from);
  if (said == "ready") return {};
  return fail(ErrorKind::kTransient, "container: {}", said.empty() ? "it has ended" : said);
}

Result<Fd> take_lock(const ContainerPaths& paths) {
  TRY_VOID(make_directories(paths.folder, 0700));
  Fd lock(::open(paths.lock().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) return fail_errno(errno, paths.lock());
  return lock;
}

// Its first process. A container with a program of its own is only entered while that runs, or about to.
Result<Fd> find_init(const Container& container) {
  if (auto init = open_init(container.paths)) return init;
  if (!container.spec.command.empty()) {
    const auto deadline = std::chrono::steady_clock::now() + kInitLimit;
    while (::access(container.paths.init().c_str(), F_OK) != 0 && std::chrono::steady_clock::now() < deadline)
      ::usleep(1000);  // it is being made by another process; there is nothing to wait on yet
    auto init = open_init(container.paths);
    if (!init) return fail(ErrorKind::kNotFound, "the container does not run");
    return init;
  }
  const Fd lock = TRY(take_lock(container.paths));
  if (auto init = open_init(container.paths)) return init;  // another one was faster
  TRY_VOID(make_held_container(container));
  return open_init(container.paths);
}

Result<void> join(const Fd& init, int netns) {
  if (::setns(init.get(), static_cast<int>(kContainerNamespaces)) != 0) return fail_errno(errno, "enter the container");
  if (::setns(netns, CLONE_NEWNET) != 0) return fail_errno(errno, "enter the pod's network namespace");
  return {};
}

// The built-in program that `command` names, when this program's file lies under that name.
BuiltIn built_in_of(const Container& container, const std::vector<std::string>& command) {
  const auto file = std::ranges::find(container.spec.mounts, command.front(), &ContainerMount::target);
  const bool ours = file != container.spec.mounts.end() && file->source == container.program;
  return ours ? built_in_program(command.front()) : nullptr;
}

// Runs `command` in the container, beside its own program.
int enter_container(const Container& container, const ContainerRun& run) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // see be_init
  auto joined = [&]() -> Result<void> {
    const Fd init = TRY(find_init(container));
    const Fd netns = TRY(kernel::open_netns(container.sandbox.netns));
    return join(init, netns.get());
  }();
  if (!joined) {
    std::fprintf(stderr, "%s\n", joined.error().message.c_str());
    return kCannotEnter;
  }
  const auto program = [&] {
    ::syscall(SYS_close_range, 3u, ~0u, 0u);
    auto turned = turn_into_program(container.spec);
    if (run.terminal) ::setenv("TERM", "xterm", 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // after the change of user, which clears it
    // Being it already, this process need not be started once more: suites ask so 100,000 times.
    if (const BuiltIn built_in = turned ? built_in_of(container, run.command) : nullptr) return built_in(run.command);
    if (turned) return become(run.command);
    std::fprintf(stderr, "%s\n", turned.error().message.c_str());
    return kCannotEnter;
  };
  std::fflush(nullptr);
  if (run.terminal)
    if (auto terminal = open_terminal()) return run_in_terminal(std::move(*terminal), program);
  const pid_t child = ::fork();
  if (child < 0) return kCannotEnter;
  if (child == 0) ::_exit(program());
  // Signals of a terminal go to the command, which decides.
  for (const int signal : {SIGINT, SIGQUIT, SIGTSTP}) ::signal(signal, SIG_IGN);
  return wait_for_child(child);
}

Result<Fd> open_namespace(pid_t pid, const char* kind) {
  const std::string path = fmt::format("/proc/{}/ns/{}", pid, kind);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  return fd;
}

// In a child of `lab exec`: becomes a process of the lab, which does the rest.
int become_lab_container(const RunningLab& lab, const Sandbox& sandbox, const std::string& container,
                         const std::vector<std::string>& command, const Fd& mounts, const Fd& ipc, const Fd& net) {
  for (const auto& [fd, kind] :
       {std::pair(&net, CLONE_NEWNET), std::pair(&ipc, CLONE_NEWIPC), std::pair(&mounts, CLONE_NEWNS)})
    if (::setns(fd->get(), kind) != 0) {
      std::fprintf(stderr, "enter the lab: %s\n", std::strerror(errno));
      return kCannotEnter;
    }
  const std::string& name = lab.record.config.name;
  std::vector<std::string> words = {LabPaths{name, ""}.program(),
                                    "lab-container",
                                    "--lab",
                                    name,
                                    "--pod",
                                    sandbox.pod.str(),
                                    "--container",
                                    container,
                                    "--"};
  if (::isatty(0) && ::isatty(1)) words.insert(words.end() - 1, "--terminal");
  words.insert(words.end(), command.begin(), command.end());
  return become(words);
}

}  // namespace

bool container_is_made(const ContainerPaths& paths) { return open_init(paths).has_value(); }

int run_container(const LabConfig& config, const ContainerRun& run) {
  if (run.session) ::setsid();
  if (run.session && run.terminal) (void)::ioctl(0, TIOCSCTTY, 0);  // so that it hears of changes of its size
  auto container = load_container(config, run);
  if (!container) {
    std::fprintf(stderr, "%s\n", container.error().message.c_str());
    return kCannotEnter;
  }
  return run.command.empty() ? keep_container(*container, run.log) : enter_container(*container, run);
}

Result<int> exec_in_pod(const RunningLab& lab, const std::string& namespace_, const std::string& pod,
                        const std::string& container, const std::vector<std::string>& command) {
  auto sandbox = load_sandbox(lab.paths.pod(namespace_, pod));
  if (!sandbox)
    return fail(ErrorKind::kNotFound, "lab \"{}\" runs no pod {}/{}", lab.record.config.name, namespace_, pod);
  const std::string& within = container.empty() ? sandbox->containers.front() : container;
  if (std::ranges::find(sandbox->containers, within) == sandbox->containers.end())
    return fail(ErrorKind::kNotFound, "pod {}/{} has no container \"{}\": it has {}", namespace_, pod, within,
                carrick::join(sandbox->containers, ", "));
  pid_t init = lab.record.pid;
  const Fd mounts = TRY(open_namespace(init, "mnt")), pids = TRY(open_namespace(init, "pid")),
           ipc = TRY(open_namespace(init, "ipc")), net = TRY(open_namespace(init, "net"));
  // The lab may have died and its number been given away since: then nothing above is to be trusted.
  TRY_VOID(find_running_lab(lab.record.config.name));
  // Socket programs of the node apply to what runs there, and what it starts ends with the pod.
  const std::string cgroup = pod_cgroup(lab.record.config, *sandbox);
  TRY_VOID(create_cgroup(cgroup));
  TRY_VOID(enter_cgroup(cgroup));
  if (::setns(pids.get(), CLONE_NEWPID) != 0) return fail_errno(errno, "enter the lab's pid namespace");
  std::fflush(nullptr);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) ::_exit(become_lab_container(lab, *sandbox, within, command, mounts, ipc, net));
  // Signals of the terminal go to the command, which decides.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  return wait_for_child(child);
}

}  // namespace carrick::lab
