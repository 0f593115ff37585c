#include "lab/prober/node_processes.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "lab/host/cgroups.h"

namespace carrick::lab {

Result<void> in_node_processes(const RunningLab& lab, const std::vector<std::string>& nodes,
                               const std::function<Result<void>(const std::string&)>& work) {
  std::vector<pid_t> children;
  std::fflush(nullptr);
  bool failed = false;
  for (const std::string& node : nodes) {
    pid_t pid = ::fork();
    if (pid < 0) {
      failed = true;
      break;
    }
    if (pid > 0) {
      children.push_back(pid);
      continue;
    }
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const LabConfig& config = lab.record.config;
    Result<void> done = enter_cgroup(node_cgroup(config.cgroup_mount, config.name, node));
    if (done) done = work(node);
    if (!done) std::fprintf(stderr, "probes of %s: %s\n", node.c_str(), done.error().message.c_str());
    ::_exit(done ? 0 : 1);
  }
  for (pid_t pid : children) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    failed = failed || !WIFEXITED(status) || WEXITSTATUS(status) != 0;
  }
  if (failed) return fail(ErrorKind::kTransient, "the probes of a node failed: the lab changed meanwhile, or ended");
  return {};
}

}  // namespace carrick::lab
