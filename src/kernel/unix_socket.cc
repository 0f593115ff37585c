#include "kernel/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace carrick::kernel {
namespace {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) return fail(ErrorKind::kInvalid, "{}: path too long for a socket", path);
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

}  // namespace

Result<Fd> listen_unix(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  ::unlink(path.c_str());
  mode_t old_mask = ::umask(0177);
  int bound = ::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  int error = errno;
  ::umask(old_mask);
  if (bound != 0) return fail_errno(error, path);
  if (::listen(socket.get(), 16) != 0) return fail_errno(errno, path);
  return socket;
}

Result<Fd> connect_unix(const std::string& path, int timeout_ms) {
  sockaddr_un address = TRY(unix_address(path));
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  timeval limit{.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail(ErrorKind::kTransient, "{}: {}", path, std::strerror(errno));
  return socket;
}

Result<std::string> exchange_line(int socket, std::string_view line) {
  std::string question(line);
  question += '\n';
  for (std::string_view rest = question; !rest.empty();) {
    ssize_t n = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorKind::kTransient, "{}", std::strerror(errno));
    rest.remove_prefix(static_cast<size_t>(n));
  }
  std::string answer;
  while (!answer.ends_with('\n')) {
    char buffer[16384];
    ssize_t n = ::recv(socket, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(ErrorKind::kTransient, "{}", std::strerror(errno));
    if (n == 0) return fail(ErrorKind::kTransient, "closed without an answer");
    answer.append(buffer, static_cast<size_t>(n));
  }
  answer.pop_back();
  return answer;
}

Result<std::string> ask_line(const std::string& path, std::string_view line, int timeout_ms) {
  Fd socket = TRY(connect_unix(path, timeout_ms));
  auto answer = exchange_line(socket.get(), line);
  if (!answer) return with_context(answer.error(), "{}", path);
  return answer;
}

}  // namespace carrick::kernel
