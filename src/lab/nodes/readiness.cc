#include "lab/nodes/readiness.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <memory>

#include "kernel/netns.h"

namespace carrick::lab {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

Result<int> port_number(const k8s::IntOrString& port, const k8s::Container& container) {
  if (auto* number = std::get_if<int32_t>(&port)) return *number;
  const std::string& name = std::get<std::string>(port);
  for (const k8s::ContainerPort& declared : container.ports)
    if (declared.name == name) return declared.containerPort;
  return fail(ErrorKind::kInvalid, "probe port \"{}\": container {} has no port of that name", name, container.name);
}

struct Attempt : std::enable_shared_from_this<Attempt> {
  Attempt(asio::io_context& io, ProbeTarget target_) : socket(io), timer(io), target(std::move(target_)) {}

  void start(asio::ip::tcp::endpoint to) {
    timer.expires_after(std::chrono::seconds(target.timeout_seconds));
    timer.async_wait([self = shared_from_this()](error_code error) {
      if (!error) self->finish("no answer within its time");
    });
    socket.async_connect(to, [self = shared_from_this()](error_code error) {
      if (error) return self->finish(error.message());
      if (!self->target.http) return self->finish("");
      self->ask();
    });
  }
  void ask() {
    request = fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: carrick-lab-probe\r\nConnection: close\r\n\r\n",
                          target.path, target.host_header);
    asio::async_write(socket, asio::buffer(request), [self = shared_from_this()](error_code error, size_t) {
      if (error) return self->finish(error.message());
      asio::async_read_until(self->socket, self->answer, '\n', [self](error_code read_error, size_t) {
        if (read_error) return self->finish(read_error.message());
        std::istream lines(&self->answer);
        std::string version;
        int status = 0;
        lines >> version >> status;
        self->finish(status >= 200 && status < 400 ? "" : fmt::format("HTTP status {}", status));
      });
    });
  }
  void finish(std::string sentence) {
    if (!done) return;
    auto callback = std::exchange(done, nullptr);
    error_code ignored;
    timer.cancel();
    socket.close(ignored);
    callback(sentence.empty() ? "" : fmt::format("port {}: {}", target.port, sentence));
  }

  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  asio::streambuf answer{8192};
  ProbeTarget target;
  std::string request;
  std::function<void(std::string)> done;
};

}  // namespace

Result<std::optional<ProbeTarget>> probe_target(const k8s::Probe& probe, const k8s::Container& container,
                                                const std::string& pod_address) {
  ProbeTarget target{.address = pod_address, .timeout_seconds = std::max(1, probe.timeoutSeconds)};
  if (probe.httpGet) {
    target.port = static_cast<uint16_t>(TRY(port_number(probe.httpGet->port, container)));
    // The responder speaks no TLS: for HTTPS the handshake of TCP has to do.
    target.http = probe.httpGet->scheme != "HTTPS";
    target.path = probe.httpGet->path.empty() ? "/" : probe.httpGet->path;
    if (!probe.httpGet->host.empty()) target.address = probe.httpGet->host;
    target.host_header = target.address;
  } else if (probe.tcpSocket) {
    target.port = static_cast<uint16_t>(TRY(port_number(probe.tcpSocket->port, container)));
    if (!probe.tcpSocket->host.empty()) target.address = probe.tcpSocket->host;
  } else if (probe.grpc) {
    target.port = static_cast<uint16_t>(probe.grpc->port);
  } else {
    return std::optional<ProbeTarget>();
  }
  return std::optional(std::move(target));
}

void run_probe(asio::io_context& io, int node_netns, const ProbeTarget& target, std::function<void(std::string)> done) {
  auto give_up = [&](std::string sentence) { asio::post(io, [done, sentence] { done(sentence); }); };
  error_code error;
  auto address = asio::ip::make_address(target.address, error);
  if (error) return give_up(fmt::format("\"{}\" is no address", target.address));
  asio::ip::tcp::endpoint to(address, target.port);
  Fd fd;
  {
    auto inside = kernel::NetnsScope::enter(node_netns);
    if (!inside) return give_up(inside.error().message);
    fd = Fd(::socket(address.is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  }
  if (!fd) return give_up(std::string("socket: ") + std::strerror(errno));
  auto attempt = std::make_shared<Attempt>(io, target);
  attempt->socket.assign(to.protocol(), fd.release(), error);
  if (error) return give_up(error.message());
  attempt->done = std::move(done);
  attempt->start(to);
}

}  // namespace carrick::lab
