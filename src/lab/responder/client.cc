#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/json.hpp>

#include <cerrno>
#include <cstring>

#include "lab/responder/responder.h"

namespace carrick::lab {

namespace json = boost::json;

Result<ResponderClient> ResponderClient::connect(const std::string& control_path) {
  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "socket");
  sockaddr_un address{.sun_family = AF_UNIX};
  if (control_path.size() >= sizeof address.sun_path) return fail(ErrorKind::kInvalid, "{}: path too long", control_path);
  std::memcpy(address.sun_path, control_path.data(), control_path.size());
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail(ErrorKind::kTransient, "responder {}: {}", control_path, std::strerror(errno));
  timeval limit{.tv_sec = 5};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return ResponderClient(std::move(socket));
}

Result<std::string> ResponderClient::exchange(std::string line) {
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    ssize_t n = ::send(socket_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (n < 0) return fail(ErrorKind::kTransient, "responder: {}", std::strerror(errno));
    rest.remove_prefix(static_cast<size_t>(n));
  }
  std::string answer;
  while (!answer.ends_with('\n')) {
    char buffer[4096];
    ssize_t n = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return fail(ErrorKind::kTransient, "responder: {}", n == 0 ? "closed" : std::strerror(errno));
    answer.append(buffer, static_cast<size_t>(n));
  }
  return answer;
}

Result<std::vector<std::string>> ResponderClient::set(const PodListeners& pod) {
  json::array listeners;
  for (const Listener& listener : pod.listeners)
    listeners.push_back(json::object{{"port", listener.port}, {"protocol", static_cast<int>(listener.protocol)}});
  std::string answer = TRY(exchange(json::serialize(json::object{
      {"set", pod.key}, {"namespace", pod.namespace_}, {"pod", pod.pod}, {"node", pod.node}, {"netns", pod.netns}, {"listeners", listeners}})));
  std::vector<std::string> errors;
  for (const json::value& sentence : json::parse(answer).at("errors").as_array()) errors.emplace_back(sentence.as_string());
  return errors;
}

Result<void> ResponderClient::remove(const std::string& key) {
  TRY(exchange(json::serialize(json::object{{"remove", key}})));
  return {};
}

}  // namespace carrick::lab
