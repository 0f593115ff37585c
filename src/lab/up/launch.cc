#include "lab/up/launch.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <boost/json.hpp>
#include <cerrno>

#include "lab/host/files.h"
#include "lab/host/preflight.h"
#include "lab/host/process.h"
#include "lab/supervisor/supervisor.h"

namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr int kStartLimitSeconds = 60;
constexpr auto kEndLimit = std::chrono::seconds(10);

Result<Fd> listen_on_loopback(int port) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "socket");
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{
      .sin_family = AF_INET, .sin_port = htons(static_cast<uint16_t>(port)), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 1024) != 0) {
    if (errno == EADDRINUSE)
      return fail(ErrorKind::kInvalid,
                  "port {} of 127.0.0.1 is taken: choose another --api-port, or none for any free one", port);
    return fail_errno(errno, fmt::format("127.0.0.1 port {}", port));
  }
  return socket;
}

Result<void> make_name_free(const std::string& name) {
  auto running = find_running_lab(name);
  if (running)
    return fail(
        ErrorKind::kAlreadyExists,
        "lab \"{}\" is up already ({} nodes): `carrick lab down --name {}` ends it, --name gives this one another name",
        name, running->record.config.nodes, name);
  return destroy_lab(name);  // nothing, or what a dead one left
}

// One line, or why there is none.
Result<json::object> first_word(const Fd& tether) {
  timeval limit{.tv_sec = kStartLimitSeconds};
  ::setsockopt(tether.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string line;
  while (!line.ends_with('\n')) {
    char buffer[4096];
    ssize_t n = ::recv(tether.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorKind::kTransient, "the lab does not start within {} s", kStartLimitSeconds);
    if (n == 0) return fail(ErrorKind::kInternal, "the lab's supervisor ended without a word");
    line.append(buffer, static_cast<size_t>(n));
  }
  std::error_code error;
  json::value document = json::parse(line, error);
  if (error || !document.is_object()) return fail(ErrorKind::kInternal, "the lab's supervisor says: {}", line);
  return document.as_object();
}

}  // namespace

Result<LaunchedLab> LaunchedLab::launch(LabConfig config) {
  TRY_VOID(check_machine(config));
  LabLock lock = TRY(LabLock::take(config.name));
  TRY_VOID(make_name_free(config.name));
  Fd api = TRY(listen_on_loopback(config.api_port));
  LabPaths paths{config.name, ""};
  TRY_VOID(make_directories(paths.run() + "/logs", 0700));
  TRY_VOID(write_file_atomically(paths.config(), encode_config(config), 0600));
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return fail_errno(errno, "socketpair");
  Fd ours(pair[0]), theirs(pair[1]);
  Fd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!self || !nothing) return fail_errno(errno, "own program");
  SpawnRequest request{
      .argv = {"carrick", "lab-init", "--lab", config.name},
      .exe_fd = self.get(),
      .fds = {{nothing.get(), 0}, {api.get(), kHostApiSocket}, {theirs.get(), kTether}, {self.get(), kExecutable}},
      .log_file = paths.log("lab-init"),
      .new_namespaces = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET};
  TRY(spawn(request));
  theirs.reset();
  auto word = first_word(ours);
  if (!word) {
    (void)destroy_lab(config.name);
    return std::unexpected(word.error());
  }
  if (auto* error = word->if_contains("error")) {
    auto kind = static_cast<ErrorKind>(word->at("kind").to_number<int>());
    std::string sentence(error->as_string());
    (void)destroy_lab(config.name);
    return std::unexpected(Error{kind, std::move(sentence)});
  }
  RunningLab lab = TRY(find_running_lab(config.name));
  return LaunchedLab(std::move(lab), std::move(lock), std::move(ours));
}

void LaunchedLab::keep() {
  (void)::send(tether_.get(), "keep\n", 5, MSG_NOSIGNAL);
  tether_.reset();
}

LaunchedLab::~LaunchedLab() {
  if (!tether_) return;  // kept, or moved from
  std::string name = lab_.record.config.name;
  tether_.reset();
  wait_for_end(lab_.pidfd, kEndLimit);
  (void)destroy_lab(name);
}

}  // namespace carrick::lab
