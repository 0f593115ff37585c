#include "lab/pods/enter.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "kernel/netns.h"
#include "lab/host/cgroups.h"
#include "lab/pods/log_shim.h"

namespace carrick::lab {
namespace {

constexpr int kCannotEnter = 125, kNoProgram = 127;

Result<void> bind_over(const std::string& source, const char* target) {
  if (::access(source.c_str(), R_OK) != 0 || ::access(target, F_OK) != 0) return {};  // nothing to show, or nowhere
  if (::mount(source.c_str(), target, nullptr, MS_BIND, nullptr) != 0)
    return fail_errno(errno, fmt::format("show {} as {}", source, target));
  return {};
}

Result<Fd> open_namespace(pid_t pid, const char* kind) {
  std::string path = fmt::format("/proc/{}/ns/{}", pid, kind);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path);
  return fd;
}

Result<void> join(const Fd& namespace_fd, int kind, const char* name) {
  if (::setns(namespace_fd.get(), kind) != 0)
    return fail_errno(errno, fmt::format("enter the lab's {} namespace", name));
  return {};
}

// Never returns.
int become(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  int error = errno;
  std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(error));
  return error == ENOENT ? kNoProgram : 126;
}

}  // namespace

Result<void> enter_pod(const Sandbox& sandbox, int netns) {
  if (::unshare(CLONE_NEWNS | CLONE_NEWUTS) != 0) return fail_errno(errno, "new mount namespace");
  // Slave: what is mounted here is seen here only, what the lab unmounts goes here too.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return fail_errno(errno, "mount namespace");
  TRY_VOID(bind_over(sandbox.folder + "/resolv.conf", "/etc/resolv.conf"));
  TRY_VOID(bind_over(sandbox.folder + "/hosts", "/etc/hosts"));
  if (::sethostname(sandbox.hostname.data(), sandbox.hostname.size()) != 0) return fail_errno(errno, "hostname");
  if (::setns(netns, CLONE_NEWNET) != 0) return fail_errno(errno, "enter the pod's network namespace");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail_errno(errno, "no_new_privs");
  return {};
}

Result<int> exec_in_pod(const RunningLab& lab, const std::string& namespace_, const std::string& pod,
                        const std::vector<std::string>& command) {
  auto sandbox = load_sandbox(lab.paths.pod(namespace_, pod));
  if (!sandbox)
    return fail(ErrorKind::kNotFound, "lab \"{}\" runs no pod {}/{}", lab.record.config.name, namespace_, pod);
  pid_t init = lab.record.pid;
  Fd mounts = TRY(open_namespace(init, "mnt")), pids = TRY(open_namespace(init, "pid")),
     ipc = TRY(open_namespace(init, "ipc"));
  Fd netns = TRY(kernel::open_netns(lab.paths.prefix + sandbox->netns));
  sandbox->folder = LabPaths{lab.record.config.name, ""}.pod(namespace_, pod);  // as seen inside
  // The lab may have died and its number been given away since: then nothing above is to be trusted.
  TRY_VOID(find_running_lab(lab.record.config.name));
  // Socket programs of the node apply to what runs there.
  TRY_VOID(enter_cgroup(node_cgroup(lab.record.config.cgroup_mount, lab.record.config.name, sandbox->node)));
  TRY_VOID(join(pids, CLONE_NEWPID, "pid"));
  std::fflush(nullptr);
  pid_t child = ::fork();
  if (child < 0) return fail_errno(errno, "fork");
  if (child == 0) {
    auto entered = [&]() -> Result<void> {
      TRY_VOID(join(mounts, CLONE_NEWNS, "mount"));
      TRY_VOID(join(ipc, CLONE_NEWIPC, "ipc"));
      return enter_pod(*sandbox, netns.get());
    }();
    if (!entered) {
      std::fprintf(stderr, "%s\n", entered.error().message.c_str());
      ::_exit(kCannotEnter);
    }
    ::_exit(become(command));
  }
  // Signals of the terminal go to the command, which decides.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGQUIT, SIG_IGN);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_container(const LabConfig& config, const ContainerRun& run) {
  ::setsid();  // a group of its own: whoever ends the program ends what it started
  if (run.terminal) (void)::ioctl(0, TIOCSCTTY, 0);
  auto entered = [&]() -> Result<void> {
    size_t slash = run.pod.find('/');
    if (slash == std::string::npos) return fail(ErrorKind::kInvalid, "--pod {}: not NAMESPACE/NAME", run.pod);
    std::string folder = LabPaths{config.name, ""}.pod(run.pod.substr(0, slash), run.pod.substr(slash + 1));
    Sandbox sandbox = TRY(load_sandbox(folder));
    Fd netns = TRY(kernel::open_netns(sandbox.netns));
    return enter_pod(sandbox, netns.get());
  }();
  auto start = [&] {
    if (!entered) {
      std::fprintf(stderr, "%s\n", entered.error().message.c_str());
      return kCannotEnter;
    }
    if (!run.workdir.empty() && ::chdir(run.workdir.c_str()) != 0)
      std::fprintf(stderr, "%s: %s\n", run.workdir.c_str(), std::strerror(errno));
    return become(run.command);
  };
  return run.log.empty() ? start() : run_logged(run.log, start);
}

}  // namespace carrick::lab
