#include "agent_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace carrick::cni {
namespace {

constexpr int64_t kRetryMs = 20;
constexpr size_t kMaxAnswer = 4u << 20;

struct Socket {
  int fd;
  ~Socket() {
    if (fd >= 0) close(fd);
  }
};

bool wait_for(int fd, short events, int64_t deadline) {
  for (;;) {
    int64_t left = deadline - now_ms();
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    int ready = left > 0 ? poll(&entry, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

// 0, or errno. A full backlog (EAGAIN) is retried like an absent agent.
int connect_once(int fd, const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) return ENAMETOOLONG;
  std::memcpy(address.sun_path, path.data(), path.size());
  return connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

int connect_until(int fd, const std::string& path, int64_t deadline, bool retry) {
  for (;;) {
    int error = connect_once(fd, path);
    bool passing = error == EAGAIN || (retry && (error == ENOENT || error == ECONNREFUSED));
    if (!passing || now_ms() + kRetryMs >= deadline) return error;
    timespec pause{.tv_sec = 0, .tv_nsec = kRetryMs * 1'000'000};
    nanosleep(&pause, nullptr);
  }
}

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

// FNV-1a: a container id may be longer than a file name.
std::string hash_text(const std::string& key) {
  uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : key) hash = (hash ^ c) * 0x100000001b3;
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    ssize_t size = write(fd, text.data() + done, text.size() - done);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    done += static_cast<size_t>(size);
  }
  return true;
}

}  // namespace

int64_t now_ms() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

std::expected<std::string, AgentFailure> ask_agent(const std::string& socket_path, std::string request,
                                                   int64_t deadline, bool retry) {
  auto failure = [&](bool reached, const std::string& reason) {
    return std::unexpected(AgentFailure{reached, "carrick agent at " + socket_path + ": " + reason});
  };
  Socket socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (socket.fd < 0) return failure(false, std::strerror(errno));
  if (int error = connect_until(socket.fd, socket_path, deadline, retry)) return failure(false, std::strerror(error));
  request += '\n';
  for (size_t done = 0; done < request.size();) {
    ssize_t size = send(socket.fd, request.data() + done, request.size() - done, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) return failure(true, std::strerror(errno));
    if (size < 0 && !wait_for(socket.fd, POLLOUT, deadline))
      return failure(true, "it does not take the request in time");
    if (size > 0) done += static_cast<size_t>(size);
  }
  std::string answer;
  char buffer[16384];
  for (;;) {
    ssize_t size = recv(socket.fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno != EAGAIN) return failure(true, std::strerror(errno));
    if (size < 0 && !wait_for(socket.fd, POLLIN, deadline)) return failure(true, "no answer in time");
    if (size == 0) return failure(true, "it ended before it answered");
    if (size < 0) continue;
    answer.append(buffer, static_cast<size_t>(size));
    if (answer.back() == '\n') return answer.substr(0, answer.size() - 1);
    if (answer.size() > kMaxAnswer) return failure(true, "its answer is too long");
  }
}

std::string spool_request(const std::string& socket_path, const std::string& key, const std::string& request) {
  std::string folder = folder_of(socket_path) + "/cni-spool";
  if (mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return {};
  std::string path = folder + "/" + hash_text(key) + ".json", temporary = path + ".XXXXXX";
  int fd = mkostemp(temporary.data(), O_CLOEXEC);
  if (fd < 0) return {};
  bool written = write_all(fd, request + "\n");
  close(fd);
  if (written && std::rename(temporary.c_str(), path.c_str()) == 0) return path;
  unlink(temporary.c_str());
  return {};
}

}  // namespace carrick::cni
