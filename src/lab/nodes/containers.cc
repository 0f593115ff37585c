#include "lab/nodes/containers.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "lab/host/cgroups.h"
#include "lab/host/process.h"
#include "lab/pods/container_log.h"
#include "lab/pods/container_spec.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr auto kFirstPause = std::chrono::seconds(1);
constexpr auto kLongestPause = std::chrono::minutes(1);
constexpr auto kAtOnce = std::chrono::seconds(5);  // an end within this time may mean that the program is not there

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

}  // namespace

bool runs_as_process(const k8s::Container& container) {
  if (container.command.empty()) return false;
  const std::string& program = container.command.front();
  if (program.find('/') != std::string::npos) return program.front() == '/' && is_program(program);
  const char* path = std::getenv("PATH");
  for (std::string_view folder : split(path ? path : kDefaultPath, ':'))
    if (!program.empty() && is_program(std::string(folder) + "/" + program)) return true;
  return false;
}

std::string pod_cgroup(const LabConfig& config, const Sandbox& sandbox) {
  return node_cgroup(config.cgroup_mount, config.name, sandbox.node) + "/" + sandbox.uid;
}

std::string container_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container) {
  return LabPaths{config.name, ""}.pod(sandbox.pod.namespace_, sandbox.pod.name) + "/" + container + ".log";
}

std::string previous_log_path(const LabConfig& config, const Sandbox& sandbox, const std::string& container) {
  return container_log_path(config, sandbox, container) + ".previous";
}

SpawnRequest container_request(const LabConfig& config, const Sandbox& sandbox, const std::string& container) {
  SpawnRequest request{.argv = {LabPaths{config.name, ""}.program(), "lab-container", "--session", "--lab", config.name,
                                "--pod", sandbox.pod.str(), "--container", container}};
  const char* path = std::getenv("PATH");  // where runs_as_process() looked
  request.inherits_env = false;            // the lab's own environment is none of the pod's business
  request.extra_env.push_back(std::string("PATH=") + (path ? path : kDefaultPath));
  request.cgroup = pod_cgroup(config, sandbox);
  return request;
}

namespace {

ContainerSpec container_spec(const Sandbox& sandbox, const k8s::Container& container) {
  ContainerSpec spec{.workdir = container.workingDir, .capabilities = default_capabilities()};
  const auto set = [&](const std::string& name, const std::string& value) {
    if (std::ranges::find(container.env, name, &k8s::EnvVar::name) == container.env.end())
      spec.env.push_back(name + "=" + value);
  };
  const char* path = std::getenv("PATH");
  set("PATH", path ? path : kDefaultPath);
  set("HOSTNAME", sandbox.hostname);
  set("HOME", "/root");
  for (const k8s::EnvVar& variable : container.env) spec.env.push_back(variable.name + "=" + variable.value);
  if (!runs_as_process(container)) return spec;
  spec.command = container.command;
  spec.command.insert(spec.command.end(), container.args.begin(), container.args.end());
  return spec;
}

}  // namespace

struct Containers::Impl : std::enable_shared_from_this<Containers::Impl> {
  struct Process {
    size_t index;  // in spec.containers
    pid_t pid = 0;
    std::unique_ptr<asio::posix::stream_descriptor> end;
    std::unique_ptr<asio::steady_timer> timer;
    std::chrono::steady_clock::time_point started;
    std::chrono::steady_clock::duration pause = kFirstPause;
    int restarts = 0;
    std::optional<int> exit_code;  // of the last end
    bool finished = false;         // will not be started again
    bool falls_back = false;
    std::string message;
  };

  Impl(asio::io_context& io_, const LabConfig& config_, const Sandbox& sandbox_, std::shared_ptr<const k8s::Pod> pod_,
       std::function<void()> changed_)
      : io(io_), config(config_), sandbox(sandbox_), pod(std::move(pod_)), changed(std::move(changed_)) {}

  asio::io_context& io;
  LabConfig config;
  Sandbox sandbox;
  std::shared_ptr<const k8s::Pod> pod;
  std::function<void()> changed;
  std::string cgroup;
  std::vector<Process> processes;
  bool closed = false, terminating = false;

  std::string pod_folder() const;
  void write_specs();
  void note_played();
  void start(size_t slot);
  void ended(size_t slot);
  void again(size_t slot);
};

Containers::Containers(asio::io_context& io, const LabConfig& config, const Sandbox& sandbox,
                       std::shared_ptr<const k8s::Pod> pod, std::function<void()> changed)
    : impl_(std::make_shared<Impl>(io, config, sandbox, std::move(pod), std::move(changed))) {
  impl_->cgroup = pod_cgroup(config, sandbox);
  for (size_t i = 0; i < impl_->pod->spec.containers.size(); ++i)
    if (runs_as_process(impl_->pod->spec.containers[i])) impl_->processes.push_back({.index = i});
}

Containers::~Containers() {
  impl_->closed = true;
  for (auto& process : impl_->processes) {
    if (process.timer) process.timer->cancel();
    if (process.end) process.end->close();
  }
  // Also processes that an earlier lab-nodes started, and all their children.
  if (auto removed = remove_cgroup_tree(impl_->cgroup); !removed)
    log::warn("pod {}: {}", impl_->sandbox.pod.str(), removed.error().message);
  for (auto& process : impl_->processes)
    if (process.pid > 0) ::waitpid(process.pid, nullptr, 0);
}

std::string Containers::Impl::pod_folder() const {
  return LabPaths{config.name, ""}.pod(sandbox.pod.namespace_, sandbox.pod.name);
}

// What cannot be read from the pod's sandbox alone.
void Containers::Impl::write_specs() {
  for (const k8s::Container& container : pod->spec.containers) {
    const ContainerSpec spec = container_spec(sandbox, container);
    if (spec.command.empty() && container.env.empty() && spec.workdir.empty()) continue;
    const ContainerPaths paths(pod_folder(), container.name);
    auto written = make_directories(paths.folder, 0700);
    if (written) written = write_file_atomically(paths.spec(), encode_container(spec), 0600);
    if (!written) log::warn("pod {}: {}", sandbox.pod.str(), written.error().message);
  }
}

// So that `kubectl logs` says why there is nothing else to see.
void Containers::Impl::note_played() {
  for (const k8s::Container& container : pod->spec.containers) {
    if (runs_as_process(container)) continue;
    auto log = LogWriter::open(container_log_path(config, sandbox, container.name));
    if (log)
      log->write(false,
                 fmt::format("the responder of the lab plays container {} ({})\n", container.name, container.image),
                 {std::time(nullptr), 0});
  }
}

void Containers::start() {
  impl_->write_specs();
  impl_->note_played();
  if (impl_->processes.empty()) return;
  (void)remove_cgroup_tree(impl_->cgroup);
  if (auto created = create_cgroup(impl_->cgroup); !created)
    log::warn("pod {}: {}", impl_->sandbox.pod.str(), created.error().message);
  for (size_t slot = 0; slot < impl_->processes.size(); ++slot) impl_->start(slot);
}

void Containers::Impl::start(size_t slot) {
  Process& process = processes[slot];
  const k8s::Container& container = pod->spec.containers[process.index];
  SpawnRequest request = container_request(config, sandbox, container.name);
  const std::string log = container_log_path(config, sandbox, container.name);
  if (process.restarts > 0) (void)std::rename(log.c_str(), previous_log_path(config, sandbox, container.name).c_str());
  request.argv.insert(request.argv.end(), {"--log", log});
  ::unlink(ContainerPaths(pod_folder(), container.name).init().c_str());  // of the run before
  Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  request.fds.emplace_back(input.get(), 0);
  auto pid = spawn(request);
  process.started = std::chrono::steady_clock::now();
  if (!pid) {
    process.message = pid.error().message;
    return again(slot);
  }
  process.pid = *pid;
  process.message.clear();
  process.end =
      std::make_unique<asio::posix::stream_descriptor>(io, static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  process.end->async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this(), slot](boost::system::error_code error) {
                            if (!error && !self->closed) self->ended(slot);
                          });
}

void Containers::Impl::ended(size_t slot) {
  Process& process = processes[slot];
  int status = 0;
  while (::waitpid(process.pid, &status, 0) < 0 && errno == EINTR) {
  }
  process.pid = 0;
  process.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  process.message = fmt::format("ended with exit code {}", *process.exit_code);
  bool at_once = std::chrono::steady_clock::now() - process.started < kAtOnce;
  const std::string& policy = pod->spec.restartPolicy;
  if (terminating) {
    process.finished = true;
    return changed();
  }
  if ((*process.exit_code == 126 || *process.exit_code == 127) && at_once) {
    process.falls_back = process.finished = true;
    ::unlink(ContainerPaths(pod_folder(), pod->spec.containers[process.index].name).spec().c_str());
  } else if (policy == "Never" || (policy == "OnFailure" && *process.exit_code == 0)) {
    process.finished = true;
  } else {
    again(slot);
  }
  changed();
}

void Containers::Impl::again(size_t slot) {
  Process& process = processes[slot];
  process.timer = std::make_unique<asio::steady_timer>(io, process.pause);
  process.pause = std::min<std::chrono::steady_clock::duration>(process.pause * 2, kLongestPause);
  process.timer->async_wait([self = shared_from_this(), slot](boost::system::error_code error) {
    if (error || self->closed || self->terminating) return;
    ++self->processes[slot].restarts;
    self->start(slot);
    self->changed();
  });
}

void Containers::terminate() {
  impl_->terminating = true;
  for (auto& process : impl_->processes)
    if (process.pid > 0) ::kill(process.pid, SIGTERM);
}

bool Containers::any_running() const {
  return std::ranges::any_of(impl_->processes, [](const auto& process) { return process.pid > 0; });
}

bool Containers::is_running(size_t index) const {
  for (const auto& process : impl_->processes)
    if (process.index == index && !process.falls_back) return process.pid > 0;
  return true;
}

bool Containers::falls_back_to_responder(size_t index) const {
  for (const auto& process : impl_->processes)
    if (process.index == index) return process.falls_back;
  return false;
}

void Containers::describe(std::vector<ContainerState>& states) const {
  for (const auto& process : impl_->processes) {
    if (process.falls_back || process.index >= states.size()) continue;
    ContainerState& state = states[process.index];
    state.running = process.pid > 0;
    state.ready = state.ready && state.running;
    state.restarts = process.restarts;
    state.message = process.message;
    state.waiting_reason = "CrashLoopBackOff";
    if (process.finished) state.exit_code = process.exit_code;
  }
}

}  // namespace carrick::lab
