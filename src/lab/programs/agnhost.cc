#include "lab/programs/agnhost.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <thread>

#include "base/file.h"
#include "base/text.h"
#include "lab/programs/flags.h"
#include "lab/programs/http.h"
#include "lab/programs/programs.h"
#include "lab/programs/sctp.h"

// The commands of agnhost, the image of Kubernetes' own tests, that a network's tests use.
namespace carrick::lab {
namespace {

constexpr auto kForEver = std::chrono::hours(24);

int say(std::string_view sentence) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(sentence.size()), sentence.data());
  return 1;
}

struct Destination {
  std::string host;
  uint16_t port = 0;
};

Result<Destination> split_destination(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || (text.find(':') != colon && !text.starts_with('[')))
    return fail(ErrorKind::kInvalid, "address {}: {}", text,
                colon == std::string::npos ? "missing port in address" : "too many colons in address");
  Destination out{.host = text.substr(0, colon)};
  if (out.host.starts_with('[') && out.host.ends_with(']')) out.host = out.host.substr(1, out.host.size() - 2);
  const auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), out.port);
  if (error != std::errc() || end != text.data() + text.size())
    return fail(ErrorKind::kInvalid, "address {}: invalid port", text);
  return out;
}

struct Found {
  sockaddr_storage address{};
  socklen_t length = 0;
};
Result<Found> look_up(const Destination& to, int type) {
  addrinfo hints{};
  hints.ai_socktype = type;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &list);
  if (error != 0)
    return fail(ErrorKind::kNotFound, "lookup {}: {}", to.host,
                error == EAI_NONAME ? "no such host" : ::gai_strerror(error));
  Found out;
  std::memcpy(&out.address, list->ai_addr, list->ai_addrlen);
  out.length = list->ai_addrlen;
  ::freeaddrinfo(list);
  return out;
}

// 0 or an errno; ETIMEDOUT when the time is over.
int wait_for(const Fd& fd, short what, std::chrono::milliseconds limit) {
  pollfd wait{fd.get(), what, 0};
  if (::poll(&wait, 1, static_cast<int>(limit.count())) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

int tell(int error, const std::string& more = "") {
  if (error == ETIMEDOUT || error == EAGAIN) return say("TIMEOUT" + more);
  if (error == ECONNREFUSED) return say("REFUSED" + more);
  return say(fmt::format("OTHER: {}", std::strerror(error)));
}

int connect_stream(const Found& to, std::chrono::milliseconds limit) {
  const Fd fd(::socket(to.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return tell(errno);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) == 0) return 0;
  if (errno != EINPROGRESS) return tell(errno);
  const int error = wait_for(fd, POLLOUT, limit);
  return error == 0 ? 0 : tell(error);
}

int ask_datagram(const Found& to, const std::string& word, std::chrono::milliseconds limit) {
  const std::string data = word + "\n";
  const Fd fd(::socket(to.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to.address), to.length) != 0 ||
      ::send(fd.get(), data.data(), data.size(), 0) < 0)
    return tell(errno);
  const int error = wait_for(fd, POLLIN, limit);
  return error == 0
             ? 0
             : tell(error, fmt::format(": read udp: {}", error == ETIMEDOUT ? "i/o timeout" : std::strerror(error)));
}

int make_association(const Found& to, uint16_t port, std::chrono::milliseconds limit) {
  std::string text = address_text(&to.address);
  text = text.substr(0, text.rfind(':'));
  if (text.starts_with('[')) text = text.substr(1, text.size() - 2);
  const auto address = net::IpAddress::parse(text);
  if (!address) return say("OTHER: no address");
  const auto made = connect_sctp(*address, port, limit);
  if (made) return 0;
  if (made.error().kind == ErrorKind::kTransient) return say("TIMEOUT");
  if (made.error().kind == ErrorKind::kConflict) return say("REFUSED");
  return say("OTHER: " + made.error().message);
}

int run_connect(const std::vector<std::string>& words) {
  auto flags = Flags::parse(
      words, 2, {{"timeout", "0"}, {"protocol", "tcp"}, {"udp-data", "hostname"}, {"sctp-data", "hostname"}});
  if (!flags) return say("Error: " + flags.error().message);
  if (flags->rest().size() != 1) return say(fmt::format("Error: accepts 1 arg(s), received {}", flags->rest().size()));
  const std::string& protocol = flags->text("protocol");
  if (protocol != "tcp" && protocol != "udp" && protocol != "sctp" && !protocol.empty())
    return std::fprintf(stderr, "Unsupported protocol\n%s", protocol.c_str()) < 0 ? 2 : 1;
  const auto to = split_destination(flags->rest().front());
  if (!to) return say("UNKNOWN: " + to.error().message);
  const auto found = look_up(*to, protocol == "udp" ? SOCK_DGRAM : SOCK_STREAM);
  if (!found) return say("DNS: " + found.error().message);
  auto limit = flags->duration("timeout");
  if (limit.count() <= 0) limit = kForEver;
  if (protocol == "udp") return ask_datagram(*found, flags->text("udp-data"), limit);
  if (protocol == "sctp") return make_association(*found, to->port, limit);
  return connect_stream(*found, limit);
}

int run_serve_hostname(const std::vector<std::string>& words) {
  auto flags = Flags::parse(
      words, 2, {{"tcp", "false"}, {"udp", "false"}, {"http", "true"}, {"close", "false"}, {"port", "9376"}});
  if (!flags) return say("Error: " + flags.error().message);
  if (flags->is("http") && (flags->is("tcp") || flags->is("udp")))
    return say("Can't server TCP/UDP mode and HTTP mode at the same time");  // its words
  const auto port = static_cast<uint16_t>(flags->number("port"));
  const std::string name = own_hostname();
  std::vector<std::thread> servers;
  if (flags->is("udp")) {
    auto fd = bind_udp(port);
    if (!fd) return say(fd.error().message);
    servers.emplace_back([bound = std::make_shared<Fd>(std::move(*fd)), name] {
      serve_udp(std::move(*bound), [&](const std::string&, const std::string&) { return name; });
    });
  }
  if (flags->is("tcp") || flags->is("http")) {
    auto fd = listen_tcp(port);
    if (!fd) return say(fd.error().message);
    if (flags->is("tcp"))
      serve_tcp(std::move(*fd), [&](const Fd& client, const std::string&) {
        (void)::send(client.get(), name.data(), name.size(), MSG_NOSIGNAL);
      });
    serve_http(std::move(*fd), [&](const HttpAsked&) { return HttpGiven{.body = name}; });
  }
  for (std::thread& server : servers) server.join();
  return say("Error: nothing to serve");
}

// SERVE_PORT_80=text, SERVE_SCTP_PORT_80=text.
int run_porter(const std::vector<std::string>&) {
  std::vector<uint16_t> associations;
  std::vector<std::thread> servers;
  for (char** variable = environ; *variable; ++variable) {
    const std::string_view text(*variable);
    const size_t equals = text.find('=');
    std::string_view name = text.substr(0, equals);
    const std::string said(text.substr(equals + 1));
    const bool sctp = name.starts_with("SERVE_SCTP_PORT_");
    if (name.starts_with("SERVE_TLS_PORT_")) return say(fmt::format("{}: the built-in porter speaks no TLS", name));
    if (!sctp && !name.starts_with("SERVE_PORT_")) continue;
    name.remove_prefix(std::string_view(sctp ? "SERVE_SCTP_PORT_" : "SERVE_PORT_").size());
    uint16_t port = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), port).ec != std::errc()) continue;
    if (sctp) {
      associations.push_back(port);
      continue;
    }
    auto fd = listen_tcp(port);
    if (!fd) return say(fd.error().message);
    servers.emplace_back([listening = std::make_shared<Fd>(std::move(*fd)), said] {
      serve_http(std::move(*listening), [&](const HttpAsked&) { return HttpGiven{.body = said}; });
    });
  }
  if (!associations.empty())
    if (auto served = serve_sctp(associations); !served) return say(served.error().message);
  for (std::thread& server : servers) server.join();
  return run_pause({});
}

// The words of the last line of resolv.conf that begins so.
std::vector<std::string> resolver_words(std::string_view keyword, bool all_lines) {
  std::vector<std::string> out;
  const std::string text = read_file("/etc/resolv.conf").value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split(trim(line), ' ');
    if (words.front() != keyword) continue;
    if (!all_lines) out.clear();
    for (size_t i = 1; i < words.size(); ++i)
      if (!words[i].empty()) out.emplace_back(words[i]);
  }
  return out;
}

int print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
  return 0;
}

int run_dns_suffix(const std::vector<std::string>&) {
  const auto words = resolver_words("search", false);
  if (words.empty()) return say("panic: Could not find DNS search list!") + 1;
  return print(join(words, ",") + "\n");
}
int run_dns_server_list(const std::vector<std::string>&) {
  return print(join(resolver_words("nameserver", true), ",") + "\n");
}
int run_etc_hosts(const std::vector<std::string>&) { return print(read_file("/etc/hosts").value_or("") + "\n"); }
int run_entrypoint_tester(const std::vector<std::string>& words) { return print("[" + join(words, " ") + "]\n"); }

// It tells by its exit code what ended it, where the image of that name does not.
int run_agnhost_pause(const std::vector<std::string>&) {
  const int signal = wait_for_end();
  print(fmt::format("exiting because of signal \"{}\"\n", signal == SIGINT ? "interrupt" : "terminated"));
  return signal == SIGINT ? 1 : 2;
}

constexpr std::array<std::pair<std::string_view, BuiltIn>, 9> kCommands = {
    {{"connect", run_connect},
     {"dns-server-list", run_dns_server_list},
     {"dns-suffix", run_dns_suffix},
     {"entrypoint-tester", run_entrypoint_tester},
     {"etc-hosts", run_etc_hosts},
     {"netexec", run_netexec},
     {"pause", run_agnhost_pause},
     {"porter", run_porter},
     {"serve-hostname", run_serve_hostname}}};

}  // namespace

std::string own_hostname() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  return name;
}

int run_agnhost(const std::vector<std::string>& words) {
  std::string known;
  for (const auto& [name, run] : kCommands) {
    if (words.size() > 1 && words[1] == name) return run(words);
    known += fmt::format("  {}\n", name);
  }
  if (words.size() < 2 || words[1] == "help" || words[1] == "--help" || words[1] == "-h")
    return print("agnhost as it is built into Carrick's lab. Commands:\n" + known);
  return say(fmt::format("Error: unknown command \"{}\" for \"app\"; the built-in agnhost has\n{}", words[1], known));
}

}  // namespace carrick::lab
