#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "cni/server.h"

namespace carrick::cni {
namespace json = boost::json;

Result<json::value> ask(const std::string& socket_path, const json::object& request, int timeout_ms) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (socket_path.size() >= sizeof address.sun_path)
    return fail(ErrorKind::kInvalid, "socket path {} is too long", socket_path);
  std::memcpy(address.sun_path, socket_path.data(), socket_path.size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    return fail_errno(errno, fmt::format("agent at {}", socket_path));
  std::string line = json::serialize(request) + "\n";
  if (send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size()))
    return fail_errno(errno, fmt::format("agent at {}", socket_path));
  std::string answer;
  char buffer[65536];
  while (answer.empty() || answer.back() != '\n') {
    ssize_t size = recv(fd.get(), buffer, sizeof buffer, 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return fail_errno(errno, fmt::format("agent at {}", socket_path));
    if (size == 0) return fail(ErrorKind::kTransient, "agent at {} ended before it answered", socket_path);
    answer.append(buffer, static_cast<size_t>(size));
  }
  try {
    json::value document = json::parse(answer);
    json::object& object = document.as_object();
    if (json::value* error = object.if_contains("error"))
      return fail(ErrorKind::kInternal, "{}", std::string(error->at("msg").as_string()));
    if (json::value* result = object.if_contains("result")) return std::move(*result);
    return json::value();
  } catch (const std::exception& e) {
    return fail(ErrorKind::kInternal, "agent at {}: its answer is not understood: {}", socket_path, e.what());
  }
}

}  // namespace carrick::cni
