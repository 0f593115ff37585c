#include "lab/nodes/pod_streams.h"

#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/json.hpp>

#include "base/log.h"
#include "kernel/unix_socket.h"
#include "lab/nodes/stream_calls.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Local = asio::local::stream_protocol;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr size_t kMaxCall = 256 * 1024;

// The line and its descriptors in one message; false when the caller has gone.
bool send_with_descriptors(int socket, std::string_view line, const std::vector<int>& fds) {
  alignas(cmsghdr) char space[CMSG_SPACE(3 * sizeof(int))] = {};
  iovec part{const_cast<char*>(line.data()), line.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = space;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::copy(fds.begin(), fds.end(), reinterpret_cast<int*>(CMSG_DATA(header)));
  }
  // A line is far smaller than the socket's buffer, which is empty.
  return ::sendmsg(socket, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(line.size());
}

std::string failure_line(const Error& error) {
  const apiserver::Status status = apiserver::from_error(error);
  return json::serialize(json::object{
             {"failure",
              json::object{{"code", status.code}, {"reason", status.reason}, {"message", status.message}}}}) +
         "\n";
}

std::string streams_line(const apiserver::NodeStreams& streams, std::vector<int>& fds) {
  json::array names;
  const std::pair<const char*, const Fd*> all[] = {{"in", &streams.in}, {"out", &streams.out}, {"err", &streams.err}};
  for (const auto& [name, fd] : all) {
    if (!*fd) continue;
    names.emplace_back(name);
    fds.push_back(fd->get());
  }
  return json::serialize(json::object{{"streams", std::move(names)}}) + "\n";
}

}  // namespace

struct PodStreams::State : std::enable_shared_from_this<State> {
  State(asio::io_context& context, const LabConfig& with, Find find_container)
      : io(context), config(with), find(std::move(find_container)) {}

  static asio::awaitable<void> accept(std::shared_ptr<State> self, std::shared_ptr<Local::acceptor> acceptor) {
    while (true) {
      auto [error, socket] = co_await acceptor->async_accept(kTuple);
      if (error == asio::error::operation_aborted || !acceptor->is_open()) co_return;
      if (!error) asio::co_spawn(self->io, serve(self, std::move(socket)), asio::detached);
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<State> self, Local::socket socket) {
    std::string line;
    const auto [error, size] =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(line, kMaxCall), '\n', kTuple);
    if (error) co_return;
    auto call = apiserver::decode_node_call(std::string_view(line).substr(0, size));
    auto container = call ? self->find(*call) : std::unexpected(call.error());
    if (!container) {
      send_with_descriptors(socket.native_handle(), failure_line(container.error()), {});
      co_return;
    }
    switch (call->kind) {
      case apiserver::NodeCall::Kind::kExec:
        co_return co_await self->run_program(*call, *container, std::move(socket));
      case apiserver::NodeCall::Kind::kDial: {
        auto connected = co_await dial_pod(container->sandbox, call->port);
        apiserver::NodeStreams streams;
        if (connected) streams.out = std::move(*connected);
        self->answer(socket, connected ? Result<void>() : std::unexpected(connected.error()), streams);
        co_return;
      }
      case apiserver::NodeCall::Kind::kLog:
      case apiserver::NodeCall::Kind::kAttach:
        co_return co_await self->show_log(*call, *container, std::move(socket));
    }
  }

  bool answer(Local::socket& socket, const Result<void>& done, const apiserver::NodeStreams& streams) {
    std::vector<int> fds;
    const std::string line = done ? streams_line(streams, fds) : failure_line(done.error());
    return send_with_descriptors(socket.native_handle(), line, fds) && done;
  }

  asio::awaitable<void> run_program(const apiserver::NodeCall& call, const RunningContainer& container,
                                    Local::socket socket) {
    apiserver::NodeStreams streams;
    auto program = start_program(io, config, container, call, streams);
    const bool answered = answer(socket, program ? Result<void>() : std::unexpected(program.error()), streams);
    if (!program) co_return;
    streams = {};              // they are the caller's now
    if (!answered) co_return;  // which kills it
    // Whoever comes first: the program's end, or the caller's.
    const auto caller = std::make_shared<Local::socket>(std::move(socket));
    asio::co_spawn(io, watch_caller(caller, *program), asio::detached);
    const int exit_code = co_await (*program)->end();
    const std::string line = json::serialize(json::object{{"exitCode", exit_code}}) + "\n";
    send_with_descriptors(caller->native_handle(), line, {});
    boost::system::error_code ignored;
    caller->close(ignored);
  }

  static asio::awaitable<void> watch_caller(std::shared_ptr<Local::socket> caller, std::shared_ptr<Program> program) {
    char byte;
    co_await caller->async_read_some(asio::buffer(&byte, 1), kTuple);
    program->kill();
  }

  asio::awaitable<void> show_log(const apiserver::NodeCall& call, const RunningContainer& container,
                                 Local::socket socket) {
    auto log = open_log(io, config, container, call);
    apiserver::NodeStreams streams;
    if (log) streams.out = std::move(log->to_caller);
    const bool answered = answer(socket, log ? Result<void>() : std::unexpected(log.error()), streams);
    streams = {};
    if (!answered) co_return;
    const auto caller = std::make_shared<Local::socket>(std::move(socket));
    co_await log->copy();
    if (call.kind == apiserver::NodeCall::Kind::kAttach)
      send_with_descriptors(caller->native_handle(), "{\"exitCode\":0}\n", {});
  }

  asio::io_context& io;
  LabConfig config;
  Find find;
  std::vector<std::shared_ptr<Local::acceptor>> acceptors;
};

PodStreams::PodStreams(asio::io_context& io, const LabConfig& config, Find find)
    : state_(std::make_shared<State>(io, config, std::move(find))) {}

PodStreams::~PodStreams() {
  boost::system::error_code ignored;
  for (const auto& acceptor : state_->acceptors) acceptor->close(ignored);
}

Result<void> PodStreams::listen(const std::string& node) {
  Fd socket = TRY(kernel::listen_unix(LabPaths{state_->config.name, ""}.node_streams_socket(node)));
  auto acceptor = std::make_shared<Local::acceptor>(state_->io);
  boost::system::error_code error;
  acceptor->assign(Local(), socket.get(), error);
  if (error) return fail(ErrorKind::kInternal, "streams of node {}: {}", node, error.message());
  socket.release();
  state_->acceptors.push_back(acceptor);
  asio::co_spawn(state_->io, State::accept(state_, acceptor), asio::detached);
  return {};
}

}  // namespace carrick::lab
