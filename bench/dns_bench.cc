#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "dns/dns.h"
#include "dns/message/message.h"

// dns_bench [SECONDS]: UDP questions to one DNS server that knows 10,000 Services, 64 under way at a time, on loopback.
// Answers per second of the server's own CPU time: what one core can give, whatever else runs.
namespace carrick::bench {
namespace {

constexpr int kServices = 10000, kWindow = 64;

std::shared_ptr<desired::NameTable> make_table() {
  auto table = std::make_shared<desired::NameTable>();
  table->synced = true;
  table->namespaces = {"default"};
  for (uint32_t i = 0; i < kServices; ++i) {
    std::string base = fmt::format("s{}.default.svc", i);
    auto& row = table->names[base];
    row.addresses = {net::IpAddress::v4(0x0a600000u + i)};
    row.services = {{0, 100, 80, base}};
    table->names["_http._tcp." + base].services = row.services;
  }
  return table;
}

std::vector<uint8_t> question(uint32_t i, const char* suffix, uint16_t type) {
  dns::Message message;
  message.id = static_cast<uint16_t>(i);
  message.recursion_desired = true;
  message.question =
      dns::Question{dns::Name::parse(fmt::format("s{}.default.svc{}", i * 7919 % kServices, suffix)).value(), type};
  return dns::encode(message);
}

struct Kind {
  const char *name, *suffix;
  uint16_t type;
};

Result<void> flood(uint16_t port, const Kind& kind, clockid_t server_clock, double seconds) {
  Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) return fail_errno(errno, "connect");
  std::vector<std::vector<uint8_t>> questions;
  for (uint32_t i = 0; i < 4096; ++i) questions.push_back(question(i, kind.suffix, kind.type));
  auto cpu = [&] {
    timespec time{};
    ::clock_gettime(server_clock, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
  };
  uint64_t sent = 0, answered = 0;
  double cpu_before = cpu();
  auto begin = std::chrono::steady_clock::now();
  char buffer[2048];
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds) {
    while (sent - answered < kWindow) {
      const auto& wire = questions[sent++ % questions.size()];
      if (::send(socket.get(), wire.data(), wire.size(), 0) < 0) return fail_errno(errno, "send");
    }
    pollfd entry{socket.get(), POLLIN, 0};
    if (::poll(&entry, 1, 1000) != 1) answered = sent;  // lost: start the window again
    while (::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT) > 0) ++answered;
  }
  std::printf("%-22s %10.0f answers per CPU second\n", kind.name, static_cast<double>(answered) / (cpu() - cpu_before));
  return {};
}

Result<void> bench(double seconds) {
  int ends[2];
  if (::pipe(ends) != 0) return fail_errno(errno, "pipe");
  pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    dns::DnsServer server({.listen = {{net::IpAddress::v4(INADDR_LOOPBACK), 0}}});
    server.inbox().put(make_table());
    uint16_t port = server.start() ? server.listening()[0].port : 0;
    (void)!::write(ends[1], &port, sizeof port);
    ::pause();
    ::_exit(0);
  }
  uint16_t port = 0;
  (void)!::read(ends[0], &port, sizeof port);
  clockid_t clock = 0;
  ::clock_getcpuclockid(child, &clock);
  Result<void> outcome = port ? Result<void>() : fail(ErrorKind::kInternal, "the server does not start");
  for (const Kind& kind :
       {Kind{"A of a Service", ".cluster.local", dns::kA}, Kind{"SRV with addresses", ".cluster.local", dns::kSrv},
        Kind{"NXDOMAIN (search path)", ".default.svc.cluster.local", dns::kA}})
    if (outcome) outcome = flood(port, kind, clock, seconds);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return outcome;
}

}  // namespace
}  // namespace carrick::bench

int main(int argc, char** argv) {
  auto outcome = carrick::bench::bench(argc > 1 ? std::atof(argv[1]) : 2);
  if (!outcome) std::fprintf(stderr, "dns_bench: %s\n", outcome.error().message.c_str());
  return outcome ? 0 : 2;
}
