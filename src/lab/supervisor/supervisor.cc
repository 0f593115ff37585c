#include "lab/supervisor/supervisor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>

#include "base/log.h"
#include "base/text.h"
#include "kernel/netns.h"
#include "kernel/unix_socket.h"
#include "lab/fabric/fabric.h"
#include "lab/host/cgroups.h"
#include "lab/host/files.h"
#include "lab/host/record.h"
#include "lab/supervisor/children.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;
using Clock = Children::Clock;

constexpr const char* kSystemFolder = "system";  // cgroup of the lab's own processes
constexpr auto kServerLimit = std::chrono::seconds(30);

Result<void> mount_at(const char* type, const std::string& target, unsigned long flags, const char* options = nullptr) {
  if (::mount(type, target.c_str(), type, flags, options) != 0)
    return fail_errno(errno, fmt::format("mount {} on {}", type, target));
  return {};
}

Result<Fd> listen_on(const net::IpAddress& address, int port) {
  bool v4 = address.is_v4();
  Fd socket(::socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket");
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in to4{.sin_family = AF_INET,
                  .sin_port = htons(static_cast<uint16_t>(port)),
                  .sin_addr = {v4 ? htonl(address.v4_host_order()) : 0}};
  sockaddr_in6 to6{.sin6_family = AF_INET6, .sin6_port = htons(static_cast<uint16_t>(port))};
  std::memcpy(&to6.sin6_addr, address.bytes().data(), 16);
  int bound = v4 ? ::bind(socket.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4)
                 : ::bind(socket.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6);
  if (bound != 0 || ::listen(socket.get(), 1024) != 0)
    return fail_errno(errno, fmt::format("{} port {}", address.str(), port));
  return socket;
}

class Supervisor {
 public:
  explicit Supervisor(const LabConfig& config) : config_(config), paths_{config.name, ""}, nodes_(plan_nodes(config)) {}
  Result<void> set_up();
  void serve();
  void tell_up(const json::object& message);
  void tear_down();

 private:
  Result<void> note_record();
  Result<void> make_mounts();
  Result<void> make_cgroups();
  Result<void> show_program();
  Result<void> install_plugins();
  Result<void> start_server();
  Result<void> start_agents();
  SpawnRequest own_process(const std::string& verb);
  std::string last_words(const std::string& process, const std::string& otherwise) const;
  void reap();
  std::string answer_to(const std::string& question);

  LabConfig config_;
  LabPaths paths_;
  std::vector<NodePlan> nodes_;
  Fd host_api_{kHostApiSocket}, tether_{kTether}, executable_{kExecutable};
  Fd signals_, control_;
  std::vector<Fd> api_sockets_;
  std::map<std::string, Fd> node_netns_;
  Children children_;
  bool keep_ = false, stop_ = false;
};

Result<void> Supervisor::set_up() {
  ::setsid();  // the terminal of `lab up` may close
  TRY_VOID(note_record());
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGCHLD}) sigaddset(&signals, signal);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  signals_ = Fd(::signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
  TRY_VOID(make_mounts());
  TRY_VOID(make_cgroups());
  TRY_VOID(build_fabric(config_, paths_));
  for (const NodePlan& node : nodes_) node_netns_[node.name] = TRY(kernel::open_netns(paths_.node_netns(node.name)));
  for (const auto& address : fabric_addresses(config_)) api_sockets_.push_back(TRY(listen_on(address, kApiPort)));
  TRY_VOID(install_plugins());
  control_ = TRY(kernel::listen_unix(paths_.control()));
  TRY_VOID(start_server());
  return start_agents();
}

// The machine's /proc is still mounted here, and says which number this process has outside.
Result<void> Supervisor::note_record() {
  char link[32];
  ssize_t n = ::readlink("/proc/self", link, sizeof link - 1);
  if (n <= 0) return fail_errno(errno, "/proc/self");
  link[n] = 0;
  LabRecord record{.pid = std::atoi(link), .config = config_};
  record.start_time = TRY(process_start_time(record.pid));
  sockaddr_in bound{};
  socklen_t length = sizeof bound;
  if (::getsockname(host_api_.get(), reinterpret_cast<sockaddr*>(&bound), &length) != 0)
    return fail_errno(errno, "API socket");
  record.api_port = ntohs(bound.sin_port);
  config_.api_port = record.api_port;
  return write_record(record);
}

Result<void> Supervisor::make_mounts() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return fail_errno(errno, "make mounts private");
  TRY_VOID(make_directories(paths_.state_mount(), 0700));
  TRY_VOID(mount_at("tmpfs", paths_.state_mount(), MS_NOSUID, "mode=0700"));
  // Shared among the lab's own mount namespaces: a pod's namespace file that is unmounted goes in `lab exec` shells
  // too.
  if (::mount(nullptr, paths_.state_mount().c_str(), nullptr, MS_SHARED, nullptr) != 0)
    return fail_errno(errno, "share the state folder");
  TRY_VOID(mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC));
  TRY_VOID(make_directories(paths_.netns_dir(), 0755));
  TRY_VOID(make_directories(paths_.pods_dir(), 0755));
  TRY_VOID(make_directories(paths_.server_dir(), 0700));
  TRY_VOID(show_program());
  for (const NodePlan& node : nodes_) {
    TRY_VOID(make_directories(paths_.node_bpffs(node.name), 0755));
    TRY_VOID(make_directories(paths_.node_cni_conf(node.name), 0755));
    TRY_VOID(mount_at("bpf", paths_.node_bpffs(node.name), MS_NOSUID | MS_NODEV | MS_NOEXEC));
  }
  return {};
}

// The processes of pods are run by this program, and root there must not be able to write to its file through
// /proc/PID/exe. A file that has been replaced since we were started has no path any more: then it is a copy.
Result<void> Supervisor::show_program() {
  const std::string target = paths_.program();
  TRY_VOID(make_directories(target.substr(0, target.rfind('/')), 0755));
  char path[4096];
  const ssize_t size = ::readlink(fmt::format("/proc/self/fd/{}", executable_.get()).c_str(), path, sizeof path - 1);
  path[size > 0 ? size : 0] = 0;
  struct stat held{}, there{};
  const bool same = ::fstat(executable_.get(), &held) == 0 && ::stat(path, &there) == 0 &&
                    held.st_ino == there.st_ino && held.st_dev == there.st_dev;
  if (!same) {
    std::string program = TRY(read_file(fmt::format("/proc/self/fd/{}", executable_.get())));
    return write_file_atomically(target, program, 0555);
  }
  TRY_VOID(write_file_atomically(target, "", 0555));
  if (::mount(path, target.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      ::mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, nullptr) != 0)
    return fail_errno(errno, target);
  return {};
}

Result<void> Supervisor::make_cgroups() {
  TRY_VOID(create_cgroup(node_cgroup(config_.cgroup_mount, config_.name, kSystemFolder)));
  for (const NodePlan& node : nodes_)
    TRY_VOID(create_cgroup(node_cgroup(config_.cgroup_mount, config_.name, node.name)));
  return enter_cgroup(node_cgroup(config_.cgroup_mount, config_.name, kSystemFolder));
}

// As a package would install it; `loopback` is the same program under another name (CNI-R5).
Result<void> Supervisor::install_plugins() {
  TRY_VOID(make_directories(paths_.cni_bin(), 0755));
  TRY_VOID(make_directories(paths_.cni_results(), 0700));
  std::string plugin = paths_.cni_bin() + "/carrick-cni";
  std::string program = TRY(read_file(config_.cni_binary));
  TRY_VOID(write_file_atomically(plugin, program, 0755));
  if (::chmod(plugin.c_str(), 0755) != 0) return fail_errno(errno, plugin);
  if (::symlink("carrick-cni", (paths_.cni_bin() + "/loopback").c_str()) != 0)
    return fail_errno(errno, "loopback plugin");
  return {};
}

SpawnRequest Supervisor::own_process(const std::string& verb) {
  return {.argv = {"carrick", verb, "--lab", config_.name},
          .exe_fd = executable_.get(),
          .cgroup = node_cgroup(config_.cgroup_mount, config_.name, kSystemFolder),
          .log_file = paths_.log(verb)};
}

// The last line of its log: the log itself goes with a lab that does not start.
std::string Supervisor::last_words(const std::string& process, const std::string& otherwise) const {
  auto log = read_file(paths_.log(process));
  if (!log) return otherwise;
  std::string_view text = trim(*log);
  size_t line = text.rfind('\n');
  if (line != std::string_view::npos) text.remove_prefix(line + 1);
  return text.empty() ? otherwise : std::string(text);
}

// Its listening sockets are made here and handed down: requests that come while it starts, or starts again, wait in the
// queue.
Result<void> Supervisor::start_server() {
  SpawnRequest request = own_process("lab-server");
  int number = 3;
  auto hand_down = [&](int fd) {
    request.argv.insert(request.argv.end(), {"--listen-fd", std::to_string(number)});
    request.fds.emplace_back(fd, number++);
  };
  hand_down(host_api_.get());
  for (const Fd& socket : api_sockets_) hand_down(socket.get());
  // A file that appears when the server has its certificates and kubeconfigs: the other processes read them at their
  // start.
  TRY_VOID(children_.start("lab-server", request));
  auto deadline = Clock::now() + kServerLimit;
  while (::access(paths_.inner_kubeconfig().c_str(), F_OK) != 0) {
    if (Clock::now() > deadline)
      return fail(ErrorKind::kTransient, "the API server does not start; see {}", paths_.log("lab-server"));
    pollfd wait[2] = {{signals_.get(), POLLIN, 0}, {tether_.get(), POLLIN, 0}};
    ::poll(wait, 2, 2);
    if (wait[1].revents) return fail(ErrorKind::kTransient, "lab up was ended");
    reap();
    for (const auto& child : children_.list())
      if (child.restarts >= 3)
        return fail(ErrorKind::kTransient, "the API server does not start: {}",
                    last_words("lab-server", child.last_end));
    children_.start_due(Clock::now());
  }
  return {};
}

Result<void> Supervisor::start_agents() {
  TRY_VOID(children_.start("lab-responder", own_process("lab-responder")));
  for (const NodePlan& node : nodes_) {
    SpawnRequest request{.argv = {"carrick", "agent"},
                         .exe_fd = executable_.get(),
                         .netns = node_netns_[node.name].get(),
                         .cgroup = node_cgroup(config_.cgroup_mount, config_.name, node.name),
                         .log_file = paths_.log("agent-" + node.name)};
    auto flag = [&](const char* name, const std::string& value) {
      request.argv.insert(request.argv.end(), {name, value});
    };
    flag("--node", node.name);
    flag("--kubeconfig", paths_.inner_kubeconfig());
    flag("--state-dir", paths_.node(node.name));
    flag("--bpffs", paths_.node_bpffs(node.name));
    flag("--cgroup", request.cgroup);
    flag("--cni-socket", paths_.node_cni_socket(node.name));
    flag("--cni-conf-dir", paths_.node_cni_conf(node.name));
    if (!config_.full_maps) request.argv.push_back("--small-maps");
    if (config_.has_v4()) flag("--service-cidr", kServiceNetV4);
    if (config_.has_v6()) flag("--service-cidr", kServiceNetV6);
    flag("--uplink", "eth0");
    if (config_.uplink_queue) request.argv.push_back("--uplink-queue");
    if (config_.reset_removed) request.argv.push_back("--reset-removed-endpoints");
    flag("--routing", config_.vxlan ? "vxlan" : "native");
    flag("--lb-mode", config_.dsr ? "dsr" : "snat");
    for (const auto& resolver : resolver_addresses(config_)) flag("--upstream-dns", resolver.str());
    flag("--resolv-conf", "");  // pods of a lab inherit nothing of the machine's
    TRY_VOID(children_.start("agent-" + node.name, request));
  }
  return children_.start("lab-nodes", own_process("lab-nodes"));
}

void Supervisor::reap() {
  signalfd_siginfo info;
  while (::read(signals_.get(), &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) stop_ = true;
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    children_.ended(pid, status, Clock::now());
  }
}

void Supervisor::serve() {
  std::map<int, std::pair<Fd, std::string>> clients;  // descriptor -> question so far
  while (!stop_) {
    std::vector<pollfd> waits = {
        {signals_.get(), POLLIN, 0}, {control_.get(), POLLIN, 0}, {tether_ ? tether_.get() : -1, POLLIN, 0}};
    for (auto& [fd, client] : clients) waits.push_back({fd, POLLIN, 0});
    int timeout = -1;
    if (auto next = children_.next_start(); next != Clock::time_point::max())
      timeout =
          std::max(0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()).count()));
    if (::poll(waits.data(), waits.size(), timeout) < 0 && errno != EINTR) break;
    reap();
    children_.start_due(Clock::now());
    if (waits[2].revents) {
      char word[16];
      ssize_t n = ::recv(tether_.get(), word, sizeof word, 0);
      if (n > 0) keep_ = true;
      if (n <= 0 && !keep_) stop_ = true;
      tether_.reset();
    }
    if (waits[1].revents) {
      Fd client(::accept4(control_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (client && clients.size() < 64) {
        int number = client.get();
        clients.emplace(number, std::pair(std::move(client), std::string()));
      }
    }
    for (size_t i = 3; i < waits.size(); ++i) {
      if (!waits[i].revents) continue;
      auto& [fd, question] = clients[waits[i].fd];
      char buffer[1024];
      ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
      if (n > 0) question.append(buffer, static_cast<size_t>(n));
      if (question.ends_with('\n')) {
        std::string text = answer_to(question) + "\n";
        (void)::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
        question.clear();
      }
      if (n <= 0 || question.size() > 4096) clients.erase(waits[i].fd);
    }
  }
}

std::string Supervisor::answer_to(const std::string& question) {
  std::error_code error;
  json::value parsed = json::parse(question, error);
  const json::value* verb = parsed.is_object() ? parsed.as_object().if_contains("verb") : nullptr;
  if (error || !verb || !verb->is_string() || verb->as_string() != "status")
    return R"({"error":"the only verb is \"status\""})";
  json::array children;
  for (const auto& child : children_.list())
    children.push_back(json::object{
        {"name", child.name}, {"pid", child.pid}, {"restarts", child.restarts}, {"last_end", child.last_end}});
  return json::serialize(json::object{{"kept", keep_}, {"children", children}});
}

void Supervisor::tell_up(const json::object& message) {
  std::string line = json::serialize(message) + "\n";
  if (tether_) (void)::send(tether_.get(), line.data(), line.size(), MSG_NOSIGNAL);
}

void Supervisor::tear_down() {
  ::kill(-1, SIGKILL);
  while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {
  }
  ::umount2(paths_.state_mount().c_str(), MNT_DETACH);
  // Out of the folder that is to go. Where a process must stay in some non-root cgroup, `lab down` removes it later.
  if (enter_cgroup(config_.cgroup_mount)) (void)remove_cgroup_tree(lab_cgroup(config_.cgroup_mount, config_.name));
  ::rmdir((config_.cgroup_mount + "/carrick").c_str());
  if (auto removed = remove_tree(paths_.run()); !removed) log::error("{}", removed.error().message);
}

}  // namespace

Result<void> run_supervisor(const LabConfig& config) {
  Supervisor supervisor(config);
  if (auto done = supervisor.set_up(); !done) {
    log::error("{}", done.error().message);
    supervisor.tell_up({{"error", done.error().message}, {"kind", static_cast<int>(done.error().kind)}});
    supervisor.tear_down();
    return done;
  }
  supervisor.tell_up({{"ready", true}});
  supervisor.serve();
  supervisor.tear_down();
  return {};
}

}  // namespace carrick::lab
