#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/json.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>

#include "base/text.h"
#include "lab/programs/agnhost.h"
#include "lab/programs/flags.h"
#include "lab/programs/http.h"
#include "lab/programs/sctp.h"
#include "net/raw_address.h"

// agnhost netexec: an HTTP and a UDP server that tell who they are, and ask others.
namespace carrick::lab {
namespace {

namespace json = boost::json;

constexpr size_t kMaxOutput = 1u << 20;
constexpr int kDialSeconds = 5, kMostTries = 100;
std::atomic<bool> leaving{false};

std::string text_of(const HttpAsked& asked, const char* name, const char* otherwise = "") {
  const auto found = asked.query.find(name);
  return found == asked.query.end() || found->second.empty() ? otherwise : found->second;
}

HttpGiven give_json(const json::object& object, int status = 200) {
  return {.status = status, .body = json::serialize(object)};
}

HttpGiven run_shell(const std::string& command) {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return give_json({{"error", std::strerror(errno)}});
  Fd from(fds[0]), to(fds[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, to.get(), 2);
  const char* argv[] = {"sh", "-c", command.c_str(), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, "/bin/sh", &actions, nullptr, const_cast<char**>(argv), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  to.reset();
  if (failed != 0) return give_json({{"error", std::strerror(failed)}});
  std::string output;
  char piece[4096];
  for (ssize_t size; (size = ::read(from.get(), piece, sizeof piece)) > 0 && output.size() < kMaxOutput;)
    output.append(piece, static_cast<size_t>(size));
  int status = 0;
  ::waitpid(pid, &status, 0);
  json::object out;  // sorted, as Go writes it
  if (WIFSIGNALED(status)) out["error"] = fmt::format("signal: {}", ::strsignal(WTERMSIG(status)));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) out["error"] = fmt::format("exit status {}", WEXITSTATUS(status));
  if (!output.empty()) out["output"] = output;
  return give_json(out);
}

Result<std::string> ask_udp(const std::string& host, uint16_t port, const std::string& said) {
  const bool v6 = host.find(':') != std::string::npos;
  Fd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto address = net::IpAddress::parse(host);
  if (!fd || !address) return fail(ErrorKind::kInvalid, "dial udp: lookup {}: no such host", host);
  const net::RawAddress to({*address, port});
  if (::connect(fd.get(), to.get(), to.size()) != 0 || ::send(fd.get(), said.data(), said.size(), 0) < 0)
    return fail_errno(errno, "dial udp");
  pollfd wait{fd.get(), POLLIN, 0};
  char answer[2048];
  if (::poll(&wait, 1, kDialSeconds * 1000) <= 0)
    return fail(ErrorKind::kTransient, "reading from udp connection failed. err:'i/o timeout'");
  const ssize_t size = ::recv(fd.get(), answer, sizeof answer, 0);
  if (size < 0) return fail_errno(errno, "reading from udp connection failed");
  return std::string(answer, static_cast<size_t>(size));
}

HttpGiven dial(const HttpAsked& asked) {
  const std::string host = text_of(asked, "host"), port_text = text_of(asked, "port"),
                    request = text_of(asked, "request"), protocol = text_of(asked, "protocol", "http");
  const int port = std::atoi(port_text.c_str()), tries = std::atoi(text_of(asked, "tries", "1").c_str());
  const auto refuse = [](const std::string& why) { return HttpGiven{.status = 400, .body = why + "\n"}; };
  if (request.empty()) return refuse("request parameter not specified. <nil>");
  if (protocol != "http" && protocol != "udp") return refuse("unsupported protocol. " + protocol);
  if (host.empty() || port <= 0 || port > 65535) return refuse("host and/or port param are invalid. no such port");
  json::array responses, errors;
  for (int i = 0; i < std::min(tries, kMostTries); ++i) {
    auto answer = protocol == "http" ? http_get(host, static_cast<uint16_t>(port), "/" + request, kDialSeconds)
                                     : ask_udp(host, static_cast<uint16_t>(port), request);
    if (answer)
      responses.emplace_back(json::string(trim(*answer)));
    else
      errors.emplace_back(answer.error().message);
  }
  json::object out;  // sorted, as Go writes it
  if (!errors.empty()) out["errors"] = errors;
  if (!responses.empty()) out["responses"] = responses;
  return give_json(out);
}

[[noreturn]] void leave(const HttpAsked& asked) {
  const auto wait = parse_go_duration(text_of(asked, "wait", "0")).value_or(std::chrono::milliseconds(0));
  std::this_thread::sleep_for(wait);
  std::_Exit(std::atoi(text_of(asked, "code", "0").c_str()));
}

HttpGiven redirect(const HttpAsked& asked) {
  const std::string location = text_of(asked, "location");
  return {.status = std::atoi(text_of(asked, "code", "302").c_str()),
          .body = fmt::format("<a href=\"{}\">Redirect</a>.\n\n", location),
          .content_type = "text/html; charset=utf-8",
          .headers = {{"Location", location}}};
}

HttpGiven give_headers(const HttpAsked& asked) {
  const std::string key = text_of(asked, "key");
  if (!key.empty()) return {.body = asked.header(lower(key))};
  std::map<std::string, json::array> sorted;
  for (const auto& [name, value] : asked.headers)
    if (const std::string as_go = canonical_header(name); as_go != "Host") sorted[as_go].emplace_back(value);
  json::object out;
  for (const auto& [name, values] : sorted) out[name] = values;
  return give_json(out);
}

HttpGiven answer_http(const HttpAsked& asked, int http_port) {
  const std::string& path = asked.path;
  if (path == "/hostname" || path == "/hostName") return {.body = own_hostname()};
  if (path == "/clientip") return {.body = asked.client};
  if (path == "/echo")
    return {.status = std::atoi(text_of(asked, "code", "200").c_str()), .body = text_of(asked, "msg")};
  if (path == "/healthz") return {};
  if (path == "/readyz") return leaving ? HttpGiven{.status = 503, .body = "shutting down"} : HttpGiven{.body = "ok"};
  if (path == "/serverport") return {.body = std::to_string(http_port)};
  if (path == "/header") return give_headers(asked);
  if (path == "/shell") return run_shell(text_of(asked, "shellCommand", text_of(asked, "cmd").c_str()));
  if (path == "/dial") return dial(asked);
  if (path == "/redirect") return redirect(asked);
  if (path == "/exit") leave(asked);
  if (path == "/shutdown") std::_Exit(0);
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char text[64];
  std::strftime(text, sizeof text, "NOW: %Y-%m-%d %H:%M:%S +0000 UTC", &utc);
  return {.body = text};
}

std::string answer_udp(const std::string& said, const std::string& from, uint16_t port) {
  const std::string word = lower(trim(said));
  if (word.starts_with("echo ")) return word.substr(5);
  if (word == "hostname") return own_hostname();
  if (word == "clientip") return from;
  if (word == "serverport") return std::to_string(port);
  return "";
}

// SIGTERM ends it after --delay-shutdown; until then only /readyz tells.
void watch_signals(int delay_seconds) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::thread([ends, delay_seconds] {
    int signal = 0;
    ::sigwait(&ends, &signal);
    leaving = true;
    std::this_thread::sleep_for(std::chrono::seconds(delay_seconds));
    std::_Exit(0);
  }).detach();
}

}  // namespace

int run_netexec(const std::vector<std::string>& words) {
  auto flags = Flags::parse(words, 2,
                            {{"delay-shutdown", "0"},
                             {"http-port", "8080"},
                             {"udp-port", "8081"},
                             {"sctp-port", "-1"},
                             {"udp-listen-addresses", ""}});
  const auto give_up = [](const Error& error) {
    std::fprintf(stderr, "Error: %s\n", error.message.c_str());
    return 1;
  };
  if (!flags) return give_up(flags.error());
  watch_signals(flags->number("delay-shutdown"));
  if (const int udp = flags->number("udp-port"); udp > 0) {
    const auto port = static_cast<uint16_t>(udp);
    for (const std::string_view address : split(flags->text("udp-listen-addresses"), ',')) {
      auto bound = bind_udp(port, std::string(address));
      if (!bound) return give_up(bound.error());
      std::thread([fd = std::make_shared<Fd>(std::move(*bound)), port] {
        serve_udp(std::move(*fd),
                  [port](const std::string& said, const std::string& from) { return answer_udp(said, from, port); });
      }).detach();
    }
  }
  if (const int sctp = flags->number("sctp-port"); sctp > 0)
    std::thread([port = static_cast<uint16_t>(sctp)] {
      if (auto served = serve_sctp({port}); !served) std::fprintf(stderr, "%s\n", served.error().message.c_str());
    }).detach();
  const int http_port = flags->number("http-port");
  auto listening = listen_tcp(static_cast<uint16_t>(http_port));
  if (!listening) return give_up(listening.error());
  serve_http(std::move(*listening), [http_port](const HttpAsked& asked) { return answer_http(asked, http_port); });
  return 0;
}

}  // namespace carrick::lab
