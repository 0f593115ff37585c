#include "lab/server/node_door.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>
#include <cerrno>

namespace carrick::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using apiserver::NodeStreams;
using apiserver::Status;
using apiserver::StatusOr;
using Local = asio::local::stream_protocol;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr auto kLimit = std::chrono::seconds(30);  // a node starts a program or dials within it
constexpr size_t kMaxLine = 64 * 1024;

std::unexpected<Status> unreachable(const std::string& node, std::string_view why) {
  return std::unexpected(
      Status{.code = 500, .reason = "InternalError", .message = fmt::format("node {} does not answer: {}", node, why)});
}

// One message of the socket: its bytes, and the descriptors that came with it.
struct Received {
  std::string bytes;
  std::vector<Fd> fds;
  int error = 0;
};
Received receive(int socket) {
  Received out;
  char bytes[4096];
  alignas(cmsghdr) char space[CMSG_SPACE(8 * sizeof(int))];
  iovec part{bytes, sizeof bytes};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = space;
  message.msg_controllen = sizeof space;
  const ssize_t size = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) out.error = errno;
  if (size <= 0) return out;
  out.bytes.assign(bytes, static_cast<size_t>(size));
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) out.fds.emplace_back(reinterpret_cast<int*>(CMSG_DATA(header))[i]);
  }
  return out;
}

StatusOr<NodeStreams> streams_of(const std::string& node, std::string_view line, std::vector<Fd> fds) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  const json::object* answer = error ? nullptr : value.if_object();
  if (!answer) return unreachable(node, "its answer is no JSON object");
  if (const json::value* failure = answer->if_contains("failure"); failure && failure->is_object()) {
    const auto text = [&](std::string_view name) {
      const json::value* member = failure->get_object().if_contains(name);
      return member && member->is_string() ? std::string(member->get_string()) : std::string{};
    };
    const json::value* code = failure->get_object().if_contains("code");
    return std::unexpected(Status{.code = code && code->is_int64() ? static_cast<int>(code->get_int64()) : 500,
                                  .reason = text("reason"),
                                  .message = text("message")});
  }
  NodeStreams streams;
  const json::value* names = answer->if_contains("streams");
  if (!names || !names->is_array() || names->get_array().size() != fds.size())
    return unreachable(node, "its answer has other streams than descriptors");
  for (size_t i = 0; i < fds.size(); ++i) {
    const json::value& name = names->get_array()[i];
    Fd& fd = name == "in" ? streams.in : name == "out" ? streams.out : streams.err;
    fd = std::move(fds[i]);
  }
  return streams;
}

asio::awaitable<StatusOr<NodeStreams>> ask(std::string path, std::string node, std::string line) {
  Local::socket socket(co_await asio::this_coro::executor);
  asio::steady_timer limit(socket.get_executor(), kLimit);
  limit.async_wait([&socket](const boost::system::error_code& aborted) {
    boost::system::error_code ignored;
    if (!aborted) socket.close(ignored);
  });
  if (const auto [error] = co_await socket.async_connect(Local::endpoint(path), kTuple); error)
    co_return unreachable(node, error.message());
  if (const auto [error, size] = co_await asio::async_write(socket, asio::buffer(line), kTuple); error)
    co_return unreachable(node, error.message());
  std::string answer;
  std::vector<Fd> fds;
  while (answer.find('\n') == std::string::npos && answer.size() < kMaxLine) {
    const auto [error] = co_await socket.async_wait(Local::socket::wait_read, kTuple);
    if (error) co_return unreachable(node, error.message());
    Received received = receive(socket.native_handle());
    if (received.error == EAGAIN) continue;
    if (received.bytes.empty()) co_return unreachable(node, "it closed without an answer");
    answer += received.bytes;
    for (Fd& fd : received.fds) fds.push_back(std::move(fd));
  }
  limit.cancel();
  auto streams = streams_of(node, std::string_view(answer).substr(0, answer.find('\n')), std::move(fds));
  if (streams) {
    // The line of the end may be there already: it was not read, for a message with descriptors is never joined with
    // the next (unix(7)).
    boost::system::error_code ignored;
    streams->control = Fd(socket.release(ignored));
  }
  co_return streams;
}

}  // namespace

void LabNodeDoor::call(const apiserver::NodeCall& call,
                       std::function<void(apiserver::StatusOr<apiserver::NodeStreams>)> done) {
  asio::co_spawn(io_, ask(paths_.node_streams_socket(call.node), call.node, apiserver::encode_node_call(call) + "\n"),
                 [done = std::move(done), node = call.node](std::exception_ptr broken, StatusOr<NodeStreams> streams) {
                   if (broken) return done(unreachable(node, "an exception"));
                   done(std::move(streams));
                 });
}

}  // namespace carrick::lab
