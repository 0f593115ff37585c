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
#include "lab/nodes/run_process.h"
#include "lab/nodes/volumes.h"
#include "lab/pods/container_log.h"
#include "lab/pods/container_spec.h"
#include "lab/pods/material_fields.h"
#include "lab/programs/programs.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr auto kLookAgain = std::chrono::seconds(1);  // whether what was missing is there
constexpr int64_t kDefaultGrace = 30;
constexpr auto kAtOnce = std::chrono::seconds(5);  // an end within this time may mean that the program is not there

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }

const json::object* find_container(const json::object& pod, const std::string& name) {
  for (const char* list : {"containers", "initContainers"})
    for (const json::object* container : objects_in(object_in(pod, "spec"), list))
      if (text_in(*container, "name") == name) return container;
  return nullptr;
}

}  // namespace

bool runs_as_process(const LabConfig& config, const k8s::Container& container) {
  if (image_program(config, container.image)) return true;
  if (container.command.empty()) return false;
  const std::string& program = container.command.front();
  if (program.find('/') != std::string::npos) return program.front() == '/' && is_program(program);
  const std::string path = program_path();
  for (std::string_view folder : split(path, ':'))
    if (!program.empty() && is_program(std::string(folder) + "/" + program)) return true;
  return false;
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
  request.inherits_env = false;  // the lab's own environment is none of the pod's business
  request.extra_env.push_back("PATH=" + program_path());
  request.cgroup = pod_cgroup(config, sandbox);
  return request;
}

struct Containers::Impl : std::enable_shared_from_this<Containers::Impl> {
  struct Process {
    bool is_process = false;
    bool preparing = false;  // what it is made of is being looked up
    pid_t pid = 0;
    std::unique_ptr<asio::posix::stream_descriptor> end;
    std::unique_ptr<asio::steady_timer> kill, hold;
    std::string why;  // it is being ended
    json::object lifecycle;
  };

  Impl(asio::io_context& io_, const LabConfig& config_, const Sandbox& sandbox_, std::shared_ptr<const k8s::Pod> pod_,
       Around around_)
      : io(io_),
        config(config_),
        sandbox(sandbox_),
        pod(std::move(pod_)),
        around(std::move(around_)),
        machine(*pod),
        processes(machine.containers().size()),
        timer(io_) {}

  asio::io_context& io;
  LabConfig config;
  Sandbox sandbox;
  std::shared_ptr<const k8s::Pod> pod;
  Around around;
  PodMachine machine;
  std::vector<Process> processes;
  asio::steady_timer timer;
  bool closed = false, terminating = false;

  const k8s::Container& spec(size_t index) const { return machine.spec(*pod, index); }
  std::string folder() const { return LabPaths{config.name, ""}.pod(sandbox.pod.namespace_, sandbox.pod.name); }
  void go_on();
  void play(size_t index);
  void prepare(size_t index);
  Result<void> write_container(size_t index, PodDocument& document);
  void cannot_start(size_t index, const Error& error);
  void start(size_t index);
  void ended(size_t index);
  void end(size_t index, const std::string& why);
  void run_hook(size_t index, const char* which, std::function<void(bool)> then);
};

Containers::Containers(asio::io_context& io, const LabConfig& config, const Sandbox& sandbox,
                       std::shared_ptr<const k8s::Pod> pod, Around around, bool taken_over)
    : impl_(std::make_shared<Impl>(io, config, sandbox, std::move(pod), std::move(around))) {
  for (size_t i = 0; i < impl_->processes.size(); ++i)
    impl_->processes[i].is_process = runs_as_process(config, impl_->spec(i));
  if (taken_over) impl_->machine.resume_initialized();
}

Containers::~Containers() {
  impl_->closed = true;
  impl_->timer.cancel();
  for (auto& process : impl_->processes) {
    if (process.kill) process.kill->cancel();
    if (process.hold) process.hold->cancel();
    if (process.end) process.end->close();
  }
  // Also processes that an earlier lab-nodes started, and all their children.
  if (auto removed = remove_cgroup_tree(pod_cgroup(impl_->config, impl_->sandbox)); !removed)
    log::warn("pod {}: {}", impl_->sandbox.pod.str(), removed.error().message);
  for (auto& process : impl_->processes)
    if (process.pid > 0) ::waitpid(process.pid, nullptr, 0);
  unmount_volumes(impl_->folder());
}

void Containers::start() {
  if (std::ranges::any_of(impl_->processes, &Impl::Process::is_process)) {
    const std::string cgroup = pod_cgroup(impl_->config, impl_->sandbox);
    (void)remove_cgroup_tree(cgroup);
    if (auto created = create_cgroup(cgroup); !created)
      log::warn("pod {}: {}", impl_->sandbox.pod.str(), created.error().message);
  }
  impl_->go_on();
}

// Starts what is due; what the responder plays is started, and as an init container ended, in no time.
void Containers::Impl::go_on() {
  if (closed) return;
  for (bool again = true; again;) {
    again = false;
    for (const size_t index : machine.due(std::chrono::system_clock::now())) {
      if (processes[index].preparing || processes[index].pid > 0) continue;
      if (processes[index].is_process) {
        prepare(index);
      } else {
        play(index);
        again = true;
      }
    }
  }
  for (const size_t index : machine.to_end()) {
    if (processes[index].is_process)
      end(index, "");
    else
      machine.ended(index, 0, std::chrono::system_clock::now());
  }
  const auto now = std::chrono::system_clock::now();
  const auto next = machine.next_look(now);
  if (!next) return;
  timer.expires_after(*next - now + std::chrono::milliseconds(1));
  timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (error || self->closed) return;
    self->go_on();
    self->around.changed();
  });
}

void Containers::Impl::play(size_t index) {
  const auto now = std::chrono::system_clock::now();
  const k8s::Container& container = spec(index);
  // So that `kubectl logs` says why there is nothing else to see.
  auto log = LogWriter::open(container_log_path(config, sandbox, container.name));
  if (log)
    log->write(false,
               fmt::format("the responder of the lab plays container {} ({})\n", container.name, container.image),
               {std::time(nullptr), 0});
  machine.started(index, now);
  machine.passed_startup(index);
  if (machine.containers()[index].kind == ContainerLife::Kind::kInit) machine.ended(index, 0, now);
}

void Containers::Impl::prepare(size_t index) {
  processes[index].preparing = true;
  const bool init = machine.containers()[index].kind == ContainerLife::Kind::kInit;
  if (const auto wait = init ? around.hold_init() : std::chrono::milliseconds(0); wait.count() > 0) {
    processes[index].hold = std::make_unique<asio::steady_timer>(io, wait);
    return processes[index].hold->async_wait([self = shared_from_this(), index](boost::system::error_code error) {
      if (error || self->closed) return;
      self->processes[index].preparing = false;
      self->go_on();
    });
  }
  fetch_material(*around.client, sandbox.pod, [self = shared_from_this(), index](Result<PodDocument> document) {
    if (self->closed) return;
    self->processes[index].preparing = false;
    if (self->terminating) return;
    auto written = document ? self->write_container(index, *document) : std::unexpected(document.error());
    if (written)
      self->start(index);
    else
      self->cannot_start(index, written.error());
    self->around.changed();
    self->go_on();
  });
}

void Containers::Impl::cannot_start(size_t index, const Error& error) {
  const char* reason = error.kind == ErrorKind::kTransient ? "ContainerCreating" : "CreateContainerConfigError";
  machine.waits(index, reason, error.message, std::chrono::system_clock::now() + kLookAgain);
}

// spec.json and the volumes.
Result<void> Containers::Impl::write_container(size_t index, PodDocument& document) {
  around.complete(document.material);
  const k8s::Container& container = spec(index);
  const json::object* stored = find_container(document.pod, container.name);
  if (!stored) return fail(ErrorKind::kTransient, "the pod is gone");
  Environment env = TRY(container_env(document.pod, *stored, document.material));
  const auto otherwise = [&](const std::string& name, const std::string& value) {
    if (std::ranges::find(env, name, &std::pair<std::string, std::string>::first) == env.end())
      env.emplace_back(name, value);
  };
  otherwise("PATH", program_path());
  otherwise("HOSTNAME", sandbox.hostname);
  otherwise("HOME", "/root");
  ContainerSpec made = TRY(container_spec(document.pod, *stored, env, folder() + "/volumes"));
  // `command` takes the place of the image's entrypoint, and then its default arguments go, too.
  const auto image = image_program(config, container.image).value_or(ImageProgram{});
  const auto& words = container.command.empty() ? image.entrypoint : container.command;
  const bool defaults = container.command.empty() && container.args.empty();
  made.command = words;
  made.command.insert(made.command.end(), defaults ? image.default_args.begin() : container.args.begin(),
                      defaults ? image.default_args.end() : container.args.end());
  for (std::string& word : made.command) word = expand_variables(word, env);
  made.mounts.insert(made.mounts.begin(), image.files.begin(), image.files.end());
  TRY_VOID(make_volumes(document.pod, document.material, folder(), made.mounts));
  const ContainerPaths paths(folder(), container.name);
  TRY_VOID(make_directories(paths.folder, 0700));
  processes[index].lifecycle = {};
  if (const auto* hooks = stored->if_contains("lifecycle"); hooks && hooks->is_object())
    processes[index].lifecycle = hooks->get_object();
  return write_file_atomically(paths.spec(), encode_container(made), 0600);
}

void Containers::Impl::start(size_t index) {
  Process& process = processes[index];
  const std::string& name = spec(index).name;
  const ContainerPaths paths(folder(), name);
  ::unlink(paths.init().c_str());
  ::unlink(paths.start_error().c_str());
  const std::string log = container_log_path(config, sandbox, name);
  if (machine.containers()[index].ran) (void)std::rename(log.c_str(), previous_log_path(config, sandbox, name).c_str());
  SpawnRequest request = container_request(config, sandbox, name);
  request.argv.insert(request.argv.end(), {"--log", log});
  const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  request.fds.emplace_back(input.get(), 0);
  auto pid = spawn(request);
  if (!pid) return cannot_start(index, pid.error());
  machine.started(index, std::chrono::system_clock::now());
  process.pid = *pid;
  process.why.clear();
  process.end =
      std::make_unique<asio::posix::stream_descriptor>(io, static_cast<int>(::syscall(SYS_pidfd_open, *pid, 0)));
  process.end->async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this(), index](boost::system::error_code error) {
                            if (!error && !self->closed) self->ended(index);
                          });
  run_hook(index, "postStart", [self = shared_from_this(), index, started = *pid](bool good) {
    if (!good && self->processes[index].pid == started) self->end(index, "PostStartHookError");
  });
}

void Containers::Impl::ended(size_t index) {
  Process& process = processes[index];
  int exit_code = wait_for_child(process.pid);
  process.pid = 0;
  process.kill.reset();
  const auto now = std::chrono::system_clock::now();
  const ContainerLife& life = machine.containers()[index];
  std::string reason, message = process.why;
  if (auto error = read_file(ContainerPaths(folder(), life.name).start_error())) {
    exit_code = 128;
    reason = "StartError";
    message = *error;
  }
  // The image's program, not this machine's.
  if ((exit_code == 126 || exit_code == 127) && now - life.started < kAtOnce && !terminating) {
    process.is_process = false;
    ::unlink(ContainerPaths(folder(), life.name).spec().c_str());
    play(index);
  } else {
    machine.ended(index, exit_code, now, reason, message);
  }
  go_on();
  around.changed();
}

// SIGTERM, and SIGKILL when its grace is over.
void Containers::Impl::end(size_t index, const std::string& why) {
  Process& process = processes[index];
  if (process.pid <= 0 || process.kill) return;
  process.why = why;
  const pid_t pid = process.pid;
  process.kill = std::make_unique<asio::steady_timer>(
      io, std::chrono::seconds(pod->spec.terminationGracePeriodSeconds.value_or(kDefaultGrace)));
  process.kill->async_wait([self = shared_from_this(), index, pid](boost::system::error_code error) {
    if (!error && self->processes[index].pid == pid) ::kill(pid, SIGKILL);
  });
  run_hook(index, "preStop", [self = shared_from_this(), index, pid](bool) {
    if (self->processes[index].pid == pid) ::kill(pid, SIGTERM);
  });
}

// A command in the container, or a pause; `then` at once when there is none.
void Containers::Impl::run_hook(size_t index, const char* which, std::function<void(bool)> then) {
  const json::object* hook = object_in(processes[index].lifecycle, which);
  if (const json::object* sleep = object_in(hook, "sleep")) {
    auto pause =
        std::make_shared<asio::steady_timer>(io, std::chrono::seconds(number_in(sleep, "seconds").value_or(0)));
    pause->async_wait([pause, then](boost::system::error_code) { then(true); });
    return;
  }
  const json::object* command = object_in(hook, "exec");
  if (!command) return then(true);
  SpawnRequest request = container_request(config, sandbox, spec(index).name);
  request.argv.emplace_back("--");
  if (const auto* words = command->if_contains("command"); words && words->is_array())
    for (const auto& word : words->get_array())
      if (word.is_string()) request.argv.emplace_back(word.get_string());
  run_process(io, std::move(request), "",
              std::chrono::seconds(pod->spec.terminationGracePeriodSeconds.value_or(kDefaultGrace)),
              [self = shared_from_this(), then, name = spec(index).name, which](Result<ProcessEnd> end) {
                const bool good = end && end->exit_code == 0;
                if (!good)
                  log::warn("pod {}: {} of container {}: {}", self->sandbox.pod.str(), which, name,
                            end ? fmt::format("exit code {}", end->exit_code) : end.error().message);
                if (!self->closed) then(good);
              });
}

void Containers::terminate() {
  impl_->terminating = true;
  impl_->machine.terminate();
  for (size_t i = 0; i < impl_->processes.size(); ++i) impl_->end(i, "");
}

bool Containers::any_running() const {
  return std::ranges::any_of(impl_->processes, [](const auto& process) { return process.pid > 0; });
}

const PodMachine& Containers::machine() const { return impl_->machine; }
bool Containers::is_played(size_t index) const { return !impl_->processes[index].is_process; }
void Containers::passed_startup(size_t index) {
  impl_->machine.passed_startup(index);
  impl_->go_on();
}
void Containers::restart(size_t index, const std::string& why) { impl_->end(index, why); }

}  // namespace carrick::lab
